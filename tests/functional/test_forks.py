"""A fork of the loaded program behaves as the program: otherwise the tests would test a stub."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import evaluation
from fakes.stub_plugin import fair
from fakes.waiting import until
from plugins.ways import forks

SEEN = (
    "import sys, os, json\n"
    "print(json.dumps([sys.argv, sorted(os.environ.items()), os.getcwd(), sys.path[:1],"
    " sys.stdin.read(), os.isatty(0),"
    " sys.stdout.encoding, sys.stdout.line_buffering, sorted(os.listdir('/proc/self/fd'))[:3]]))\n"
    "print('é', file=sys.stderr)\n"
)
START = ("-m", "ssmgate", "start-session", "--target", TARGET)


@pytest.mark.parametrize(
    ("argv", "decision"),
    [
        pytest.param(START, "allowed", id="a start"),
        pytest.param(START, "implicitDeny", id="a refusal"),
        pytest.param((*START, "--nonsense"), "allowed", id="usage"),
        pytest.param((*START, "--debug"), "implicitDeny", id="debug"),
        pytest.param(("-m", "ssmgate", "check", "--target", TARGET), "allowed", id="check"),
        pytest.param(("-P", "-m", "ssmgate", "--help"), "allowed", id="help"),
        pytest.param(("-P", "-m", "ssmgate", "nonsense"), "allowed", id="no such verb"),
        pytest.param(("-c", SEEN, "a b", ""), "allowed", id="what a program sees"),
        pytest.param(("-c", "raise SystemExit('x')"), "allowed", id="an end with a text"),
        pytest.param(("-c", "1 / 0"), "allowed", id="an error"),
        pytest.param(("-c", "import os; os.kill(os.getpid(), 15)"), "allowed", id="a signal"),
        pytest.param(("-c", "import os; os.execvp('sh', ['sh', '-c', 'exit 9'])"), "", id="exec"),
    ],
)
def test_fork_behaves_as_process(machine: Machine, argv: tuple[str, ...], decision: str) -> None:
    machine.plugin.on_start("echo out; echo err >&2; cat; exit 5")
    machine.aws.script("SimulatePrincipalPolicy", evaluation(decision))
    results = []
    for run in (forks.run, subprocess_run):
        machine.aws.received.clear()
        (machine.plugin.directory / "environ").unlink(missing_ok=True)
        ended = run(argv, env=machine.variables(), cwd=machine.home)
        errors = ended.stderr.splitlines()
        results.append(
            (
                ended.returncode,
                ended.stdout,
                # Of --debug and of a traceback: times, addresses and places differ.
                errors if "--debug" not in argv and argv[-1] != "1 / 0" else errors[-1:],
                machine.aws.operations,
                plugin_environ(machine),
            )
        )

    assert results[0] == results[1]


def subprocess_run(
    argv: tuple[str, ...], env: dict[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], env=env, cwd=cwd, stdin=subprocess.DEVNULL, text=True,
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def plugin_environ(machine: Machine) -> dict[str, str]:
    if not (machine.plugin.directory / "environ").exists():
        return {}
    return {k: v for k, v in machine.plugin.environ.items() if k != "_"}


def test_fork_reads_given_input(machine: Machine) -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read())"
    ended = forks.run(["-c", code], env=machine.variables(), cwd=machine.home, input="a\nb")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "a\nb", "")


def test_endless_run_times_out(machine: Machine) -> None:
    pid = machine.home / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"

    with pytest.raises(subprocess.TimeoutExpired):
        forks.run(["-c", code], env=machine.variables(), cwd=machine.home, timeout=2)
    if pid.exists():  # else it was ended before it began
        until(lambda: not Path("/proc", pid.read_text()).exists())


@pytest.mark.parametrize(
    ("name", "value", "whether"),
    [
        ("X", "y", True), ("PYTHONWARNINGS", None, True), ("PYTHONWARNINGS", "ignore", False),
        ("PYTHONPATH", "/x", False), ("LANG", None, False), ("LC_ALL", "C", False),
        ("HOME", None, False), ("AWS_DATA_PATH", "/x", False), ("LD_PRELOAD", "x", False),
    ],
)  # fmt: skip
def test_runs_process_where_interpreter_reads_environment(
    machine: Machine, name: str, value: str | None, whether: bool
) -> None:
    assert fair(machine.variables(**{name: value})) is whether


@pytest.mark.parametrize("before", [{}, {"PYTHONUTF8": "1"}], ids=["a fork", "a process"])
def test_stub_program_exits_as_real_program(machine: Machine, before: dict[str, str]) -> None:
    python = forks.checkout / ".venv" / "bin" / "python"
    environ = machine.variables(**before)
    code = "import os, sys; print(sys.argv, os.getcwd(), sys.stdin.read()); sys.exit(7)"
    ended = subprocess.run(
        [python, "-c", code, "a b"], env=environ, cwd=machine.home, input="x",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    killed = subprocess.run(
        [python, "-c", "import os; os.kill(os.getpid(), 1)"], env=environ, timeout=60, check=False
    )

    assert ended.returncode == 7
    assert ended.stdout == f"['-c', 'a b'] {machine.home} x\n"
    assert killed.returncode == -signal.SIGHUP


def test_programs_see_same_process_attributes(machine: Machine) -> None:
    environ = machine.variables(PYTHONWARNINGS=None)
    seen = []
    for run in (forks.run, subprocess_run):
        code = "import warnings; print([(f[0], f[2].__name__) for f in warnings.filters])"
        seen.append(run(["-c", code], env=environ, cwd=machine.home))

    assert seen[0].stdout == seen[1].stdout != ""
