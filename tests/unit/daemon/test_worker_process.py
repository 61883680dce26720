"""A client accepts only a worker that the kernel reports as confined like the client."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fakes.processes import challenge, forked, nonce_for, own
from ssmgate.daemon import client, peer, protocol, requests

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

Speak = Callable[[socket.socket], object]
CHALLENGE = challenge("worker's")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the client's end, with credentials of senders, and the worker's end."""
    here, there = socket.socketpair()
    with here, there:
        for sock in (here, there):
            sock.settimeout(10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        yield here, there


class Worker:
    """A forked process at the other end. It ends when the client has closed."""

    def __init__(self, pair: tuple[socket.socket, socket.socket], speak: Speak) -> None:
        self.sock, there = pair

        def run() -> None:
            self.sock.close()
            speak(there)
            with suppress(ConnectionResetError):  # not all was read
                while there.recv(1 << 16):
                    pass

        self.pid = forked(run)
        there.close()

    def verified(self) -> tuple[int, str]:
        try:
            return client.worker(self.sock, own())
        finally:
            self.sock.close()
            if self.pid:
                assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == 0


def no_new_privs() -> None:
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)


def start_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def prove(sock: socket.socket) -> None:
    kind, lists = requests.receive(sock)
    assert kind == protocol.CHALLENGE
    sock.sendall(protocol.packed(protocol.PROOF, [nonce_for(sock, lists)]))


def speak(sock: socket.socket) -> None:
    sock.sendall(CHALLENGE)
    prove(sock)


Pair = tuple[socket.socket, socket.socket]


def test_verifies_worker_that_proves_itself(pair: Pair) -> None:
    pair[1].sendall(protocol.packed(protocol.BEAT))  # of the process that listens
    worker = Worker(pair, speak)

    assert worker.verified() == (worker.pid, "worker's")


@pytest.mark.parametrize(
    ("confine", "why"),
    [(no_new_privs, "different NoNewPrivs"), (start_thread, "several threads")],
)
def test_sends_nothing_to_differently_confined_worker(
    pair: Pair, confine: Callable[[], object], why: str
) -> None:
    def speak(sock: socket.socket) -> None:
        confine()
        sock.sendall(CHALLENGE)
        assert sock.recv(1) == b""

    with pytest.raises(peer.Unproven, match=why):
        Worker(pair, speak).verified()


def test_rejects_worker_confined_after_challenge(pair: Pair) -> None:
    def speak(sock: socket.socket) -> None:
        sock.sendall(CHALLENGE)
        _, lists = requests.receive(sock)
        nonce = nonce_for(sock, lists)
        no_new_privs()
        sock.sendall(protocol.packed(protocol.PROOF, [nonce]))

    with pytest.raises(peer.Unproven, match="by now different NoNewPrivs"):
        Worker(pair, speak).verified()


def test_rejects_proof_of_process_that_shares_socket(pair: Pair) -> None:
    def speak(sock: socket.socket) -> None:
        sock.sendall(CHALLENGE)
        os.waitpid(forked(lambda: prove(sock)), 0)

    with pytest.raises(protocol.Broken):
        Worker(pair, speak).verified()


def test_rejects_proof_sent_before_challenge(pair: Pair) -> None:
    def speak(sock: socket.socket) -> None:
        sock.sendall(CHALLENGE + protocol.packed(protocol.PROOF, ["0" * 32]))

    with pytest.raises(peer.Unproven, match="has not read the nonce"):
        Worker(pair, speak).verified()


@pytest.mark.parametrize("lists", [[], [[]], [["x", "y"]], [["x"], ["y"]]], ids=str)
def test_rejects_proof_without_nonce(pair: Pair, lists: list[list[str]]) -> None:
    with pytest.raises(peer.Unproven, match="has not read the nonce"):
        Worker(
            pair, lambda s: s.sendall(CHALLENGE + protocol.packed(protocol.PROOF, *lists))
        ).verified()


@pytest.mark.parametrize(
    "kind",
    [
        protocol.COLD,
        protocol.END,
        protocol.HANDOVER,
        protocol.GO,
        protocol.BEAT,
        protocol.CHALLENGE,
        protocol.REQUEST,
    ],
)
def test_rejects_other_messages_as_proof(pair: Pair, kind: bytes) -> None:
    def speak(sock: socket.socket) -> None:
        sock.sendall(CHALLENGE)
        _, lists = requests.receive(sock)
        sock.sendall(protocol.packed(kind, *lists))

    with pytest.raises(protocol.Broken):
        Worker(pair, speak).verified()


@pytest.mark.parametrize(
    "kind",
    [protocol.COLD, protocol.END, protocol.HANDOVER, protocol.GO, protocol.PROOF, protocol.HELLO],
)
def test_accepts_nothing_before_challenge(pair: Pair, kind: bytes) -> None:
    with pytest.raises(protocol.Broken):
        Worker(pair, lambda sock: sock.sendall(protocol.packed(kind, ["0"]))).verified()


def test_rejects_ended_worker(pair: Pair) -> None:
    os.waitpid(forked(lambda: pair[1].sendall(CHALLENGE)), 0)

    with pytest.raises(ProcessLookupError):
        client.worker(pair[0], own())


def test_rejects_worker_that_ends_after_its_proof(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process id may belong to another process by now, whose facts were then read."""
    worker = Worker(pair, speak)
    receive = protocol.receive_noted

    def then_reaped(*arguments: object) -> object:
        received = receive(*arguments)
        if received[0] == protocol.PROOF:
            os.kill(worker.pid, 9)
            os.waitpid(worker.pid, 0)
            worker.pid = 0
        return received

    monkeypatch.setattr(protocol, "receive_noted", then_reaped)
    with pytest.raises(peer.Unproven, match="does not show the process"):
        worker.verified()


def test_rejects_worker_that_ends_during_second_reading(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(pair, speak)
    compared = []

    def then_reaped(*_: object) -> str:
        compared.append(1)
        if len(compared) == 2:
            os.kill(worker.pid, 9)
            os.waitpid(worker.pid, 0)
            worker.pid = 0
        return ""

    monkeypatch.setattr(peer, "difference", then_reaped)
    with pytest.raises(peer.Unproven, match="it has ended"):
        worker.verified()


def test_rejects_reused_process_id(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writing process is confined, left the socket to another process, and ended."""
    confined = forked(lambda: (no_new_privs(), pair[1].sendall(CHALLENGE)))
    os.waitpid(confined, 0)
    opened = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", lambda _: opened(os.getpid()))

    with pytest.raises(peer.Unproven, match="does not show the process"):
        client.worker(pair[0], own())


@pytest.mark.parametrize(
    "kind", [protocol.BEAT, protocol.HANDOVER, protocol.GO, protocol.END, protocol.COLD]
)
def test_ignores_other_process_after_verification(pair: Pair, kind: bytes) -> None:
    worker = Worker(pair, lambda sock: (
        speak(sock), os.waitpid(forked(lambda: sock.sendall(protocol.packed(kind, ["0"]))), 0)
    ))  # fmt: skip
    asking = client._Request(worker.sock, own(), print)
    asking._worker, _ = client.worker(worker.sock, own())

    with pytest.raises(protocol.Broken):
        asking._listen()
    worker.sock.close()
    os.waitpid(worker.pid, 0)


# Who listens. Both routes to a pidfd.


@pytest.fixture(params=["of the connection", "by number"])
def _route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by number":
        monkeypatch.setattr(peer, "SO_PEERPIDFD", 9999)  # no kernel has it


def greeted(tmp_path: Path, before: Callable[[], object], *, ends: bool = False) -> bool:
    """Connect to a listener that called `before`, and return True when its greeting was read."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as sock:
        listener.bind(path)
        ready, go = socket.socketpair()

        def listen() -> None:
            sock.close()
            before()
            listener.listen()
            go.sendall(b".")
            if not ends:
                accepted, _ = listener.accept()
                accepted.sendall(protocol.packed(protocol.HELLO, [protocol.PROTOCOL]))
                accepted.recv(1)

        pid = forked(listen)
        with closing(ready), closing(go):
            ready.recv(1)
            if ends:
                os.waitpid(pid, 0)
            sock.settimeout(10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            sock.connect(path)
            try:
                client._greet(sock, own())
            finally:
                sock.close()
                if not ends:
                    os.waitpid(pid, 0)
    return True


@pytest.mark.usefixtures("_route")
def test_greets_listening_process_with_same_confinement(tmp_path: Path) -> None:
    assert greeted(tmp_path, lambda: None)


@pytest.mark.usefixtures("_route")
def test_does_not_greet_confined_listener(tmp_path: Path) -> None:
    """Its messages prove nothing: an unconfined process may be made to write them."""
    with pytest.raises(peer.Unproven, match="different NoNewPrivs"):
        greeted(tmp_path, no_new_privs)


@pytest.mark.usefixtures("_route")
def test_does_not_greet_ended_listener(tmp_path: Path) -> None:
    with pytest.raises((OSError, peer.Unproven)):
        greeted(tmp_path, lambda: None, ends=True)


def test_client_with_unproven_confinement_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unproven() -> dict[str, str]:
        raise peer.Unproven("why")

    monkeypatch.setattr(peer, "own_facts", unproven)
    monkeypatch.setattr(client, "may_ask", lambda *_: True)
    monkeypatch.setattr(client, "connected", None)  # it would fail

    assert client.try_daemon([], None, print) is False
