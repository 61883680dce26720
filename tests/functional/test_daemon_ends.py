"""A plugin takes each session that a daemon started, or the session is terminated."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from conftest import TARGET, Machine
from fakes.confined_client import nonce
from fakes.daemon_client import (
    BY_DAEMON,
    COLD,
    Daemon,
    begin,
    running,
    start,
    state,
    until,
)
from fakes.scripted_aws import (
    SESSION_ID,
    STARTED,
    after,
    evaluation,
    json_error,
    json_ok,
    slowly,
)
from fakes.waiting import is_signal_delivered, seconds
from ssmgate.daemon import protocol, requests

# So that no test waits for the default patience.
CONSTANTS = "child.TAKE_SECONDS = 1.0"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def daemon(home: Path) -> Iterator[Daemon]:
    environ = {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    with running(environ, constants=CONSTANTS) as daemon:
        yield daemon


@pytest.fixture
def machine(machine: Machine, home: Path) -> Machine:
    """Return a machine with the HOME of the daemon."""
    machine.environ["HOME"] = str(home)
    return machine


def counts(machine: Machine) -> tuple[int, int]:
    """Return how many sessions were started, and how many were terminated."""
    return len(machine.aws.calls("StartSession")), len(machine.aws.calls("TerminateSession"))


def begin_stopped(machine: Machine, tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """Begin a start whose client is stopped when StartSession is answered, as `begin` does."""
    go = threading.Event()
    machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    process, mark = begin(machine, tmp_path)
    machine.aws.wait_for("StartSession")
    process.send_signal(signal.SIGSTOP)
    until(lambda: state(process.pid) == "T")
    go.set()
    return process, mark


# A signal to the client.

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]
OTHERS = [signal.SIGUSR1, signal.SIGALRM, signal.SIGABRT, signal.SIGRTMIN]


@pytest.mark.parametrize("number", [*SIGNALS, *OTHERS], ids=lambda number: number.name)
@pytest.mark.parametrize("operation", ["GetCallerIdentity", "StartSession"])
def test_signal_ends_start_as_it_ends_cold_start(
    machine: Machine, daemon: Daemon, tmp_path: Path, operation: str, number: signal.Signals
) -> None:
    ends = []
    usual = machine.aws.answers[operation][0]
    for switch in (None, "off"):
        go = threading.Event()
        machine.aws.script(operation, after(go, usual))
        machine.aws.received.clear()
        process, mark = begin(machine, tmp_path, SSMGATE_DAEMON=switch)
        machine.aws.wait_for(operation)
        process.send_signal(number)
        if operation == "StartSession":
            # It is noted, and the answer waited for: it names the session.
            until(partial(is_signal_delivered, process.pid, number))
            go.set()
        stdout, stderr = process.communicate("", timeout=30)
        go.set()
        until(lambda: not daemon.children)
        ends.append((process.returncode, stdout, stderr, machine.aws.operations))
        assert mark.exists() == (switch == "off")

    assert ends[0] == ends[1]
    assert ends[0][0] == (130 if number == signal.SIGINT else -number)
    assert counts(machine) == ((1, 1) if operation == "StartSession" else (0, 0))
    assert not machine.plugin.started


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param("SimulatePrincipalPolicy", (0, 0), id="before StartSession"),
        pytest.param("StartSession", (1, 1), id="while StartSession"),
    ],
)
def test_killed_client_leaves_no_session(
    machine: Machine,
    daemon: Daemon,
    tmp_path: Path,
    operation: str,
    expected: tuple[int, int],
    number: signal.Signals,
) -> None:
    answer = json_ok(STARTED) if operation == "StartSession" else evaluation()
    machine.aws.script(operation, slowly(answer, 0.3))
    process, _ = begin(machine, tmp_path)
    machine.aws.wait_for(operation)

    process.send_signal(number)

    process.communicate("", timeout=30)
    until(lambda: not daemon.children)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert counts(machine) == expected
    assert machine.aws.sessions_left() == []
    assert not machine.plugin.started


@pytest.mark.parametrize(
    "number", [*SIGNALS, signal.SIGUSR1, signal.SIGKILL], ids=lambda number: number.name
)
def test_killed_stopped_client_leaves_no_session(
    machine: Machine, daemon: Daemon, tmp_path: Path, number: signal.Signals
) -> None:
    """The client has not read the handover."""
    process, _ = begin_stopped(machine, tmp_path)
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)

    process.communicate("", timeout=30)

    until(lambda: not daemon.children)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert counts(machine) == (1, 1)
    assert not machine.plugin.started


def test_ignored_signal_ends_nothing(machine: Machine, daemon: Daemon, tmp_path: Path) -> None:
    machine.aws.script("StartSession", slowly(json_ok(STARTED), 0.3))
    process, mark = begin(
        machine,
        tmp_path,
        before=("sh", "-c", 'trap "" INT QUIT HUP TERM USR1 ALRM; exec "$@"', "sh"),
    )
    machine.aws.wait_for("GetCallerIdentity")
    for number in (*SIGNALS, signal.SIGUSR1, signal.SIGALRM):
        process.send_signal(number)

    process.communicate("", timeout=30)

    assert (process.returncode, mark.exists(), counts(machine)) == (0, False, (1, 0))


def test_signal_to_terminal_of_daemon_ends_no_start(machine: Machine, tmp_path: Path) -> None:
    """Ctrl-C reaches a whole process group."""
    machine.environ["HOME"] = str(tmp_path)
    machine.aws.script("StartSession", slowly(json_ok(STARTED), 0.3))
    with running(machine.environ, before=("setsid",)) as daemon:
        process, mark = begin(machine, tmp_path)
        machine.aws.wait_for("GetCallerIdentity")
        os.killpg(daemon.pid, signal.SIGINT)
        daemon.process.wait(30)
        _, stderr = process.communicate("", timeout=30)

    assert (process.returncode, stderr, mark.exists()) == (0, "", False)
    assert counts(machine) == (1, 0)


def test_alarm_of_client_ends_start(machine: Machine, daemon: Daemon, tmp_path: Path) -> None:
    machine.aws.script("StartSession", slowly(json_ok(STARTED), 2.0))
    code = "import os, signal, sys; signal.setitimer(0, 1.5); os.execv(sys.argv[1], sys.argv[1:])"
    process, _ = begin(machine, tmp_path, before=(sys.executable, "-c", code))

    process.communicate("", timeout=30)

    until(lambda: not daemon.children)
    assert process.returncode == -signal.SIGALRM
    assert machine.aws.sessions_left() == []
    assert not machine.plugin.started


# The client is stopped, and goes on.


def test_client_stopped_briefly_goes_on(machine: Machine, daemon: Daemon, tmp_path: Path) -> None:
    process, mark = begin_stopped(machine, tmp_path)
    process.send_signal(signal.SIGCONT)

    _, stderr = process.communicate("", timeout=30)

    assert (process.returncode, stderr, mark.exists()) == (0, "", False)
    assert counts(machine) == (1, 0)


def test_client_stopped_for_long_starts_new_session(
    machine: Machine, daemon: Daemon, tmp_path: Path
) -> None:
    process, mark = begin_stopped(machine, tmp_path)
    machine.aws.wait_for("TerminateSession")
    until(lambda: not daemon.children)
    process.send_signal(signal.SIGCONT)

    _, stderr = process.communicate("", timeout=30)

    assert (process.returncode, mark.exists()) == (0, True)
    assert stderr == f"ssmgate: session {SESSION_ID} was terminated\n"
    assert counts(machine) == (2, 1)
    assert machine.plugin.started


# A client that violates the protocol.


class RawClient:
    """The client side of the protocol, operated by the test."""

    def __init__(self, daemon: Daemon, machine: Machine, stack: ExitStack) -> None:
        self.daemon = daemon
        self.machine = machine
        self._stack = stack

    def request(self, *words: str) -> None:
        variables = [f"{name}={text}" for name, text in self.machine.variables().items()]
        argv = ["ssm", "start-session", "--target", TARGET, *words]

        def speak(sock: socket.socket) -> None:
            lists = ([nonce(sock)], self.daemon.environment_fingerprint, [], argv, variables)
            here = os.open(self.machine.home, os.O_RDONLY)
            with open(os.devnull, "r+") as nothing:
                numbers = (nothing.fileno(), nothing.fileno(), here)
                protocol.send_with_descriptors(
                    sock, protocol.packed(protocol.REQUEST, *lists), numbers
                )

        self.sock = self._stack.enter_context(self.daemon.connected_by_other_process(speak))

    def receive(self, kind: bytes) -> list[list[str]]:
        """Return the next message, of `kind`, that is neither a beat nor a session's id."""
        while (heard := requests.receive(self.sock))[0] in (protocol.BEAT, protocol.STARTED):
            pass
        assert heard[0] == kind
        return heard[1]

    def say(self, kind: bytes, *lists: list[str]) -> None:
        self.sock.sendall(protocol.packed(kind, *lists))


@pytest.fixture
def raw_client(daemon: Daemon, machine: Machine) -> Iterator[RawClient]:
    with ExitStack() as stack:
        yield RawClient(daemon, machine, stack)


def close_connection(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)


def close_without_reading(raw_client: RawClient) -> None:
    raw_client.machine.aws.wait_for("StartSession")


def close_before_go(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.say(protocol.TAKE)


def send_nothing(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.machine.aws.wait_for("TerminateSession")


def send_half_message(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.sock.sendall(protocol.TAKE + b"\0\0")


def send_junk(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.sock.sendall(b"\xff" * 100)


def send_other_message(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.say(protocol.STATUS)


def fails(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.say(protocol.TAKE)
    raw_client.receive(protocol.GO)
    raw_client.say(protocol.FAILED, ["Exec format error"])
    assert raw_client.receive(protocol.END) == [["255"]]


def send_signal_before_go(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.say(protocol.SIGNAL, [str(int(signal.SIGTERM))])
    assert raw_client.receive(protocol.END) == [["-15"]]


def send_signal_after_go(raw_client: RawClient) -> None:
    raw_client.receive(protocol.HANDOVER)
    raw_client.say(protocol.TAKE)
    raw_client.receive(protocol.GO)
    raw_client.say(protocol.SIGNAL, [str(int(signal.SIGHUP))])
    assert raw_client.receive(protocol.END) == [["-1"]]


@pytest.mark.parametrize(
    "ends",
    [close_connection, close_without_reading, close_before_go, send_nothing, send_half_message,
     send_junk, send_other_message, fails, send_signal_before_go, send_signal_after_go],
)  # fmt: skip
def test_terminates_session_that_client_does_not_take(
    machine: Machine, daemon: Daemon, raw_client: RawClient, ends: object
) -> None:
    raw_client.request()
    ends(raw_client)
    raw_client.sock.close()

    until(lambda: not daemon.children)
    assert counts(machine) == (1, 1)
    (ended,) = machine.aws.calls("TerminateSession")
    assert ended.parameters == {"SessionId": SESSION_ID}


def test_slow_client_takes_session(machine: Machine, daemon: Daemon, raw_client: RawClient) -> None:
    """The client may have been stopped just then."""
    raw_client.request()
    raw_client.receive(protocol.HANDOVER)
    raw_client.say(protocol.TAKE)
    raw_client.receive(protocol.GO)
    (pid,) = daemon.children
    time.sleep(1.5)  # longer than the daemon's patience with what is not taken
    assert state(pid) != "Z"
    raw_client.sock.close()

    until(lambda: not daemon.children)
    assert counts(machine) == (1, 0)


def test_unread_handover_terminates_session(
    machine: Machine, daemon: Daemon, raw_client: RawClient
) -> None:
    """A handover larger than the socket's buffer, to a client that does not read."""
    machine.environ |= {f"BIG{n}": "x" * 100_000 for n in range(10)}
    raw_client.request()
    machine.aws.wait_for("TerminateSession")
    until(lambda: not daemon.children)

    with pytest.raises(protocol.Broken):
        raw_client.receive(protocol.HANDOVER)
    assert counts(machine) == (1, 1)


def request_with(sock: socket.socket, *lists: list[str]) -> None:
    """Send a request of these lists after the nonce."""
    message = protocol.packed(protocol.REQUEST, [nonce(sock)], *lists)
    protocol.send_with_descriptors(sock, message, (0, 0, 0))


@pytest.mark.parametrize(
    "speak",
    [
        pytest.param(lambda _: None, id="closed"),
        pytest.param(lambda sock: sock.sendall(b"\xff" * 300), id="junk"),
        pytest.param(
            lambda sock: sock.sendall(protocol.packed(protocol.REQUEST)), id="no descriptors"
        ),
        pytest.param(request_with, id="no environment"),
        pytest.param(
            lambda sock: request_with(sock, ["other"], [], [], []), id="other environment"
        ),
        pytest.param(
            lambda sock: protocol.send_with_descriptors(sock, b"r\0\0\xff\xff", (0, 0, 0)),
            id="half a request",
        ),
    ],
)
def test_connection_without_request_starts_nothing(
    machine: Machine,
    daemon: Daemon,
    tmp_path: Path,
    speak: Callable[[socket.socket], object],
) -> None:
    with daemon.connected_by_other_process(speak):
        pass
    until(lambda: not daemon.children)

    assert machine.aws.operations == []
    ended, way = start(machine, tmp_path)
    assert (way, ended.returncode) == (BY_DAEMON, 0)


# The plugin cannot be executed after all.


def vanishing_plugin(machine: Machine, first_line: str) -> None:
    """Install a plugin that prints its version and is then replaced by another file."""
    directory = machine.plugin.directory / "bin"
    directory.mkdir()
    path = directory / "session-manager-plugin"
    path.write_text(f"#!/bin/sh\necho 1.2.804.0\n{first_line}\n")
    path.chmod(0o755)
    machine.environ["PATH"] = f"{directory}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param('rm "$0"', "No such file or directory", id="gone"),
        pytest.param('chmod -x "$0"', "Permission denied", id="not executable"),
        pytest.param('rm "$0"; echo junk > "$0"; chmod +x "$0"', "Exec format error", id="junk"),
    ],
)
@pytest.mark.parametrize("answer", [json_ok({}), json_error("x", "no")], ids=["ended", "not"])
def test_plugin_that_cannot_be_executed_leaves_no_session(
    machine: Machine, daemon: Daemon, tmp_path: Path, spoil: str, why: str, answer: object
) -> None:
    machine.aws.script("TerminateSession", answer)
    ends = []
    for switch in (None, "off"):
        vanishing_plugin(machine, spoil)
        ends.append(start(machine, tmp_path, SSMGATE_DAEMON=switch))
        subprocess.run(["rm", "-r", machine.plugin.directory / "bin"], check=True)

    (warm, first), (cold, second) = ends
    assert (first, second) == (BY_DAEMON, COLD)
    assert warm == cold
    assert warm.returncode == 255
    assert f"cannot be executed: {why}" in warm.stderr
    assert f"session {SESSION_ID} " in warm.stderr
    assert counts(machine) == (2, 2)


# What the daemon itself may suffer.


def test_killed_daemon_leaves_its_starts_running(machine: Machine, tmp_path: Path) -> None:
    machine.environ["HOME"] = str(tmp_path)
    machine.aws.script("StartSession", slowly(json_ok(STARTED), 0.3))
    with running(machine.environ) as daemon:
        process, mark = begin(machine, tmp_path)
        machine.aws.wait_for("GetCallerIdentity")
        os.kill(daemon.pid, signal.SIGKILL)
        process.communicate("", timeout=30)

    assert (process.returncode, mark.exists(), counts(machine)) == (0, False, (1, 0))
    again, way = start(machine, tmp_path)
    assert (again.returncode, way) == (0, COLD)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param("GetCallerIdentity", (1, 0), id="before StartSession"),
        # Its id is in no process.
        pytest.param("StartSession", (2, 0), id="while StartSession"),
    ],
)
def test_killed_worker_falls_back_to_cold_start(
    machine: Machine,
    daemon: Daemon,
    tmp_path: Path,
    operation: str,
    expected: tuple[int, int],
) -> None:
    go = threading.Event()
    usual = machine.aws.answers[operation][0]
    machine.aws.script(operation, after(go, usual), usual)
    process, mark = begin(machine, tmp_path)
    machine.aws.wait_for(operation)
    for pid in daemon.children:
        os.kill(pid, signal.SIGKILL)

    _, stderr = process.communicate("", timeout=30)

    go.set()
    assert (process.returncode, stderr, mark.exists()) == (0, "", True)
    assert counts(machine) == expected
    assert machine.plugin.started


# A worker that never ends its handover; it writes its process id to a file.
HANGS = """
import os, time
from ssmgate.daemon import worker
def hang(*_):
    with open(os.environ["HANGS"], "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)
worker._Client.hand_over = hang
"""


@pytest.fixture(scope="module")
def hanging_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def hanging(hanging_home: Path) -> Iterator[Daemon]:
    environ = {"HOME": str(hanging_home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    with running(environ, constants=HANGS) as daemon:
        yield daemon


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("verb", ["start-session", "shim"])
@pytest.mark.parametrize("number", [0, *SIGNALS], ids=lambda number: str(int(number)))
def test_client_terminates_session_of_killed_worker(
    machine: Machine, hanging_home: Path, tmp_path: Path, number: int, verb: str
) -> None:
    """The client knows the session before it is handed over. Without a signal it starts another."""
    machine.environ |= {"HOME": str(hanging_home), "HANGS": str(tmp_path / "hangs")}
    words = ("start-session", "--target", TARGET)
    if verb == "shim":
        words = ("shim", str(tmp_path), "/nonexistent", "ssm", *words)
    process, mark = begin(machine, tmp_path, verb=words)
    until(lambda: (tmp_path / "hangs").exists() and (tmp_path / "hangs").read_text())
    if number:
        process.send_signal(number)
        until(partial(is_signal_delivered, process.pid, number))
    os.kill(int((tmp_path / "hangs").read_text()), signal.SIGKILL)

    _, stderr = process.communicate("", timeout=60)

    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert f"ssmgate: session {SESSION_ID} was terminated\n" in stderr
    assert mark.exists() == (not number)
    assert counts(machine) == ((1, 1) if number else (2, 1))
    assert machine.plugin.started == (not number)


@pytest.mark.usefixtures("hanging")
def test_client_names_session_that_it_cannot_terminate(
    machine: Machine, hanging_home: Path, tmp_path: Path
) -> None:
    machine.environ |= {"HOME": str(hanging_home), "HANGS": str(tmp_path / "hangs")}
    machine.aws.script("TerminateSession", json_error("AccessDeniedException", "not you"))
    process, _ = begin(machine, tmp_path)
    until(lambda: (tmp_path / "hangs").exists() and (tmp_path / "hangs").read_text())
    os.kill(int((tmp_path / "hangs").read_text()), signal.SIGKILL)

    _, stderr = process.communicate("", timeout=60)

    assert process.returncode == 0
    assert f"session {SESSION_ID} could not be terminated: " in stderr
    assert f"hint: aws ssm terminate-session --session-id {SESSION_ID}\n" in stderr


def test_stopped_worker_falls_back_to_cold_start(
    machine: Machine, daemon: Daemon, tmp_path: Path
) -> None:
    go = threading.Event()
    usual = json_ok(STARTED)
    machine.aws.script("StartSession", after(go, usual), usual)
    silent = seconds(1.5)  # a worker sends BEAT each second
    process, mark = begin(machine, tmp_path, constants=(f"client.SILENT_SECONDS={silent}",))
    machine.aws.wait_for("StartSession")
    (pid,) = daemon.children
    os.kill(pid, signal.SIGSTOP)

    process.wait(seconds(30))

    assert (process.returncode, mark.exists(), counts(machine)) == (0, True, (2, 0))
    go.set()
    os.kill(pid, signal.SIGCONT)
    process.communicate(timeout=30)
    until(lambda: not daemon.children)
    assert counts(machine) == (2, 1)
