"""Signals, alarms and full pipes during the handover of a session never leave it open.

For signals at a client of a daemon see test_daemon_ends.py, at a terminal test_terminal.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import TARGET, Machine
from fakes import daemon_client, waiting
from fakes.daemon_client import Daemon, running
from fakes.log import Log
from fakes.scripted_aws import (
    SESSION_ID,
    STARTED,
    Answer,
    after,
    evaluation,
    json_error,
    json_ok,
    slowly,
)
from plugins.ways import WAYS
from ssmgate.gate.system import takeover

# A loaded program that forks a process for each start, as loading takes most of the time. It reads
# a line of JSON for each, and answers with the process's number, then with its wait status.
FORKING = """
import json, os, signal, sys
from ssmgate import cold_start
from ssmgate.gate import start as gate, process
from ssmgate.gate.plugin import restore_terminal
for line in sys.stdin:
    environ, marker, alarm = json.loads(line)
    pid = os.fork()
    if not pid:
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)
        os.environ.clear()
        os.environ.update(environ)
        if marker:
            def is_ours():
                # Not signal.pause(): the signal may come first.
                read, write = os.pipe()
                os.set_blocking(write, False)
                signal.set_wakeup_fd(write)
                open(marker, "w").close()
                os.read(read, 1)
                signal.set_wakeup_fd(-1)
                os.close(read)
                os.close(write)
            restore_terminal.is_ours, os.isatty = is_ours, lambda number: True
        signal.setitimer(signal.ITIMER_REAL, alarm)
        argv = ["ssm", "start-session", "--target", "i-02573cafcfEXAMPLE"]
        process.run(lambda environ: cold_start.start(argv, environ, None, start_daemon=False))
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Forking:
    """The test's side of the forking process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORKING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running = 0

    def begin(self, machine: Machine, marker: Path | None = None, alarm: float = 0) -> int:
        """Begin a start that waits for a signal, with `marker`, where it would execute the
        plugin.
        """
        assert self.process.stdin
        if self._running:  # a test has failed
            with suppress(ProcessLookupError):
                os.kill(self._running, signal.SIGKILL)
            self.end()
        line = json.dumps([machine.environ, str(marker or ""), alarm])
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        self._running = self._number()
        return self._running

    def end(self) -> int:
        """Return the exit status of the start, or minus the number of the signal."""
        status = self._number()
        self._running = 0
        return os.waitstatus_to_exitcode(status)

    def _number(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def forking() -> Iterator[Forking]:
    forking = Forking()
    yield forking
    forking.process.kill()
    forking.process.communicate()


def counts(machine: Machine) -> tuple[int, int]:
    """Return how many sessions were started, and how many were terminated."""
    return len(machine.aws.calls("StartSession")), len(machine.aws.calls("TerminateSession"))


def expected(number: int) -> int:
    return 130 if number == signal.SIGINT else -number


def signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else str(number)


ENDING_FIRST = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)
# Of the real-time signals, which are all alike, the first, one more, and the last.
EACH = tuple(
    number
    for number in takeover.ENDING
    if number <= signal.SIGRTMIN or number in (signal.SIGRTMIN + 7, signal.SIGRTMAX)
)


def when_noted(pid: int, number: int) -> None:
    """Return when a signal that was sent is no longer pending."""
    wait_until(lambda: number not in masks(pid)["SigPnd"] | masks(pid)["ShdPnd"])


@dataclass
class Start:
    """A start in one of the ways, until a signal ends it."""

    machine: Machine
    directory: Path
    forking: Forking

    def begin(self, way: str, marker: Path | None = None) -> int:
        """Begin the start. With `marker` it waits where it would execute the plugin."""
        self._client: subprocess.Popen[str] | None = None
        if way != "daemon":
            return self.forking.begin(self.machine, marker)
        self._client, _ = daemon_client.begin(self.machine, self.directory)
        return self._client.pid

    def end(self) -> int:
        """Return the exit status, or minus the number of the signal."""
        if self._client is None:
            return self.forking.end()
        self._client.communicate("", timeout=waiting.seconds(60))
        return self._client.returncode


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    home = tmp_path_factory.mktemp("home")
    environ = {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    with running(environ) as daemon:
        yield daemon


@pytest.fixture
def start(
    machine: Machine, forking: Forking, tmp_path: Path, request: pytest.FixtureRequest, way: str
) -> Start:
    if way == "daemon":
        machine.environ["HOME"] = request.getfixturevalue("daemon").environ["HOME"]
    start = Start(machine, tmp_path, forking)
    if way == "cached":
        del machine.environ["SSMGATE_CACHE_TTL"]
        start.begin(way)
        assert start.end() == 0
        machine.aws.received.clear()
        machine.aws.answered.clear()
        (machine.plugin.directory / "argv").unlink()
    return start


def during_check(start: Start, way: str) -> tuple[int, Callable[[], object]]:
    go = threading.Event()
    start.machine.aws.script("SimulatePrincipalPolicy", after(go, evaluation()))
    pid = start.begin(way)
    start.machine.aws.wait_for("SimulatePrincipalPolicy")
    return pid, lambda: None


def during_answer(start: Start, way: str) -> tuple[int, Callable[[], object]]:
    go = threading.Event()
    start.machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    pid = start.begin(way)
    start.machine.aws.wait_for("StartSession")
    return pid, go.set


def during_handover(start: Start, way: str) -> tuple[int, Callable[[], object]]:
    """Stop the client of a daemon before it has read what the worker hands over."""
    marker = start.directory / "waits"
    if way != "daemon":
        pid = start.begin(way, marker)
        wait_until(marker.exists)
        return pid, lambda: None
    pid, answer = during_answer(start, way)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: daemon_client.state(pid) == "T")
    answer()
    return pid, lambda: os.kill(pid, signal.SIGCONT)


MOMENTS = {
    # The function that waits for the moment, and how many sessions were started by then.
    "check": (during_check, 0),
    "answer": (during_answer, 1),
    "handover": (during_handover, 1),
}


@pytest.mark.parametrize("number", EACH, ids=signal_name)
@pytest.mark.parametrize(
    ("way", "moment"),
    [(way, moment) for way in WAYS for moment in MOMENTS if (way, moment) != ("cached", "check")],
)
def test_signal_leaves_no_session(start: Start, way: str, moment: str, number: int) -> None:
    wait, sessions = MOMENTS[moment]
    pid, go = wait(start, way)

    os.kill(pid, number)
    if moment == "answer":
        when_noted(pid, number)
        os.kill(pid, signal.SIGUSR2)  # what comes later changes nothing
    go()

    assert start.end() == expected(number)
    wait_until(lambda: counts(start.machine)[1] == sessions)  # the worker may end after the client
    assert counts(start.machine) == (sessions, sessions)
    assert start.machine.aws.sessions_left() == []
    assert not start.machine.plugin.started


def masks(pid: int) -> dict[str, set[int]]:
    """Return the sets of signals in /proc/PID/status, by their names there."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    texts = {name: text for name, _, text in (line.partition(":\t") for line in lines)}
    return {
        name: {n for n in range(1, 65) if int(texts[name], 16) >> (n - 1) & 1}
        for name in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")
    }


def test_stopped_start_goes_on(machine: Machine, forking: Forking) -> None:
    """Ctrl-Z has its default action, and so have signals that end no process."""
    go = threading.Event()
    machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    pid = forking.begin(machine)
    machine.aws.wait_for("StartSession")
    found = masks(pid)
    os.kill(pid, signal.SIGSTOP)
    go.set()
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    os.kill(pid, signal.SIGCONT)

    assert forking.end() == 0
    assert counts(machine) == (1, 0)
    assert machine.plugin.started
    untouched = {"TSTP", "TTIN", "TTOU", "CHLD", "WINCH", "CONT", "URG", "SEGV", "BUS", "FPE"}
    assert not found["SigCgt"] & {getattr(signal, f"SIG{name}") for name in untouched}
    assert found["SigCgt"] >= set(takeover.ENDING)
    assert found["SigBlk"] == set()


def wait_until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if true():
            return
        pause.wait(0.01)
    raise TimeoutError


def test_ends_by_signal_when_termination_fails(machine: Machine, forking: Forking) -> None:
    go = threading.Event()
    machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    machine.aws.script("TerminateSession", json_error("AccessDeniedException", "no"))
    pid = forking.begin(machine)
    machine.aws.wait_for("StartSession")
    os.kill(pid, signal.SIGUSR1)
    go.set()

    assert forking.end() == -signal.SIGUSR1
    assert counts(machine) == (1, 1)


# Before anything was sent.


@contextmanager
def unaccepting() -> Iterator[str]:
    """Yield the URL of a port that accepts no connection: its queue is full."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with suppress(TimeoutError):
            while True:
                sock = waiting.enter_context(socket.socket())
                sock.settimeout(0.3)
                sock.connect(listener.getsockname())
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"


def connects(pid: int, url: str) -> bool:
    """Return whether the process, which holds signals, waits for a connection to `url`."""
    if signal.SIGUSR1 not in masks(pid)["SigCgt"]:
        return False
    port = f"{int(url.rpartition(':')[2]):04X}"
    sockets = {
        fields[9]
        for fields in map(str.split, Path(f"/proc/{pid}/net/tcp").read_text().splitlines())
        if fields[2].endswith(f":{port}") and fields[3] == "02"  # SYN_SENT
    }
    opened = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            opened.add(os.readlink(descriptor).removeprefix("socket:[").rstrip("]"))
    return bool(sockets & opened)


@pytest.mark.parametrize("number", ENDING_FIRST, ids=signal_name)
def test_signal_ends_start_that_has_no_connection(
    machine: Machine, forking: Forking, number: int
) -> None:
    with unaccepting() as url:
        machine.environ["AWS_ENDPOINT_URL_SSM"] = url
        pid = forking.begin(machine)
        machine.aws.wait_for("SimulatePrincipalPolicy")
        wait_until(lambda: connects(pid, url))

        os.kill(pid, number)

        assert forking.end() == expected(number)
    assert machine.aws.calls("TerminateSession") == []


# The alarm of the caller.


def test_alarm_during_check_ends_it(machine: Machine, forking: Forking) -> None:
    go = threading.Event()
    machine.aws.script("SimulatePrincipalPolicy", after(go, evaluation()))
    forking.begin(machine, alarm=0.5)

    assert forking.end() == -signal.SIGALRM
    go.set()
    assert counts(machine) == (0, 0)


def test_alarm_during_start_terminates_session(machine: Machine, forking: Forking) -> None:
    machine.aws.script("StartSession", slowly(json_ok(STARTED), 1.5))
    forking.begin(machine, alarm=1)

    assert forking.end() == -signal.SIGALRM
    assert machine.aws.sessions_left() == []
    assert not machine.plugin.started


@pytest.mark.starts
def test_plugin_gets_rest_of_alarm(machine: Machine) -> None:
    machine.plugin.on_start(
        f"exec {sys.executable} -c 'import signal; print(*signal.getitimer(signal.ITIMER_REAL))'"
    )
    code = (
        "import os, signal, sys; signal.setitimer(0, 500, 60); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    with machine.program(sys.executable, "-c", code) as process:
        stdout, _ = process.communicate(timeout=60)

    left, interval = map(float, stdout.split())
    assert 0 < left < 500
    assert interval == 60


# A standard error that is full and that nothing reads.


@contextmanager
def unread() -> Iterator[tuple[int, int]]:
    """Return both ends of a pipe."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def fill(writing: int) -> None:
    """Write until the pipe is full. All owners of the descriptor share its O_NONBLOCK flag."""
    flags = fcntl.fcntl(writing, fcntl.F_GETFL)
    fcntl.fcntl(writing, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    for size in (4096, 1):
        while select.select([], [writing], [], 0)[1]:
            try:
                os.write(writing, b"x" * size)
            except BlockingIOError:
                break
    fcntl.fcntl(writing, fcntl.F_SETFL, flags)


def filling(writing: int, answer: Answer, *more: Callable[[], object]) -> Answer:
    """Fill the pipe, then send `answer`."""

    def fill_and_answer(handler: object, received: object) -> None:
        fill(writing)
        for one in more:
            one()
        answer(handler, received)  # type: ignore[arg-type]

    return fill_and_answer


def begin(machine: Machine, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        stderr=stderr,
        cwd=machine.home,
    )


@pytest.mark.starts
def test_blocked_warning_does_not_keep_session_open(machine: Machine) -> None:
    """The warnings are that the plugin is old, and that the start could not be recorded."""
    machine.plugin.version("1.2.600.0")
    log = Log(machine.home / "syslog")
    machine.environ["SSMGATE_RECORD_SYSLOG"] = log.path
    with unread() as (_, writing):
        machine.aws.script("StartSession", filling(writing, json_ok(STARTED), log.close))
        process = begin(machine, writing)

        assert process.wait(60) == 0
    assert machine.plugin.started
    assert counts(machine) == (1, 0)


@pytest.mark.starts
def test_signal_ends_start_with_blocked_stderr(machine: Machine) -> None:
    machine.plugin.version("1.2.600.0")
    go = threading.Event()
    with unread() as (_, writing):
        machine.aws.script("StartSession", after(go, filling(writing, json_ok(STARTED))))
        process = begin(machine, writing)
        machine.aws.wait_for("StartSession")
        process.terminate()
        when_noted(process.pid, signal.SIGTERM)
        go.set()

        assert process.wait(60) == -signal.SIGTERM
    assert counts(machine) == (1, 1)
    assert machine.aws.calls("TerminateSession")[0].parameters == {"SessionId": SESSION_ID}


@pytest.mark.starts
def test_full_pipe_starts_no_session(machine: Machine) -> None:
    """The warning about the plugin blocks before the session exists."""
    machine.plugin.version("1.2.600.0")
    with unread() as (_, writing):
        fill(writing)
        process = begin(machine, writing)
        machine.aws.wait_for("SimulatePrincipalPolicy")
        process.terminate()

        assert process.wait(60) == -signal.SIGTERM
    assert machine.aws.sessions_left() == []
