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
    """Tables about attacks have the tests in their third column."""
    rows = [line for line in MODEL.read_text().splitlines() if line.count(" | ") == 2]
    attacks = [row for row in rows if not row.endswith((" test |", "--- |"))]

    assert len(attacks) > 30
    for row in attacks:
        assert row.endswith("` |") or " | none: " in row, row
