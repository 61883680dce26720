"""Run mutants: each in a fork of its own, where its tests run up to the first that fails.

There are two ways. *In place*, the tests are collected once, and each fork exchanges the code of
one function, or the module's constants, in what is loaded: quick, but what a test computed while it
was imported stays as it was. *Anew*, the fork loads ssmgate and the tests again, with the change:
so everything is tried that survives in place, and what cannot be exchanged (defaults, classes).
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib.machinery
import json
import math
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.main import pytest_runtestloop as run_tests
from hypothesis import Phase, settings

from mutants.mutations import Mutation

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ssmgate"

LIMIT_FACTOR, LIMIT_SECONDS = 10, 60
"""How long a mutant may take: so many times what its tests take without a change, and seconds."""

ARGUMENTS = [
    "-x", "-q", "-s", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
    "--timeout=0", "-o", "faulthandler_timeout=0",
    f"--rootdir={ROOT}", "-c", str(ROOT / "pyproject.toml"),
]  # fmt: skip


class Quick:
    """Few examples, the same in each run, without a search for a smaller one."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            test: Any = getattr(item, "obj", None)
            if used := getattr(test, "_hypothesis_internal_use_settings", None):
                test._hypothesis_internal_use_settings = settings(
                    used, derandomize=True, database=None, max_examples=30,
                    phases=(Phase.explicit, Phase.generate),
                )  # fmt: skip


@dataclass
class Ended:
    """The names of the work by its result: `passed` with status 0, `late` after the limit."""

    passed: list[Any] = field(default_factory=list)
    late: list[Any] = field(default_factory=list)


class InPlace:
    """Run the tests of a session once for each of `mutants`, and write down the results."""

    def __init__(
        self, path: Path, tree: ast.Module, mutants: Sequence[Mutation], jobs: int, log: Path
    ) -> None:
        self._path = path
        self._tree = tree
        self._mutants = mutants
        self._jobs = jobs
        self._log = log
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0) + report.duration

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        log = self._log.with_name("seconds")

        def unchanged() -> int:
            exchange(self._path, self._tree)
            run_tests(session)
            log.write_text(json.dumps(self._seconds))
            return session.testsfailed

        began = time.monotonic()
        if not in_forks([("", unchanged)], 1, math.inf).passed:
            return True
        limit = LIMIT_SECONDS + LIMIT_FACTOR * (time.monotonic() - began)
        seconds = json.loads(log.read_text())
        # A test that is quick and fails spares the slow ones.
        session.items.sort(key=lambda item: seconds.get(item.nodeid, 0))

        def changed(index: int, mutation: Mutation) -> Callable[[], int]:
            def run() -> int:
                # Forks would empty each other's directory.
                paths: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
                paths._given_basetemp = self._log.with_name(str(index))
                os.chdir(self._log.parent)  # a mutant may write and delete where it is
                mutation.apply()
                exchange(self._path, self._tree)
                run_tests(session)
                return session.testsfailed

            return run

        work = [(index, changed(index, mutant)) for index, mutant in enumerate(self._mutants)]
        ended = in_forks(work, self._jobs, limit)
        self._log.write_text(json.dumps([ended.passed, ended.late, limit]))
        return True


def survivors(module: str, tree: ast.Module, mutants: Sequence[Mutation], tests: Sequence[Path],
              jobs: int, *, show: bool) -> Ended | None:  # fmt: skip
    """Return the `mutants` for which no test fails; None if a test fails without a change.

    With `show` all of them run anew, and the output of pytest is shown.
    """
    path = SOURCE / module
    arguments = [*ARGUMENTS, *map(str, tests)]
    exchangeable = [] if show else [mutant for mutant in mutants if mutant.exchangeable]

    def in_place(log: Path) -> int:
        quiet()
        plugins = [Quick(), InPlace(path, tree, exchangeable, jobs, log)]
        return pytest.main([*arguments, f"--basetemp={log.parent}/tests"], plugins=plugins)

    def anew(mutation: Mutation) -> int:
        if not show:
            quiet()
        mutation.apply()
        load_from(path, tree)
        with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
            os.chdir(directory)
            return pytest.main([*arguments, f"--basetemp={directory}/tests"], plugins=[Quick()])

    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        log = Path(directory) / "ended"
        in_forks([("", partial(in_place, log))], 1, math.inf)
        if not log.exists():
            return None
        passed, late, limit = json.loads(log.read_text())
    left = [exchangeable[index] for index in passed]
    waiting = [mutant for mutant in mutants if mutant in left or mutant not in exchangeable]
    ended = in_forks([(mutant, partial(anew, mutant)) for mutant in waiting], jobs, limit)
    ended.late += [exchangeable[index] for index in late]
    return ended


def in_forks(work: Sequence[tuple[Any, Callable[[], int]]], jobs: int, limit: float) -> Ended:
    """Run each of `work` in a fork, `jobs` at once, each for at most `limit` seconds."""
    running: dict[int, tuple[Any, float]] = {}
    waiting = list(reversed(work))
    found = Ended()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                name, run = waiting.pop()
                running[_fork(run, apart=limit < math.inf)] = name, time.monotonic()
            for pid, (name, since) in list(running.items()):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del running[pid]
                    _end_group(pid)
                    if status == 0:
                        found.passed.append(name)
                    elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
                        found.late.append(name)
                elif time.monotonic() - since > limit:
                    _end_group(pid)
            time.sleep(0.005)
    finally:
        for pid in running:
            _end_group(pid)
    return found


def _fork(run: Callable[[], int], *, apart: bool) -> int:
    """Start `run` in a fork, with `apart` in a process group of its own, which Ctrl-C spares."""
    pid = os.fork()
    if pid:
        if apart:
            with contextlib.suppress(OSError):  # it may have done so itself
                os.setpgid(pid, pid)
        return pid
    status = 3
    try:
        if apart:
            os.setpgid(0, 0)
        status = int(run())
    except Exception:
        traceback.print_exc()
    except BaseException:  # the end of a session at its first failure, for one
        status = 3
    finally:
        os._exit(min(status, 3))


def _end_group(pid: int) -> None:
    """Kill a mutant, and the processes that its tests left running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def quiet() -> None:
    """Discard all output from here on."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def load_from(path: Path, tree: ast.Module) -> None:
    """Load the module at `path` from `tree`, and all of ssmgate anew."""
    code = compile(tree, str(path), "exec", dont_inherit=True)
    get_code = importlib.machinery.SourceFileLoader.get_code

    def get(self: Any, name: str) -> Any:
        return code if self.path == str(path) else get_code(self, name)

    importlib.machinery.SourceFileLoader.get_code = get  # type: ignore[method-assign]
    for name in [name for name in sys.modules if name.split(".")[0] == "ssmgate"]:
        del sys.modules[name]


def exchange(path: Path, tree: ast.Module) -> None:
    """Put the functions and constants of `tree` into the loaded module at `path`."""
    code = compile(tree, str(path), "exec", dont_inherit=True)
    new = {(c.co_qualname, c.co_firstlineno): c for c in _codes(code)}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename == str(path):
            known = (one.__code__.co_qualname, one.__code__.co_firstlineno)
            if known in new and not one.__code__.co_freevars:
                one.__code__ = new[known]
    modules = [m for m in list(sys.modules.values()) if isinstance(m, ModuleType)]
    module = next(m for m in modules if getattr(m, "__file__", None) == str(path))
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            before = dict(vars(module))
            alone = ast.Module([statement], [])
            exec(compile(alone, str(path), "exec", dont_inherit=True), vars(module))
            for name, value in list(vars(module).items()):
                if name in before and before[name] is not value:
                    _rebind(modules, name, before[name], value)


def _rebind(modules: Sequence[ModuleType], name: str, before: object, value: object) -> None:
    """Set the new value of a constant in all modules that imported it."""
    for module in modules:
        if vars(module).get(name) is before:
            setattr(module, name, value)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
