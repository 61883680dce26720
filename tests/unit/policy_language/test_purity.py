"""What `ssmgate.policy_language` may import and name."""

import ast
import sys
from pathlib import Path

import pytest

import ssmgate.policy_language

ROOMS = ("ssmgate.policy_language", "ssmgate.gate.decision")
OUTSIDE = {"io", "os", "pathlib", "socket", "subprocess", "sys", "time", "urllib"}
MODULES = sorted(Path(ssmgate.policy_language.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_import_no_input_or_output(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            ours = any(f"{name}.".startswith(f"{room}.") for room in ROOMS)
            assert ours or name.split(".")[0] in sys.stdlib_module_names - OUTSIDE, name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_do_not_mention_permits(path):
    names = {getattr(node, "id", None) for node in ast.walk(ast.parse(path.read_text()))}
    assert not names & {"Permit", "open", "print", "input", "eval", "exec"}
