"""The rules of the house, read from the source: who imports whom, who makes what."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssmgate
from conftest import Machine

SOURCE = Path(ssmgate.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))

# room -> the rooms of ssmgate's that it may import from, itself aside.
MAY_IMPORT = {
    "core": set(),
    "host": {"core"},
    "aws": {"core", "host"},
    "gate": {"core", "host", "aws"},
    "policy": {"core"},
    "sandbox": {"core", "policy"},
    "cli": {"core", "host", "aws"},
    "__main__": {"core", "host", "gate", "cli"},
    "__init__": set(),
}

# What may be imported from outside, the standard library aside.
OUTSIDE = {
    "aws": {"awscli", "botocore", "ruamel"},
    "cli": {"click"},
    "sandbox": {"moto", "werkzeug"},
}

# Beyond these nothing of ssmgate's or of a library's is loaded by a start.
START_PACKAGES = {
    "awscli", "botocore", "colorama", "dateutil", "docutils", "jmespath", "six", "ssmgate",
    "urllib3", "s3transfer",
    "certifi",  # where it is installed, as moto does, botocore takes it
}  # fmt: skip
NEVER_ON_THE_START_PATH = {
    "boto3", "click", "ruamel", "yaml", "rsa", "pyasn1", "awscrt", "moto", "ssmgate.cli",
    "ssmgate.policy", "ssmgate.sandbox",
    "tomllib", "asyncio", "unittest", "pydoc",
}  # fmt: skip


def room(module: Path) -> str:
    parts = module.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield node.module or ""
            if node.module == "ssmgate":
                yield from (f"ssmgate.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_imports_point_one_way(module: Path) -> None:
    here = room(module)
    for name in imports(module):
        top, _, rest = name.partition(".")
        if top == "ssmgate":
            there = rest.partition(".")[0]
            if there in ("", "__version__"):
                continue
            assert there == here or there in MAY_IMPORT[here], f"{here} imports {name}"
        else:
            assert top in sys.stdlib_module_names | OUTSIDE.get(here, set()), (
                f"{here} imports {name}"
            )


def test_core_does_no_input_or_output() -> None:
    effects = {"os", "io", "socket", "subprocess", "pathlib", "sys", "time", "logging", "signal"}
    for module in MODULES:
        if room(module) == "core":
            assert not effects & {name.partition(".")[0] for name in imports(module)}, module


def calls_of(name: str) -> set[str]:
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call):
                function = node.func
                called = getattr(function, "id", None) or getattr(function, "attr", None)
                if called == name:
                    found.add(str(module.relative_to(SOURCE)))
    return found


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("Permit", "core/decision.py"),
        ("override", "gate.py"),
        ("become_aws", "gate.py"),
        ("become_shell", "gate.py"),
        ("print_exc", "__main__.py"),
    ],
)
def test_one_place_only(what: str, where: str) -> None:
    assert calls_of(what) == {where}


def test_only_start_session_sends_the_request() -> None:
    assert calls_of("start_session") == {"aws/start_session.py", "gate.py"}


def test_only_the_entry_point_prints() -> None:
    assert calls_of("print") == set()
    for module in MODULES:
        if room(module) not in ("__main__", "aws"):
            assert "sys.stdout" not in module.read_text(), module
            assert "sys.stderr" not in module.read_text(), module


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(SOURCE)))
def test_each_module_says_whose_botocore_it_sees(module: Path) -> None:
    """Each is imported first in a fresh interpreter: no order may bring in PyPI's botocore."""
    name = ".".join(("ssmgate", *module.relative_to(SOURCE).with_suffix("").parts))
    name = name.removesuffix(".__init__")
    code = (
        f"import sys, {name}\n"
        "b = sys.modules.get('botocore')\n"
        "print('none' if b is None else 'awscli' if '/awscli/botocore/' in b.__file__ else b)"
    )
    seen = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()

    if room(module) == "sandbox":
        # moto brings PyPI's; awscli is never in that process.
        assert seen != "awscli"
    else:
        assert seen == ("awscli" if room(module) in ("aws", "gate") else "none")


def test_a_botocore_that_came_first_is_refused(tmp_path: Path) -> None:
    (tmp_path / "botocore").mkdir()
    (tmp_path / "botocore" / "__init__.py").write_text("")
    code = "import botocore, ssmgate.aws"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )

    assert ended.returncode == 1
    assert "botocore was imported before awscli" in ended.stderr


def test_what_a_start_imports(machine: Machine) -> None:
    """The list of packages that a start loads, up to the moment of exec."""
    loaded = machine.home / "loaded"
    (machine.home / "sitecustomize.py").write_text(
        "import os, sys\n"
        "real = os.execve\n"
        "def execve(*args):\n"
        f"    open({str(loaded)!r}, 'w').write('\\n'.join(sys.modules))\n"
        "    real(*args)\n"
        "os.execve = execve\n"
    )
    ended = machine.run("--target", "i-1", PYTHONPATH=str(machine.home), PYTHONWARNINGS=None)
    assert ended.returncode == 0, ended.stderr
    names = set(loaded.read_text().split())

    packages = {name.partition(".")[0] for name in names} - sys.stdlib_module_names
    ours = {p for p in packages if not p.startswith(("_", "sitecustomize")) and p != "mypyc"}
    assert ours <= START_PACKAGES, ours - START_PACKAGES
    assert not names & NEVER_ON_THE_START_PATH
