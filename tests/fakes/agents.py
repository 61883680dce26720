"""An agent with its sessions, in this process."""

from __future__ import annotations

import functools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fakes.channel_client import Client
from ssmgate.sandbox.agent.server import Agent, Nodes
from ssmgate.sandbox.documents import AWS_SESSION_DOCUMENTS
from ssmgate.sandbox.sessions import Model, Node, Region, SessionDocument, Sessions

NODE = "i-0123456789abcdef0"
FORWARD = "AWS-StartPortForwardingSession"


def document(name: str) -> SessionDocument | None:
    """Return a session document of AWS by its name, None if there is none."""
    content = AWS_SESSION_DOCUMENTS.get(name)
    if content is None:
        return None
    return SessionDocument(name, "Session", "Amazon", {}, json.dumps(content))


REGION = Region(
    "aws", "us-east-1", "111122223333", {NODE: Node(NODE, {}, online=True)}.get, document
)


@dataclass
class Running:
    """An agent, its sessions, and the lines of its log."""

    sessions: Sessions
    agent: Agent
    log: list[str] = field(default_factory=list)

    def start(self, name: str | None = None, **parameters: str) -> dict[str, str]:
        """Start a session, as StartSession does, and return its answer."""
        members: dict[str, object] = {"Target": NODE} if name is None else {
            "Target": NODE,
            "DocumentName": name,
            "Parameters": {key: [value] for key, value in parameters.items()},
        }  # fmt: skip
        return self.sessions.start(members, None, REGION, {})

    def client(self, name: str | None = None, **parameters: str) -> Client:
        """Start a session, and return a client that has shaken hands."""
        client = Client.open(self.start(name, **parameters))
        client.shake_hands()
        return client

    def terminate(self, started: dict[str, str]) -> None:
        self.sessions.terminate({"SessionId": started["SessionId"]}, None, REGION, {})

    @property
    def open(self) -> list[str]:
        return [name for name, session in self.sessions.opened.items() if not session.ended]


@contextmanager
def running_agent() -> Iterator[Running]:
    """Run an agent on loopback. Its node has a port that returns its input."""
    sessions = Sessions(Model.Y2023)
    log: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nodes = Nodes({NODE: {7: echo_port()}})
        agent = Agent(listening, sessions, nodes, log.append)
        sessions.stream_host = "{}:{}".format(*listening.getsockname())
        sessions.on_terminate = agent.terminate
        agent.start()
        yield Running(sessions, agent, log)
        agent.stop()
    assert not any(thread.name == "agent" for thread in threading.enumerate())


@functools.cache
def echo_port() -> int:
    """Run a server that returns its input, and closes the connection after `bye`."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                if data == b"bye":
                    return
                connection.sendall(data)

    def accept() -> None:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def is_there(process: int) -> bool:
    """Return whether the process runs; false for a zombie."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
