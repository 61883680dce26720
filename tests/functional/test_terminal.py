"""A start at a terminal: what the plugin gets of it, and the settings afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pexpect
import pytest

from conftest import TARGET, Machine
from fakes.needs import require
from fakes.scripted_aws import TOKEN, Answer, Received
from fakes.typist import hang_up
from fakes.waiting import until

pytestmark = pytest.mark.starts

SHELLS = ("dash", "bash", "busybox")
READY, GO = "ready", "go"

# A plugin in Python that reports what the terminal sends, until it reads "go".
TELLING = f"""exec {sys.executable} -c '
import os, signal, sys, time
def tell(number, frame):
    # Not print: one signal may come while the handler of another prints.
    os.write(1, ("got " + signal.Signals(number).name + "\\n").encode())
for name in "INT QUIT TSTP TERM HUP USR1 ALRM RTMIN RTMAX".split():
    signal.signal(getattr(signal, "SIG" + name), tell)
os.system("stty -icanon -echo")
print("{READY}", flush=True)
while sys.stdin.readline() != "{GO}\\n":
    pass
sys.exit(7)
'"""


@contextmanager
def at_terminal(
    machine: Machine, *words: str, shell: str | None = None
) -> Iterator[pexpect.spawn[str]]:
    """Run `ssm-start-session` as a session leader on a terminal, with `shell` as its /bin/sh."""
    code = "import sys; from ssmgate.__main__ import run; "
    if shell:
        code += f"import ssmgate.gate.plugin.restore_terminal as t; t._SHELL = {require(shell)!r}; "
    code += "run(['ssm', 'start-session', *sys.argv[1:]])"
    child = pexpect.spawn(
        sys.executable,
        ["-c", code, "--target", TARGET, *words],
        env=machine.variables(),  # type: ignore[arg-type]
        cwd=str(machine.home),
        encoding="utf-8",
        timeout=30,
    )
    try:
        yield child
    finally:
        hang_up(child)


def ended(child: pexpect.spawn[str]) -> int:
    """Return the exit status, or minus the signal."""
    child.expect(pexpect.EOF)
    child.wait()
    return -child.signalstatus if child.signalstatus else int(child.exitstatus or 0)


def plugin_pid(machine: Machine) -> int:
    return int((machine.plugin.directory / "pid").read_text())


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def gone(pid: int) -> bool:
    """Return whether the process ends."""

    def has_ended() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    with suppress(TimeoutError):
        until(has_ended)
    return has_ended()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("status", [0, 3, 127, 255])
def test_restores_terminal_settings(machine: Machine, shell: str, status: int) -> None:
    machine.plugin.on_start(f"stty -icanon -echo -isig; stty -a >&2; exit {status}")
    with at_terminal(machine, shell=shell) as child:
        before = termios.tcgetattr(child.child_fd)

        assert ended(child) == status
        assert "-icanon" in (child.before or "")
        assert termios.tcgetattr(child.child_fd) == before


@pytest.mark.parametrize("shell", SHELLS)
def test_terminal_signals_reach_plugin(machine: Machine, shell: str) -> None:
    machine.plugin.on_start(TELLING)
    with at_terminal(machine, shell=shell) as child:
        child.expect_exact(READY)
        for key, name in (("\x03", "SIGINT"), ("\x1c", "SIGQUIT"), ("\x1a", "SIGTSTP")):
            child.send(key)
            child.expect_exact(f"got {name}")
        child.sendline(GO)

        assert ended(child) == 7


@pytest.mark.parametrize("shell", SHELLS)
def test_wrapper_forwards_signal(machine: Machine, shell: str) -> None:
    machine.plugin.on_start(TELLING)
    with at_terminal(machine, shell=shell) as child:
        child.expect_exact(READY)
        for name in (*("TERM", "HUP") * 3, "USR1", "ALRM", "RTMIN", "RTMAX"):
            os.kill(child.pid, getattr(signal, f"SIG{name}"))
            child.expect_exact(f"got SIG{name}")
        child.sendline(GO)

        assert ended(child) == 7


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_plugin_killed_by_forwarded_signal_leaves_nothing(
    machine: Machine, shell: str, number: int
) -> None:
    machine.plugin.on_start(f"stty -icanon -echo; echo {READY}; exec sleep 60")
    with at_terminal(machine, shell=shell) as child:
        before = termios.tcgetattr(child.child_fd)
        child.expect_exact(READY)
        os.kill(child.pid, number)

        assert ended(child) == 128 + number
        assert termios.tcgetattr(child.child_fd) == before
        assert gone(plugin_pid(machine))


@pytest.mark.parametrize("shell", SHELLS)
def test_closed_terminal_ends_wrapper_and_plugin(machine: Machine, shell: str) -> None:
    machine.plugin.on_start(f"echo {READY}; exec sleep 60")
    with at_terminal(machine, shell=shell) as child:
        child.expect_exact(READY)
        pids = (child.pid, plugin_pid(machine))
        with contextlib.suppress(pexpect.ExceptionPexpect):  # it is alive a little longer
            child.close(force=False)

        assert all(gone(pid) for pid in pids)


@pytest.mark.parametrize("shell", SHELLS)
def test_resident_wrapper_is_small(machine: Machine, shell: str) -> None:
    machine.plugin.on_start(f"echo {READY}; read _")
    with at_terminal(machine, shell=shell) as child:
        child.expect_exact(READY)
        assert parent_of(plugin_pid(machine)) == child.pid
        program = os.readlink(f"/proc/{child.pid}/exe")
        rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
        pss = int(rollup.partition("\nPss:")[2].split()[0])
        descriptors = os.listdir(f"/proc/{child.pid}/fd")
        cmdline = Path(f"/proc/{child.pid}/cmdline").read_text()
        child.sendline()

        assert ended(child) == 0
    assert os.path.samefile(program, shutil.which(shell) or "")
    assert pss < 2048, f"{pss} kB"
    # busybox and bash read their script on a descriptor of their own.
    assert len(descriptors) <= 4
    assert TOKEN not in cmdline


@pytest.mark.parametrize("shell", SHELLS)
def test_plugin_gets_same_as_without_terminal(machine: Machine, shell: str) -> None:
    machine.run("--target", TARGET)
    alone = machine.plugin.argv, machine.plugin.environ, machine.plugin.ignored_signals
    fds = (machine.plugin.directory / "fds").read_text()

    with at_terminal(machine, shell=shell) as child:
        assert ended(child) == 0

    argv, environ, ignored = (
        machine.plugin.argv, machine.plugin.environ, machine.plugin.ignored_signals
    )  # fmt: skip
    # bash sets the path of each program and its own depth.
    added = {"_", "SHLVL"} if shell == "bash" else set()
    assert (argv, {k: v for k, v in environ.items() if k not in added}) == alone[:2]
    assert ignored & ~alone[2] == 0
    assert {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP} <= {
        number for number in range(1, 65) if ignored >> (number - 1) & 1
    }
    assert (machine.plugin.directory / "fds").read_text() == fds


def test_background_start_has_no_wrapper(machine: Machine) -> None:
    """A background process may not change the terminal's settings."""
    machine.plugin.on_start('cat "/proc/$PPID/cmdline" > "$FAKE_PLUGIN/parent"; exit 5')
    script = (
        f"set -m; {sys.executable} -m ssmgate start-session --target {TARGET} & wait $!; exit $?"
    )
    child = pexpect.spawn(
        "bash", ["-c", script], env=machine.variables(),  # type: ignore[arg-type]
        encoding="utf-8", timeout=30,
    )  # fmt: skip
    assert ended(child) == 5
    parent = (machine.plugin.directory / "parent").read_text().split("\0")[0]
    assert Path(parent).name == "bash"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.chmod(0o644), id="not executable"),
        pytest.param(lambda path: path.unlink(), id="gone"),
    ],
)
def test_plugin_replaced_during_start_ends_session(
    machine: Machine, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    directory = tmp_path / "bin"
    directory.mkdir()
    plugin = directory / "session-manager-plugin"
    shutil.copy(Path(__file__).parent.parent / "fakes/session-manager-plugin", plugin)
    machine.environ["PATH"] = f"{directory}:{os.environ['PATH']}"
    started = machine.aws.answers["StartSession"][0]

    def spoiling(handler: object, received: Received) -> None:
        spoil(plugin)
        started(handler, received)  # type: ignore[arg-type]

    answer: Answer = spoiling
    machine.aws.script("StartSession", answer)
    with at_terminal(machine) as child:
        assert ended(child) == 255
        assert "SessionManagerPlugin cannot be used" in (child.before or "")
    assert machine.aws.sessions_left() == []
