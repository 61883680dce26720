"""The ways to make a start: cold, with cached answers, by a daemon. The result is the same.

A test with the mark `starts` runs in each way, or in those that the mark names: its row
`test_x[a]` is the cold one, `test_x[a-cached]` and `test_x[a-daemon]` are the others. `--way`
selects the rows of one way. All other tests run once, cold.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fakes.capabilities import drop_bounding_set, start_privileged_thread
from fakes.daemons import Daemons
from fakes.forks import Forks
from fakes.waiting import seconds
from plugins import sampling

COLD, CACHED, DAEMON = WAYS = ("cold", "cached", "daemon")

daemons = Daemons()
forks = Forks()

FORKED = (
    "functional/test_cache.py",
    "functional/test_check.py",
    "functional/test_policy_audit.py",
    "functional/test_policy_check.py",
    "functional/test_policy_lint.py",
    "functional/test_policy_test.py",
    "functional/test_completions.py",
    "functional/test_preconnect.py",
    "functional/test_faults.py",
    "functional/test_decisions.py",
    "functional/test_identity.py",
    "functional/test_restrictions.py",
    "functional/test_records.py",
    "functional/test_refine.py",
    "functional/test_secrets.py",
    "functional/test_shim.py",
)
"""Files whose runs of the program are made by a fork of a loaded one.

Not those that are about the process itself: its signals, its descriptors, its terminal, and what
is loaded from where. `sampling.AS_PROCESSES` of these rows are processes of their own all the same.
"""

_now = {"way": COLD, "forked": False}


def now() -> str:
    """Return the way in which the running test makes starts."""
    return str(_now["way"])


def forked() -> bool:
    """Return whether the running test may run the program in forks."""
    return bool(_now["forked"])


def python(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str | Path,
    input: str | None = None,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGV`, in a fork of a loaded process where the running test permits it.

    `input` is its standard input, empty by default. stdout and stderr are captured.
    """
    limit = seconds(timeout)
    if forked():
        return forks.run(argv, env=env, cwd=cwd, input=input, timeout=limit)
    return subprocess.run(
        [sys.executable, *argv],
        env=env,
        cwd=cwd,
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
        preexec_fn=drop_bounding_set if now() == DAEMON else None,
    )


_without_capabilities = ThreadPoolExecutor(1, initializer=drop_bounding_set)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test with a daemon in a thread whose programs have no capabilities.

    A daemon serves no process with CAP_SYS_ADMIN, which programs of root have, and each thread has
    its own bounding set. Set-up and tear-down of such a row keep their capabilities.
    """
    if now() != DAEMON:
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    _without_capabilities.submit(pyfuncitem.obj, **arguments).result()
    return True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--way", choices=("all", *WAYS), default="all", help="how starts are made")


@pytest.fixture(autouse=True)
def way(request: pytest.FixtureRequest) -> str:
    """Return the way of this row."""
    return str(getattr(request, "param", COLD))


@pytest.hookimpl(trylast=True)  # its name is the last of the row's
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if mark := metafunc.definition.get_closest_marker("starts"):
        rows = [pytest.param(each, id=_id(each)) for each in mark.args or WAYS]
        metafunc.parametrize("way", rows, indirect=True)


def _id(each: str) -> Any:
    return pytest.HIDDEN_PARAM if each == COLD else each


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select only tests that make starts, unless the way is the cold one."""
    wanted = config.getoption("way")
    if wanted != "all":
        sampling.leave(config, items, lambda item: sampling.way_of(item) == wanted)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Set the way before any fixture: fixtures of a module may make starts too."""
    _now["way"] = sampling.way_of(item)
    _now["forked"] = (
        sampling.way_of(item) != DAEMON
        and sampling.file_of(item) in FORKED
        and item.get_closest_marker("process") is None
        and not sampling.as_process(item)
    )


@pytest.fixture(autouse=True)
def _no_daemon_stays(way: str) -> Any:
    yield
    daemons.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    daemons.made += getattr(node, "workeroutput", {}).get("made", 0)


def pytest_configure() -> None:
    start_privileged_thread()


def pytest_sessionfinish(session: pytest.Session) -> None:
    forks.stop()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["made"] = daemons.made
    elif session.config.getoption("way") == DAEMON and not daemons.made:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if daemons.made or terminalreporter.config.getoption("way") == DAEMON:
        terminalreporter.write_line(f"starts that a daemon made: {daemons.made}")
