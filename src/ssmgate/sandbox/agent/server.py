"""The websocket server of the data channels: authorize their opening, and run them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import urllib.parse
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection, serve

from ssmgate.sandbox.agent.channel import Channel, WireClosed
from ssmgate.sandbox.agent.line import Line
from ssmgate.sandbox.agent.listener import Listener, Port, Sshd, Tcp
from ssmgate.sandbox.agent.peer import is_ours
from ssmgate.sandbox.agent.plan import Plan, WorkError, plan
from ssmgate.sandbox.agent.preferred import Logged, limits, log_files, run_as
from ssmgate.sandbox.agent.work import Program, Terminal, Work
from ssmgate.sandbox.channel.codec import CodecError
from ssmgate.sandbox.channel.payloads import ChannelClosed, OpenDataChannel, SessionType
from ssmgate.sandbox.session import ChannelDenied, Session

PATH = "/v1/data-channel/"
TERMINATED = "The session was terminated."

_OPEN_SECONDS = 10
_FRAME_BYTES = 1 << 17
_SSH = 22


class SessionRegistry(Protocol):
    """The sessions, as in `sandbox.sessions.Sessions`. Called from the agent's thread."""

    def join(self, session_id: str, token_value: str) -> Session:
        """Use the token, once. Raises `ChannelDenied` if it is used, or not of this session."""

    def lose(self, session_id: str) -> None:
        """Note that the client has disconnected and may come back."""

    def leave(self, session_id: str) -> None:
        """Note the end of the session."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """The ports of the nodes.

    `ports` maps each node's ports to ports of this machine; any other port is the same. Port 22
    is served by `sshd`, the command for one connection, unless it is in `ports`.
    """

    ports: Mapping[str, Mapping[int, int]]
    sshd: tuple[str, ...] | None = None

    def listener(self, node_id: str, port: int) -> Listener:
        """Return the listener for a port of a node."""
        mapped = self.ports.get(node_id, {})
        if port == _SSH and _SSH not in mapped and self.sshd is not None:
            return Sshd(self.sshd)
        return Tcp(mapped.get(port, port))


class Agent:
    """The server on a listening socket, in a thread with its own event loop."""

    def __init__(
        self,
        listening: socket.socket,
        registry: SessionRegistry,
        nodes: Nodes,
        log: Callable[[str], object],
        logs: str | None = None,
    ) -> None:
        self._listening = listening
        self._registry = registry
        self._nodes = nodes
        self._log = log
        self.logs = logs
        """The directory for session logs, in place of S3 and CloudWatch."""
        self._channels: dict[str, Channel] = {}
        self._lines: dict[str, Line] = {}
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="agent", daemon=True)

    def start(self) -> None:
        """Serve until `stop` is called."""
        self._thread.start()

    def stop(self) -> None:
        """End every session and the server. Returns when all have ended."""
        self._loop.call_soon_threadsafe(self._stop.set_result, None)
        self._thread.join()

    def terminate(self, session_id: str) -> None:
        """End a session if it is open. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._terminate, session_id)

    def _terminate(self, session_id: str) -> None:
        if (channel := self._channels.get(session_id)) is not None:
            channel.end(TERMINATED)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        # The library logs every invalid handshake, of any client.
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        async with serve(
            self._connected,
            sock=self._listening,
            # A browser sends an Origin, the plugin does not: no web page can open a shell.
            origins=[None],
            compression=None,
            max_size=_FRAME_BYTES,
            # A client that does not read for a while is still connected.
            ping_interval=None,
            close_timeout=1,
        ) as server:
            await self._stop
            server.close(close_connections=False)
            for channel in list(self._channels.values()):
                channel.end("The sandbox has ended.")
            while self._channels:
                await asyncio.sleep(0.01)

    async def _connected(self, connection: ServerConnection) -> None:
        session_id = _session_id(connection)
        line = Line(connection, lambda: self._registry.lose(session_id))
        with contextlib.suppress(WireClosed):
            try:
                session = await self._opened(connection, line)
            except ChannelDenied as denied:
                self._log(f"data channel refused: {denied}")
                await line.send(ChannelClosed(session_id, "", str(denied)).frame(1))
                return
            if (live := self._lines.get(session_id)) is not None:
                self._log(f"{session_id} is resumed")
                await live.replace(connection)
                return
            self._lines[session_id] = line
            try:
                await self._live(session, line)
            finally:
                line.finish()
                self._lines.pop(session_id, None)
                self._channels.pop(session_id, None)
                self._registry.leave(session_id)
                self._log(f"{session_id} has ended")

    async def _opened(self, connection: ServerConnection, wire: Line) -> Session:
        if not is_ours(connection.remote_address[:2], connection.local_address[:2]):
            raise ChannelDenied("the process is of another user")
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                first = await wire.receive()
        except TimeoutError:
            raise ChannelDenied("no OpenDataChannel came") from None
        try:
            opening = OpenDataChannel.read(first)
        except CodecError as error:
            raise ChannelDenied(f"not OpenDataChannel: {error}") from error
        return self._registry.join(_session_id(connection), opening.token_value)

    async def _live(self, session: Session, wire: Line) -> None:
        channel = Channel(
            session.session_id, session.target, wire, self._log, limits(session.preferences)
        )
        try:
            session_plan = plan(session.content, session.parameters)
        except WorkError as error:
            end = ChannelClosed(session.session_id, session.target, str(error))
            await wire.send(end.frame(1))
            return
        wire.on_replaced = channel.resumed
        self._channels[session.session_id] = channel
        self._log(f"{session.session_id} is live: {session_plan.session_type} on {session.target}")
        await channel.run(session_plan, lambda: self._start(session, session_plan))

    async def _start(self, session: Session, session_plan: Plan) -> Work:
        if session_plan.session_type is SessionType.PORT:
            return await self._port(session, session_plan)
        user = run_as(session.preferences, session.run_as)
        starting: Coroutine[Any, Any, Work]
        match session_plan.session_type:
            case SessionType.STANDARD_STREAM:
                starting = Terminal.start(["sh"], session_plan.profile, user)
            case SessionType.INTERACTIVE_COMMANDS:
                starting = Terminal.start(["sh", "-c", session_plan.command], user=user)
            case _:
                starting = Program.start(["sh", "-c", session_plan.command], user)
        try:
            work = await starting
        except OSError as error:
            raise WorkError(f"the node cannot start it: {error.strerror}") from error
        try:
            return self._logged(session, work)
        except WorkError:
            await work.end()
            raise

    def _logged(self, session: Session, work: Work) -> Work:
        names = log_files(session.preferences, session.session_id)
        if names and self.logs is None:
            self._log(f"{session.session_id} is not logged: start the sandbox with --session-logs")
        if not names or self.logs is None:
            return work
        return Logged(work, [Path(self.logs, name) for name in names])

    async def _port(self, session: Session, session_plan: Plan) -> Port:
        forwarded = session_plan.properties.get("type") == "LocalPortForwarding"
        port = Port(self._nodes.listener(session.target, session_plan.port), forwarded)
        await port.connect()
        return port


def _session_id(connection: ServerConnection) -> str:
    path = "" if connection.request is None else connection.request.path
    name = urllib.parse.urlsplit(path).path.removeprefix(PATH)
    return urllib.parse.unquote(name)
