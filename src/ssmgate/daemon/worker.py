"""Make a start for a client: in its directory, with its environment and its standard error."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import NoReturn

from ssmgate.daemon import eligible, peer, protocol, requests
from ssmgate.daemon.instance_lock import Place
from ssmgate.gate import printer, process, start
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.aliases import read_line
from ssmgate.gate.argv.parse import Driver, Invocation
from ssmgate.gate.aws import SET_ASIDE, no_prompts
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.errors import FallbackToColdStart, GateError
from ssmgate.gate.plugin.handover import Handover
from ssmgate.gate.records.optional import open_recorder
from ssmgate.gate.system import signals, takeover

BEAT_SECONDS = 1.0
"""How often a worker sends BEAT to its client."""

REQUEST_SECONDS = 5.0
"""How long receiving a request may take."""

TAKE_SECONDS = 30.0
"""How long the client may take to accept the session. It may have been stopped (Ctrl-Z)."""


def answer(sock: socket.socket, place: Place, status: list[str], driver: Driver) -> bool:
    """Answer the request at `sock`, in a worker process that ends afterwards.

    `place` is the daemon's, `status` the daemon's status, its process id first; `driver` has read
    nothing yet. Returns whether a start was made.
    """
    sock.settimeout(REQUEST_SECONDS)
    client = _Client(sock)
    try:
        request = requests.request(sock, peer.own_facts())
    except (peer.Unproven, OSError) as why:
        client.send(protocol.COLD, [str(why)])
        return False
    if request.lists[:1] != [place.fingerprint]:
        client.send(protocol.COLD, ["another environment"])
    elif request.kind == protocol.STATUS:
        client.send(protocol.END, status)
    elif request.kind == protocol.STOP:
        if os.getppid() == int(status[0]):
            os.kill(os.getppid(), signal.SIGTERM)
        client.send(protocol.END, status)
    elif request.kind == protocol.REQUEST:
        _fingerprint, shim, argv, variables = request.lists
        environ = dict(variable.split("=", 1) for variable in variables)
        if not _has_home(environ, place):
            client.send(protocol.COLD, ["another HOME"])
            return False
        _take_over(request, environ)
        if not eligible.is_eligible(argv, environ):
            client.send(protocol.COLD, ["the start needs what only the client process has"])
            return False
        client.listen()
        kind, text = _made(lambda: _read(argv, driver, bool(shim)), environ, client, request.pid)
        client.end(kind, text)
        return kind == protocol.END
    return False


def _has_home(environ: Mapping[str, str], place: Place) -> bool:
    """Return whether HOME is the daemon's: the same path and the same directory."""
    home = environ.get("HOME", "")
    try:
        return home == place.home and os.path.samestat(
            os.stat(home), os.fstat(place.home_directory)
        )
    except OSError:
        return False


def _take_over(request: requests.Request, environ: dict[str, str]) -> None:
    """Take over the client's directory, streams, umask, ignored signals and environment."""
    stdin, stderr, directory = request.descriptors
    os.fchdir(directory)
    os.dup2(stdin, 0)
    os.dup2(stderr, 2)
    # An argument may refer to a descriptor by its number: keep no others open.
    for descriptor in (stdin, stderr, directory):
        os.close(descriptor)
    os.umask(request.umask)
    for number in takeover.ENDING:
        if request.ignored >> (number - 1) & 1:
            signal.signal(number, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update({k: v for k, v in environ.items() if k not in SET_ASIDE})


def _made(
    read: Callable[[], object], environ: dict[str, str], client: _Client, pid: int
) -> tuple[bytes, str]:
    """Make the start. Return END or COLD with its text if the client does not become the plugin.

    `pid` is the client's process.
    """
    try:
        no_prompts.prevent_prompts(_would_prompt)
        config, invocation = _begun(read, environ)
        status = process.ended(
            lambda variables: _started(invocation, variables, config, client, pid),
            environ,
            explain=_explain,
        )
    except FallbackToColdStart as why:
        for note in getattr(why, "__notes__", ()):  # about a session that was started
            printer.eprint(f"ssmgate: {note}")
        return protocol.COLD, str(why)
    except Exception as error:
        # For any other error, the client's cold start will fail again and report it.
        return protocol.COLD, f"{type(error).__name__}"
    return protocol.END, str(status)


def _started(
    invocation: Invocation, environ: dict[str, str], config: Config, client: _Client, pid: int
) -> NoReturn:
    recorder = open_recorder(config, environ, pid)
    permitted = start.permit(invocation, environ, config=config, recorder=recorder)
    with start.started(permitted, client.name_session) as session:
        client.hand_over(session.handover)


def _explain(denial: GateError) -> None:
    from ssmgate.explain import summary

    summary.explain(denial)


def _read(argv: list[str], driver: Driver, shim: bool) -> object:
    return read_line(argv) if shim else parse.read(argv, driver)


def _begun(read: Callable[[], object], environ: dict[str, str]) -> tuple[Config, Invocation]:
    """Return the configuration and the invocation.

    Raises `FallbackToColdStart` if they are invalid, or if no daemon is to be used.
    """
    try:
        config = configuration.load(environ)
        if config.locked or config.daemon == "off":
            raise FallbackToColdStart("the configuration turns the daemon off")
        invocation = read()
    except (GateError, SystemExit):
        raise FallbackToColdStart("the command line or the configuration is invalid") from None
    if not isinstance(invocation, Invocation):
        raise FallbackToColdStart("the command line starts no session")
    return config, invocation


def _would_prompt(*_: object, **__: object) -> NoReturn:
    raise FallbackToColdStart("the user may be prompted")


class _Client:
    """The client at the other end of the socket. Two threads send to it, one receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()
        self._received: queue.SimpleQueue[tuple[bytes, list[list[str]]]] = queue.SimpleQueue()
        self._is_done = False  # the client has the session, or the last message
        self._is_named = False  # the client knows the session, and terminates it if need be
        self._main = threading.get_ident()

    def send(self, kind: bytes, *lists: list[str]) -> None:
        """Send a message. Ignores that the client may have ended."""
        with self._sending, contextlib.suppress(OSError):
            self._sock.sendall(protocol.packed(kind, *lists))

    def end(self, kind: bytes, text: str) -> None:
        """Send the last message. Signals that arrive afterwards are ignored."""
        self._is_done = True
        self.send(kind, [text])

    def name_session(self, session_id: str) -> None:
        """Name the session that was started. Signals no longer reach the main thread then.

        It hands the session over or terminates it, and neither may be cut short. Once signals are
        no longer held, one would end this process before its last message.
        """
        self._is_named = True
        self.send(protocol.STARTED, [session_id])

    def listen(self) -> None:
        """Begin to send BEAT each second and to receive signals, in another thread."""
        threading.Thread(target=self._listen, daemon=True).start()

    def hand_over(self, handover: Handover) -> NoReturn:
        """Let the client become the plugin, and end this process. Raises if the client does not.

        The client handles its signals, and makes its own last check.
        """
        try:
            kind, lists = self._offer(handover)
        except OSError:
            kind, lists = _LOST, []
        if kind == protocol.SIGNAL:
            raise signals.Interrupted(int(lists[0][0]))
        if kind == protocol.FAILED:
            raise handover.failed(lists[0][0])
        raise FallbackToColdStart("the client took too long to take over the session")

    def _offer(self, handover: Handover) -> tuple[bytes, list[list[str]]]:
        """Return the message after which the client is not the plugin. Exits if it is."""
        variables = [f"{name}={text}" for name, text in handover.environ.items()]
        message = protocol.packed(
            protocol.HANDOVER,
            [handover.path],
            list(handover.argv),
            variables,
            list(handover.afterwards),
        )
        self._sock.settimeout(TAKE_SECONDS)
        with self._sending:
            # All of it or nothing more: the client would take a later message for the rest.
            self._sock.sendall(message)
        kind, lists = self._next(TAKE_SECONDS)
        if kind != protocol.TAKE:
            return kind, lists
        with self._sending:
            self._is_done = True
            self._sock.sendall(protocol.packed(protocol.GO))
        # Without a limit: the client may have been stopped, and continue as the plugin.
        kind, lists = self._next(None)
        if kind == _CLOSED:  # by exec
            os._exit(0)
        self._is_done = False
        return kind, lists

    def _next(self, seconds: float | None) -> tuple[bytes, list[list[str]]]:
        try:
            return self._received.get(timeout=seconds)
        except queue.Empty:
            return _LOST, []

    def _listen(self) -> None:
        # Signals are for the main thread, which may be waiting for an answer from AWS.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True:
            if not select.select([self._sock], [], [], BEAT_SECONDS)[0]:
                if not self._is_done:
                    self.send(protocol.BEAT)
                continue
            kind, lists = self._receive()
            self._received.put((kind, lists))
            if self._is_done or self._is_named:
                number = 0
            elif kind in (_CLOSED, _LOST):
                number = signal.SIGTERM
            else:
                number = int(lists[0][0]) if kind == protocol.SIGNAL else 0
            if number in takeover.ENDING:
                # To that thread, so that it stops waiting.
                signal.pthread_kill(self._main, number)
            if kind in (_CLOSED, _LOST):
                return

    def _receive(self) -> tuple[bytes, list[list[str]]]:
        try:
            return requests.receive(self._sock)
        except protocol.Gone:
            return _CLOSED, []
        except (protocol.Broken, OSError):
            return _LOST, []


# In place of a message's kind: the client closed the connection, or it is broken.
_CLOSED, _LOST = b"", b"-"
