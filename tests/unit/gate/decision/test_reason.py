"""Each reason code has a description, a place in the schema, and code that produces it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import get_args

from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.reason_kinds import (
    DenialReason,
    OfflineReason,
    RestrictionReason,
    UnknownReason,
)

ROOT = Path(__file__).parents[4]
SOURCE = ROOT / "src" / "ssmgate"
MODULE = "ssmgate.gate.decision.reason"


def test_each_code_belongs_to_one_kind_of_outcome() -> None:
    kinds = [*map(get_args, (DenialReason, RestrictionReason, UnknownReason, OfflineReason))]

    assert sorted(code for kind in kinds for code in kind) == sorted({*Reason} - {Reason.ALLOWED})


def test_codes_are_snake_case() -> None:
    assert [code for code in Reason if not re.fullmatch("[a-z]+(_[a-z]+)*", code)] == []


def test_schema_lists_each_code() -> None:
    schema = json.loads((SOURCE / "explain" / "schema.json").read_text())

    assert schema["$defs"]["reason"]["enum"] == sorted(Reason)


def test_documentation_describes_each_code() -> None:
    section = (
        (ROOT / "docs" / "reference" / "check.md").read_text().partition("### Reason codes\n")[2]
    )
    rows = re.findall(r"^\| `([a-z_]+)` \| .", section.partition("\n## ")[0], re.MULTILINE)

    assert sorted(rows) == sorted(Reason)


class _Produced(ast.NodeVisitor):
    """The members of `Reason` in `names` that are used as values, and not only compared."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id == "Reason":
            self.names.add(node.attr)

    def skip(self, node: ast.AST) -> None:
        """Do not descend."""

    visit_Compare = visit_MatchValue = visit_Set = visit_Dict = skip


def test_each_code_is_produced() -> None:
    assert {code.name for code in Reason} - produced() == set()


def produced() -> set[str]:
    """Return the names of the codes that some module uses as a value."""
    visitor = _Produced()
    for path in SOURCE.rglob("*.py"):
        if path != SOURCE / "gate" / "decision" / "reason.py":
            tree = ast.parse(path.read_text())
            imported = {
                alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                and node.module == "ssmgate.gate.decision.reason"
                for alias in node.names
            }
            if "Reason" in imported:
                visitor.visit(tree)
    return visitor.names
