"""The threat model names a test for each attack, and each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MODEL = TESTS.parent / "docs" / "explanation" / "threat-model.md"
NAMED = sorted(set(re.findall(r"`((?:unit|functional)/[\w/]+\.py)::(\w+)`", MODEL.read_text())))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((TESTS / file).read_text())

    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_attack_names_test() -> None:
    attacks = re.findall(r"^\* \*\*(?:.|\n(?!\*|\n))*", MODEL.read_text(), re.MULTILINE)

    assert len(attacks) > 30
    for attack in attacks:
        assert re.search(r"\n  (Test: `[^`]+`( and `[^`]+`)*|No test: .+)$", attack), attack
