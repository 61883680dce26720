"""The daemon: what it stores, how many starts it makes, when it ends, and who starts it."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conftest import TARGET, Machine, needs
from fakes.capabilities import drop_bounding_set, has_sys_admin
from fakes.daemon_client import (
    BY_DAEMON,
    COLD,
    DIRECTORY,
    Daemon,
    begin,
    running,
    start,
    state,
    until,
)
from fakes.scripted_aws import STARTED, STREAM_URL, TOKEN, after, json_ok
from fakes.waiting import seconds
from ssmgate.daemon.server import MAX_WORKERS


@pytest.fixture(autouse=True)
def _alone(machine: Machine, tmp_path: Path) -> None:
    """Give each test its own HOME."""
    machine.environ["HOME"] = str(tmp_path / "home")


# What it holds.

SECRETS = {
    "the access key": b"AKIAOFNOBODYELSE",
    "the secret key": b"secret-key-of-this-test",
    "the session token": b"session-token-of-this-test",
    "the document": b"Document-Of-This-Test",
    "the target": b"i-0f0e0d0c0b0a09080",
    "the reason": b"reason-of-this-test",
    "a variable": b"variable-of-this-test",
    "the plugin's token": TOKEN.encode(),
    "the plugin's address": STREAM_URL.encode(),
}


def memory(pid: int) -> Iterator[bytes]:
    """Return all memory that the process can read."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            (
                area,
                rights,
                *_,
            ) = line.split()
            first, last = (int(number, 16) for number in area.split("-"))
            if "r" not in rights or "[v" in line:  # the kernel's own
                continue
            mem.seek(first)
            rest = last - first
            while rest and (part := mem.read(rest)):
                yield part
                rest -= len(part)


def found_in(pid: int, texts: dict[str, bytes]) -> set[str]:
    return {name for part in memory(pid) for name, text in texts.items() if text in part}


def test_daemon_memory_has_no_data_of_start(machine: Machine, tmp_path: Path) -> None:
    secrets = {
        "AWS_ACCESS_KEY_ID": SECRETS["the access key"].decode(),
        "AWS_SECRET_ACCESS_KEY": SECRETS["the secret key"].decode(),
        "AWS_SESSION_TOKEN": SECRETS["the session token"].decode(),
        "MINE": SECRETS["a variable"].decode(),
    }
    words = ["--target", SECRETS["the target"].decode(), "--reason",
             SECRETS["the reason"].decode(), "--document-name",
             SECRETS["the document"].decode()]  # fmt: skip
    # It is started with them, too.
    with running({**machine.environ, **secrets}) as daemon:
        for _ in range(20):
            ended, way = start(machine, tmp_path, *words, verb=("start-session",), **secrets)
            assert (ended.returncode, ended.stderr, way) == (0, "", BY_DAEMON)

        variables = Path(f"/proc/{daemon.pid}/environ").read_bytes().split(b"\0")
        assert {name.partition(b"=")[0] for name in variables} == {
            b"", b"HOME", b"LANG", b"PYTHONWARNINGS"
        }  # fmt: skip
        assert found_in(daemon.pid, SECRETS) == set()
        # The search itself works: this is what it was found by.
        assert found_in(daemon.pid, {"its home": os.fsencode(machine.environ["HOME"])})


def test_worker_memory_contains_request(machine: Machine, tmp_path: Path) -> None:
    """This proves that the search of the other tests finds such data."""
    go = threading.Event()
    machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    with running(machine.environ) as daemon:
        process, _ = begin(machine, tmp_path)
        machine.aws.wait_for("StartSession")
        (pid,) = daemon.children
        found = found_in(pid, {"key": b"secret-of-example", "target": TARGET.encode()})
        go.set()
        process.communicate("", timeout=30)
    assert found == {"key", "target"}


def test_daemon_has_no_descriptor_of_start(machine: Machine, tmp_path: Path) -> None:
    with running(machine.environ) as daemon:
        before = sorted(os.listdir(f"/proc/{daemon.pid}/fd"))
        for _ in range(3):
            start(machine, tmp_path)
        until(lambda: not daemon.children)
        assert sorted(os.listdir(f"/proc/{daemon.pid}/fd")) == before


def anonymous_memory(pid: int) -> int:
    """Return RssAnon in kilobytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])


def test_daemon_memory_does_not_grow(machine: Machine, tmp_path: Path) -> None:
    with running(machine.environ) as daemon:
        for _ in range(5):
            start(machine, tmp_path)
        before = anonymous_memory(daemon.pid)
        for _ in range(60):
            start(machine, tmp_path)
        assert anonymous_memory(daemon.pid) <= before + 256


# How many it makes at once.


def test_hundred_concurrent_starts_succeed(machine: Machine, tmp_path: Path) -> None:
    most = 0
    machine.aws._server.socket.listen(512)  # as many may knock at once
    with running(machine.environ) as daemon:
        begun = []
        for number in range(100):
            directory = tmp_path / str(number)
            directory.mkdir()
            begun.append(begin(machine, directory)[0])
        while any(process.poll() is None for process in begun):
            most = max(most, len(daemon.children))
        ends = [process.communicate("", timeout=60) for process in begun]

        assert {stderr for _, stderr in ends} == {""}
        assert {process.returncode for process in begun} == {0}
        assert state(daemon.pid) != "Z"
    assert 0 < most <= MAX_WORKERS
    assert len(machine.aws.calls("StartSession")) == 100
    assert machine.aws.calls("TerminateSession") == []


def test_queued_client_falls_back_after_timeout(machine: Machine, tmp_path: Path) -> None:
    go = threading.Event()
    usual = machine.aws.answers["GetCallerIdentity"][0]
    machine.aws.script("GetCallerIdentity", after(go, usual), after(go, usual), usual)
    with running(
        machine.environ, constants="server.MAX_WORKERS = 2; server.WAIT_SECONDS = 0.5"
    ) as daemon:
        begun = []
        for number in range(2):
            (tmp_path / str(number)).mkdir()
            begun.append(begin(machine, tmp_path / str(number)))
        machine.aws.wait_for("GetCallerIdentity", 2)
        third, way = start(machine, tmp_path)
        go.set()
        for process, mark in begun:
            process.communicate("", timeout=30)
            assert (process.returncode, mark.exists()) == (0, False)
        until(lambda: daemon.ask("status").returncode == 0)
    assert (third.returncode, third.stderr, way) == (0, "", COLD)
    assert len(machine.aws.calls("StartSession")) == 3


def test_full_queue_rejects_clients(machine: Machine, tmp_path: Path) -> None:
    go = threading.Event()
    usual = machine.aws.answers["GetCallerIdentity"][0]
    machine.aws.script("GetCallerIdentity", after(go, usual), usual)
    with running(
        machine.environ, constants="server.MAX_WORKERS = 1; server.MAX_QUEUED = 1"
    ) as daemon:
        process, _ = begin(machine, tmp_path)
        machine.aws.wait_for("GetCallerIdentity")
        (tmp_path / "third").mkdir()
        with closing(daemon.connected()):
            third, way = start(machine, tmp_path / "third")
        go.set()
        process.communicate("", timeout=30)
        assert state(daemon.pid) != "Z"
    assert (third.returncode, way) == (0, COLD)


# When it ends.


def test_ends_when_idle(machine: Machine, tmp_path: Path) -> None:
    with running(machine.environ, "--idle", "1") as daemon:
        assert daemon.process.wait(30) == 0
        assert list(daemon.directory.glob("????????")) == []


def test_is_not_idle_during_start(machine: Machine, tmp_path: Path) -> None:
    go = threading.Event()
    machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    idle = math.ceil(seconds(1))  # longer than the client takes to connect
    with running(machine.environ, "--idle", str(idle)) as daemon:
        process, mark = begin(machine, tmp_path)
        machine.aws.wait_for("StartSession")
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.process.wait(idle + 1)
        go.set()
        process.communicate("", timeout=30)
        assert (process.returncode, mark.exists()) == (0, False)
        assert daemon.process.wait(30) == 0


def stopped(daemon: Daemon) -> None:
    assert daemon.ask("stop").returncode == 0


def signalled(number: int) -> Callable[[Daemon], None]:
    return lambda daemon: os.kill(daemon.pid, number)


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(stopped, id="stop"),
        pytest.param(signalled(signal.SIGTERM), id="TERM"),
        pytest.param(signalled(signal.SIGINT), id="INT"),
        pytest.param(signalled(signal.SIGHUP), id="HUP"),
    ],
)
def test_stopped_daemon_lets_starts_finish(
    machine: Machine, tmp_path: Path, end: Callable[[Daemon], None]
) -> None:
    go = threading.Event()
    machine.aws.script("StartSession", after(go, json_ok(STARTED)))
    with running(machine.environ) as daemon:
        process, mark = begin(machine, tmp_path)
        machine.aws.wait_for("StartSession")
        end(daemon)
        assert daemon.process.wait(30) == 0
        assert list(daemon.directory.glob("????????")) == []
        assert daemon.ask("status").returncode == 3
        assert daemon.ask("stop").returncode == 3
        go.set()
        _, stderr = process.communicate("", timeout=30)
    assert (process.returncode, stderr, mark.exists()) == (0, "", False)
    assert machine.plugin.started
    assert machine.aws.calls("TerminateSession") == []


def test_ends_when_socket_is_removed(machine: Machine) -> None:
    with running(machine.environ) as daemon:
        daemon.socket.unlink()
        os.kill(daemon.pid, signal.SIGCHLD)  # it looks from time to time, and when it wakes
        assert daemon.process.wait(30) == 0


def test_leaves_socket_of_another_daemon_alone(machine: Machine) -> None:
    with running(machine.environ) as daemon:
        path = daemon.socket
        path.unlink()
        path.write_text("")
        os.kill(daemon.pid, signal.SIGCHLD)
        assert daemon.process.wait(30) == 0
        assert path.exists()


# Who starts it.


def test_second_daemon_reports_running_one(machine: Machine, tmp_path: Path) -> None:
    with running(machine.environ) as daemon, running(machine.environ) as second:
        output, _ = second.process.communicate(timeout=30)
        assert second.process.returncode == 255
        assert output == (
            "\nssmgate: [ERROR]: the daemon is already running\n"
            "ssmgate: hint: ssmgate daemon status shows its process\n"
        )
        until(lambda: daemon.ask("status").returncode == 0)
        assert start(machine, tmp_path)[1] == BY_DAEMON


def test_concurrent_daemons_leave_one_running(machine: Machine, tmp_path: Path) -> None:
    argv = [sys.executable, "-P", "-m", "ssmgate", "daemon", "run"]
    begun = [
        subprocess.Popen(
            argv, env=machine.environ, stderr=subprocess.DEVNULL, preexec_fn=drop_bounding_set
        )
        for _ in range(5)
    ]
    try:
        until(lambda: sum(process.poll() is None for process in begun) == 1)
        until(lambda: start(machine, tmp_path)[1] == BY_DAEMON)
    finally:
        for process in begun:
            process.kill()
            process.wait()
    assert sorted(process.returncode for process in begun) == [-9, 255, 255, 255, 255]


@pytest.mark.parametrize("flags", [("-I",), ("-P", "-E"), ("-P", "-O")], ids=" ".join)
def test_daemon_serves_programs_that_run_with_its_flags(
    machine: Machine, flags: tuple[str, ...]
) -> None:
    """The programs of the Debian package run with -I."""
    program = [sys.executable, *flags, "-m", "ssmgate", "daemon"]
    daemon = subprocess.Popen([*program, "run"], env=machine.environ, preexec_fn=drop_bounding_set)

    def status() -> int:
        return subprocess.run(
            [*program, "status"], env=machine.environ, capture_output=True, check=False,
            preexec_fn=drop_bounding_set,
        ).returncode  # fmt: skip

    try:
        until(lambda: daemon.poll() is not None or status() == 0, 30)
        assert status() == 0
    finally:
        daemon.kill()
        daemon.wait()


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_daemon_rejects_directory_of_another_user(machine: Machine, mode: int) -> None:
    directory = Path(machine.environ["HOME"]) / DIRECTORY
    directory.mkdir(parents=True)
    directory.chmod(mode)
    with running(machine.environ) as daemon:
        output, _ = daemon.process.communicate(timeout=30)
    assert daemon.process.returncode == 255
    assert output.startswith("\nssmgate: [ERROR]: the daemon cannot use ~/.cache/ssmgate/daemon: ")


@needs("setpriv")
def test_says_why_it_does_not_run_with_no_new_privs(machine: Machine) -> None:
    with running(machine.environ, before=("setpriv", "--no-new-privs")) as daemon:
        output, _ = daemon.process.communicate(timeout=30)
    assert daemon.process.returncode == 255
    assert output == (
        "\nssmgate: [ERROR]: a daemon cannot run here: with no_new_privs the kernel does not show"
        " what else confines a process\n"
    )


@pytest.mark.skipif(not has_sys_admin(), reason="needs CAP_SYS_ADMIN")
def test_says_why_it_does_not_run_with_all_capabilities(machine: Machine) -> None:
    argv = [sys.executable, "-P", "-m", "ssmgate", "daemon", "run"]
    ended = subprocess.run(
        argv, env=machine.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 255
    assert "a daemon cannot run here: with CAP_SYS_ADMIN " in ended.stderr


@pytest.mark.skipif(not has_sys_admin(), reason="needs CAP_SYS_ADMIN")
def test_does_not_run_with_seccomp_filter_of_a_launcher(machine: Machine, tmp_path: Path) -> None:
    """A launcher with CAP_SYS_ADMIN needs no no_new_privs for it."""
    code = (
        "import os, sys; sys.path.append(sys.argv[1])\n"
        "from fakes import capabilities, confined_client\n"
        "confined_client.filter_calls()\n"
        "capabilities.drop_bounding_set()\n"
        "del os.environ['PYTHONPATH']\n"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    tests = Path(__file__).parents[1]
    launcher = (sys.executable, "-c", code, str(tests))
    environ = {**machine.environ, "PYTHONPATH": str(tests)}
    with running(environ, before=launcher, become=lambda: None) as daemon:
        output, _ = daemon.process.communicate(timeout=30)
    with running(machine.environ) as other:
        argv = [*launcher, sys.executable, "-P", "-m", "ssmgate", "daemon", "status"]
        status = subprocess.run(
            argv, env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert other.ask("status").returncode == 0

    assert daemon.process.returncode == 255
    assert "a daemon cannot run here: process 1 has other seccomp filters " in output
    assert status.returncode == 255
    assert "process 1 has other seccomp filters " in status.stderr


def test_does_not_run_when_turned_off(machine: Machine) -> None:
    with running({**machine.environ, "SSMGATE_DAEMON": "off"}) as daemon:
        output, _ = daemon.process.communicate(timeout=30)
    assert daemon.process.returncode == 253
    assert 'daemon is "off"' in output


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-", ">&-", "2>&-"])
def test_daemon_without_streams_makes_same_starts(
    machine: Machine, tmp_path: Path, closed: str
) -> None:
    machine.plugin.version("1.2.497.0")  # which would have to be reported
    with running(machine.environ, before=("sh", "-c", f'exec "$@" {closed}', "sh")):
        first, way = start(machine, tmp_path, input="x")
        second, _ = start(machine, tmp_path, input="x", SSMGATE_DAEMON="off")
    assert way == BY_DAEMON
    assert first == second
    assert "WARNING" in first.stderr


def test_daemon_that_ignores_signals_makes_interruptible_starts(
    machine: Machine, tmp_path: Path
) -> None:
    machine.aws.script("StartSession", after(threading.Event(), json_ok(STARTED)))
    usual = machine.aws.answers["GetCallerIdentity"][0]
    before = ("sh", "-c", 'trap "" INT QUIT HUP TERM; exec "$@"', "sh")
    with running(machine.environ, before=before) as daemon:
        for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
            go = threading.Event()
            machine.aws.script("GetCallerIdentity", after(go, usual))
            process, _ = begin(machine, tmp_path)
            machine.aws.wait_for("GetCallerIdentity")
            machine.aws.received.clear()
            process.send_signal(number)
            process.communicate("", timeout=30)
            go.set()
            assert process.returncode == -number
            until(lambda: not daemon.children)
    assert machine.aws.calls("StartSession") == []


# Remains from a start.


def daemons(home: str) -> list[int]:
    """Return the ids of the daemons with this HOME."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
            variables = (directory / "environ").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if b"--in-place" in words and b"HOME=" + os.fsencode(home) in variables:
            found.append(int(directory.name))
    return found


@pytest.fixture
def spawned(machine: Machine) -> Iterator[Callable[[], list[int]]]:
    """Return a function that lists the daemons which a test spawned."""
    home = machine.environ["HOME"]
    yield lambda: daemons(home)
    for pid in daemons(home):
        os.kill(pid, signal.SIGKILL)


def test_cold_start_spawns_daemon(
    machine: Machine, tmp_path: Path, spawned: Callable[[], list[int]]
) -> None:
    machine.plugin.on_start(
        'cat /proc/$$/task/$$/children > "$FAKE_PLUGIN/children"; exec 9>&-; exit 7'
    )
    machine.environ |= {"SSMGATE_DAEMON": "auto", "AWS_SESSION_TOKEN": "token-of-example"}
    (tmp_path / "first").mkdir()
    ended, way = start(
        machine,
        tmp_path / "first",
        before=("sh", "-c", 'exec 9> "$0"; exec "$@"', str(tmp_path / "nine")),
    )
    assert (ended.returncode, ended.stderr, way) == (7, "", COLD)

    (cat,) = (machine.plugin.directory / "children").read_text().split() or [""]
    directory = Path(machine.environ["HOME"]) / DIRECTORY
    until(lambda: any(path.is_socket() for path in directory.iterdir()))
    again, way = start(machine, tmp_path)
    assert (again.returncode, again.stderr, way) == (7, "", BY_DAEMON)
    (pid,) = spawned()

    assert str(pid) != cat
    status = Path(f"/proc/{pid}/status").read_text()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    process_group, session, terminal = (int(number) for number in fields[2:5])
    assert (process_group, session, terminal) == (pid, pid, 0)
    assert re.search(r"PPid:\s+(\d+)", status)[1] != str(os.getpid())
    variables = Path(f"/proc/{pid}/environ").read_bytes()
    assert not re.search(rb"AWS_|SSMGATE_|PATH=|FAKE", variables)
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    assert not [link for link in links if "nine" in link or "pipe:" in link or "/dev/pts" in link]
    assert links.count("/dev/null") == 3
    assert found_in(pid, {"key": b"secret-of-example", "token": b"token-of-example"}) == set()


def test_ten_cold_starts_spawn_one_daemon(
    machine: Machine, tmp_path: Path, spawned: Callable[[], list[int]]
) -> None:
    machine.environ["SSMGATE_DAEMON"] = "auto"
    begun = []
    for number in range(10):
        directory = tmp_path / str(number)
        directory.mkdir()
        begun.append(begin(machine, directory)[0])
    for process in begun:
        _, stderr = process.communicate("", timeout=60)
        assert (process.returncode, stderr) == (0, "")
    until(lambda: start(machine, tmp_path)[1] == BY_DAEMON)

    assert len(spawned()) == 1


@pytest.mark.parametrize("switch", ["on", "off", None])
def test_spawns_daemon_only_when_configured(
    machine: Machine, tmp_path: Path, spawned: Callable[[], list[int]], switch: str | None
) -> None:
    ended, way = start(machine, tmp_path, SSMGATE_DAEMON=switch)

    assert (ended.returncode, way) == (0, COLD)
    assert spawned() == []
    assert not (Path(machine.environ["HOME"]) / DIRECTORY).exists()


def test_denied_start_spawns_no_daemon(
    machine: Machine, tmp_path: Path, spawned: Callable[[], list[int]]
) -> None:
    ended, _ = start(machine, tmp_path, SSMGATE_DAEMON="auto", SSMGATE_TARGETS_ALLOW="mi-*")

    assert ended.returncode == 254
    assert spawned() == []


def test_failing_spawn_does_not_affect_start(
    machine: Machine, tmp_path: Path, spawned: Callable[[], list[int]]
) -> None:
    (Path(machine.environ["HOME"]) / ".cache").write_text("no directory")

    ended, way = start(machine, tmp_path, SSMGATE_DAEMON="auto")

    assert (ended.returncode, ended.stderr, way) == (0, "", COLD)
    assert spawned() == []


def test_signal_during_spawn_ends_start(machine: Machine) -> None:
    """The daemon is spawned before the session exists, which no signal may leave open."""
    code = (
        "import os, signal\n"
        "from ssmgate.daemon import spawn as launch\n"
        "launch.spawn_background_daemon = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"from ssmgate.__main__ import run; run(['ssm', 'start-session', '--target', {TARGET!r}])"
    )
    environ = {**machine.environ, "SSMGATE_DAEMON": "auto"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=environ,
        timeout=60,
        check=False,
        preexec_fn=drop_bounding_set,
    )

    assert ended.returncode == -signal.SIGTERM
    assert not machine.plugin.started
    assert machine.aws.calls("StartSession") == []
