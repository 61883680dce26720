"""The record of a session's end: what it has, and that the start is the same without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pexpect
import pytest

from conftest import TARGET, Machine
from fakes.log import Log
from fakes.needs import require
from fakes.scripted_aws import ACCOUNT, SESSION_ID, TOKEN
from fakes.waiting import until

pytestmark = [pytest.mark.starts, pytest.mark.process]

PROGRAM = (sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET)
READY = 'echo > "$FAKE_PLUGIN/ready"; '


@pytest.fixture
def log(machine: Machine) -> Iterator[Log]:
    log = Log(machine.home / "syslog")
    machine.environ["SSMGATE_RECORD_SYSLOG"] = log.path
    yield log
    with suppress(FileNotFoundError):
        log.close()


def end_of(log: Log) -> dict[str, Any]:
    decision, start, end = log.records
    assert decision["decision_id"] == start["decision_id"] == end["decision_id"]
    return end


def begun(machine: Machine, **streams: Any) -> subprocess.Popen[bytes]:
    """Begin a start, and return when its plugin is ready."""
    process = subprocess.Popen(PROGRAM, env=machine.variables(), **streams)
    until((machine.plugin.directory / "ready").exists)
    return process


@pytest.mark.parametrize("status", [0, 3, 127, 128, 255])
def test_end_has_exit_status_and_session(machine: Machine, log: Log, status: int) -> None:
    machine.plugin.on_start(f"echo out; exit {status}")
    ended = machine.run("--target", TARGET, "--document-name", "Dev-Shell")

    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "out\n", "")
    end = end_of(log)
    assert (end["event"], end["session_id"]) == ("end", SESSION_ID)
    # 255 - 128 is not the number of a signal: there are 64.
    assert (end["exit_code"], end["signal"]) == (status, None)
    assert 0 <= end["duration"] < 60
    assert end["caller"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (end["target"], end["document"]) == (TARGET, "Dev-Shell")
    assert end["versions"].keys() == {"ssmgate", "awscli", "plugin"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_end_has_signal_that_ended_plugin(machine: Machine, log: Log, number: int) -> None:
    """It is sent to the process that was started, whose child the plugin is."""
    machine.plugin.on_start(f"{READY} exec sleep 60")
    process = begun(machine)
    process.send_signal(number)

    assert process.wait(30) == 128 + number
    end = end_of(log)
    assert (end["exit_code"], end["signal"]) == (128 + number, number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_signal_reaches_plugin_that_handles_it(machine: Machine, log: Log, number: int) -> None:
    code = (
        "import signal, sys, pathlib, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(7))\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "time.sleep(60)\n"
    )
    machine.plugin.on_start(f"exec {sys.executable} -c '{code}' \"$FAKE_PLUGIN/ready\"")
    process = begun(machine)
    process.send_signal(number)

    assert process.wait(30) == 7
    assert end_of(log)["exit_code"] == 7


def test_reader_of_stdout_notices_that_plugin_ended(machine: Machine, log: Log) -> None:
    """ssh waits for the end of its ProxyCommand's output: it must not wait for the record."""
    log.close()
    os.mkfifo(log.path)  # connecting to it fails at once
    machine.plugin.on_start("cat; echo bye")
    with subprocess.Popen(
        PROGRAM, env=machine.variables(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        stdout, _ = process.communicate(b"hello\n", timeout=60)
    assert (process.returncode, stdout) == (0, b"hello\nbye\n")


def test_writer_to_stdin_notices_that_plugin_ended(machine: Machine, log: Log) -> None:
    """The shell must not hold the other end of the pipe open."""
    helper = machine.home / "python"
    helper.write_text(f'#!/bin/sh\necho > "{machine.home}/waits"\nexec sleep 60\n')
    helper.chmod(0o755)
    code = (
        "import sys; from ssmgate.gate.records import end\n"
        f"end.sys = type('sys', (), dict(executable={str(helper)!r}, flags=sys.flags))\n"
        "from ssmgate.__main__ import run; run(['ssm', 'start-session', *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--target", TARGET],
        env=machine.variables(SSMGATE_DAEMON="off"), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        until((machine.home / "waits").exists)
        assert process.poll() is None
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.read() == b""
        with pytest.raises(BrokenPipeError):
            os.write(process.stdin.fileno(), b"x")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with suppress(BrokenPipeError):
            process.communicate()


def test_closed_stdin_starts_session_without_end_record(machine: Machine, log: Log) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", '"$@" <&-', "sh", *PROGRAM], env=machine.variables(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [record["event"] for record in log.records] == ["decision", "start"]


@pytest.mark.parametrize("required", ["true", "false"])
def test_failing_record_of_end_does_not_change_status(
    machine: Machine, log: Log, required: str
) -> None:
    machine.plugin.on_start(f'rm "{log.path}"; exit 3')
    ended = machine.run("--target", TARGET, SSMGATE_RECORD_REQUIRED=required)

    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        "ssmgate: [WARNING]: cannot write the record of the session's end: syslog"
    )
    assert machine.aws.calls("TerminateSession") == []


def test_arguments_of_waiting_shell_have_no_secrets(machine: Machine, log: Log) -> None:
    """The arguments of a process can be read by other users."""
    machine.plugin.on_start('tr "\\0" "\\n" < /proc/$PPID/cmdline > "$FAKE_PLUGIN/above"')
    assert machine.run("--target", TARGET).returncode == 0

    above = (machine.plugin.directory / "above").read_text()
    assert SESSION_ID in above
    assert not any(secret in above for secret in (TOKEN, "secret-of"))


def test_plugin_gets_same_with_and_without_end_record(machine: Machine) -> None:
    """Also where the environment has variables with the names of the script's."""
    own = {"signal": "a", "child": "b", "status": "c", "saved": "d"}
    seen = []
    for record in ({}, {"SSMGATE_RECORD_FILE": "/nonexistent/records"}):
        machine.run("--target", TARGET, **own, **record)
        environ = {k: v for k, v in machine.plugin.environ.items() if k not in record}
        fds = (machine.plugin.directory / "fds").read_text()
        seen.append((environ, machine.plugin.argv, fds, machine.plugin.ignored_signals))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_records_end_and_restores_terminal(machine: Machine, log: Log, shell: str) -> None:
    machine.plugin.on_start("stty -icanon -echo; exit 9")
    code = (
        "import sys; from ssmgate.__main__ import run\n"
        f"import ssmgate.gate.plugin.restore_terminal as t; t._SHELL = {require(shell)!r}\n"
        "run(['ssm', 'start-session', *sys.argv[1:]])"
    )
    child = pexpect.spawn(
        sys.executable, ["-c", code, "--target", TARGET], env=machine.variables(),  # type: ignore[arg-type]
        timeout=30,
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.wait()

    assert child.exitstatus == 9
    end = end_of(log)
    assert (end["exit_code"], end["process"]["pid"]) == (9, child.pid)
    assert end["process"]["started_by"] == "person"


def test_no_interpreter_remains_while_session_runs(machine: Machine, log: Log) -> None:
    machine.plugin.on_start(f"{READY} read line")
    process = begun(machine, stdin=subprocess.PIPE)
    command = Path(f"/proc/{process.pid}/comm").read_text().strip()
    process.communicate(b"\n", timeout=30)

    assert command == "sh"
    assert end_of(log)["exit_code"] == 0
