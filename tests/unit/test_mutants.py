"""The changes that `make mutants` makes, and the explanations of those that no test detects."""

from __future__ import annotations

import ast
import tomllib

import pytest

from mutants.__main__ import EXPLAINED, TARGETS
from mutants.mutations import mutations
from mutants.running import SOURCE


def changed(source: str) -> list[str]:
    """Return the module after each of its mutations."""
    found = []
    for number in range(len(mutations(ast.parse(source)))):
        tree = ast.parse(source)
        mutations(tree)[number].apply()
        found.append(ast.unparse(tree))
    return found


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a == b", ["x = a != b"]),
        ("x = a <= b", ["x = a < b", "x = a > b"]),
        ("x = a and b", ["x = a or b", "x = b", "x = a"]),
        ("x = a | b.c", ["x = a", "x = b.c"]),
        ("x = not a", ["x = a"]),
        ("x = all(a)", ["x = any(a)"]),
        ("x = {'a', 'b'}", ["x = {'b'}", "x = {'a'}"]),
        ("x = {'a': b}", ["x = {}"]),
        ("x = f(a=1)", ["x = f()", "x = f(a=2)"]),
        ("x = [a for a in b if a]", ["x = [a for a in b]"]),
        ("x = a.lower()", ["x = a"]),
        ("if a:\n    f()", ["if True:\n    f()", "if False:\n    f()", "if a:\n    pass"]),
        ("raise a", ["pass"]),
        (
            "try:\n    f()\nexcept A:\n    raise",
            ["if True:\n    f()", "try:\n    pass\nexcept A:\n    raise",
             "try:\n    f()\nexcept A:\n    pass"],
        ),
        ("def f():\n    return a", ["def f():\n    return None"]),
        (r"x = '@\\s*=|\\bfile'", [
            r"x = '\\bfile'", r"x = '@\\s*='", r"x = '@\\s*=|file'", r"x = '@\\s+=|\\bfile'",
        ]),
        (r"x = '[a-z_]+\\Z'", [
            r"x = '[_]+\\Z'", r"x = '[a-z]+\\Z'", "x = '[a-z_]+'", r"x = '[a-z_]*\\Z'",
        ]),
        ("x = f'{a}/{b}'", ["x = f'/{b}'", "x = f'{a}/'", "x = f'{a}/XX{b}'"]),
        ('"""Docstring."""\nx: int | None = a("two words")', []),
    ],
)  # fmt: skip
def test_generates_expected_changes(source: str, mutants: list[str]) -> None:
    assert changed(source) == mutants


def test_mutation_is_named_after_place_and_not_line() -> None:
    source = "\n\nclass C:\n    def f(self):\n        return a < b or a < b\n"
    names = [(m.where, m.change) for m in mutations(ast.parse(source))]

    assert len(set(names)) == len(names)
    assert ("C.f", "< → <= in a < b") in names
    assert ("C.f", "< → <= in a < b (#2)") in names


@pytest.mark.parametrize("module", TARGETS)
def test_explained_survivors_exist_and_say_why(module: str) -> None:
    explained = tomllib.loads(EXPLAINED.read_text())
    assert explained.keys() <= TARGETS.keys()
    found = {(m.where, m.change) for m in mutations(ast.parse((SOURCE / module).read_text()))}
    for one in explained.get(module, ()):
        assert (one["where"], one["change"]) in found
        assert len(one["why"]) > 10
