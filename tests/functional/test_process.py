"""The plugin as a process, after a real allow: its signals, streams, descriptors and status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import FAKES, Machine
from fakes.sandbox import NODE
from fakes.waiting import until

pytestmark = pytest.mark.starts


@pytest.fixture
def machine(resident: Callable[[str], Machine]) -> Machine:
    """Return the machine of a user with access to the default document."""
    return resident("alice")


@pytest.mark.parametrize(
    "name", ["AWS_DATA_PATH", "BOTOCORE_EXPERIMENTAL__PLUGINS", "AWS_CLI_UPGRADE_DEBUG_MODE"]
)
def test_plugin_gets_variables_that_ssmgate_unsets(machine: Machine, name: str) -> None:
    machine.run("--target", NODE, **{name: "as the caller had it"})

    assert machine.plugin.environ[name] == "as the caller had it"


def test_undecodable_bytes_reach_plugin(machine: Machine) -> None:
    machine.run("--target", NODE, ODD="\udcff\udc80")

    assert b"\nODD=\xff\x80\n" in b"\n" + (machine.plugin.directory / "environ").read_bytes()


def mask(status: str, name: str) -> set[int]:
    """Return the signals in the mask `name` of the text of a /proc/PID/status."""
    bits = int(status.partition(f"{name}:")[2].split()[0], 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}


def test_process_executes_plugin(machine: Machine) -> None:
    with machine.program() as process:
        process.communicate(timeout=30)

    assert int((machine.plugin.directory / "pid").read_text()) == process.pid


def test_plugin_gets_same_signal_dispositions_as_from_cli(machine: Machine) -> None:
    # By exec: a shell blocks signals while it starts another program.
    machine.plugin.on_start("exec grep Sig /proc/self/status")

    status = machine.run("--target", NODE).stdout

    # Signals that are ignored when the tests begin stay ignored, except Python's own two.
    inherited = mask(Path("/proc/self/status").read_text(), "SigIgn") - {
        signal.SIGPIPE,
        signal.SIGXFSZ,
    }
    assert mask(status, "SigIgn") == {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP} | inherited
    assert mask(status, "SigBlk") == set()


@pytest.mark.parametrize(
    ("trap", "number"), [("HUP", signal.SIGHUP), ("TERM", signal.SIGTERM)], ids=["HUP", "TERM"]
)
def test_ignored_signal_stays_ignored(machine: Machine, trap: str, number: int) -> None:
    with machine.program("sh", "-c", f'trap "" {trap}; exec "$@"', "sh") as process:
        process.communicate(timeout=30)

    assert number in mask((machine.plugin.directory / "status").read_text(), "SigIgn")


@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGINT, 7, id="the plugin handles INT"),
        pytest.param(signal.SIGQUIT, 7, id="the plugin handles QUIT"),
        pytest.param(signal.SIGTERM, -signal.SIGTERM, id="TERM ends it"),
        pytest.param(signal.SIGHUP, -signal.SIGHUP, id="HUP ends it"),
    ],
)
def test_signal_after_handover_reaches_plugin(machine: Machine, number: int, status: int) -> None:
    machine.plugin.on_start('touch "$FAKE_PLUGIN/ready"; read _ < "$FAKE_PLUGIN/go"; exit 7')
    go = machine.plugin.directory / "go"
    os.mkfifo(go)
    with machine.program() as process:
        until((machine.plugin.directory / "ready").exists)
        process.send_signal(number)
        if status == 7:
            go.write_text("\n")
        process.communicate(timeout=30)

    assert process.returncode == status
    assert machine.aws.of("ssm:TerminateSession") == []


def test_leaves_no_timer(machine: Machine) -> None:
    """A timer survives exec: SIGALRM would kill the plugin."""
    machine.plugin.on_start("sleep 1.6; exit 5")
    code = (
        "import sys; from ssmgate.gate.access import authorize; authorize.CHECK_SECONDS = 1.5\n"
        "from ssmgate.__main__ import run; run(sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "ssm", "start-session", "--target", NODE],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 5, ended.stderr


def test_leaves_no_descriptors(machine: Machine) -> None:
    subprocess.run(
        [FAKES / "session-manager-plugin", "x"],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    alone = (machine.plugin.directory / "fds").read_text()

    machine.run("--target", NODE)

    assert (machine.plugin.directory / "fds").read_text() == alone


def test_plugin_owns_standard_streams(machine: Machine) -> None:
    machine.plugin.on_start("cat; echo to stderr >&2; pwd")

    ended = machine.run("--target", NODE, input="first line\nsecond\x00line")

    assert ended.stdout == f"first line\nsecond\x00line{os.path.realpath(machine.home)}\n"
    assert ended.stderr == "to stderr\n"


def test_version_probe_reads_no_input(machine: Machine) -> None:
    machine.plugin.on_version("cat > /dev/null")
    machine.plugin.on_start("cat")

    assert machine.run("--target", NODE, input="for the node").stdout == "for the node"


@pytest.mark.parametrize("status", [1, 130, 255])
def test_returns_status_of_plugin(machine: Machine, status: int) -> None:
    machine.plugin.on_start(f"exit {status}")

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", "")
