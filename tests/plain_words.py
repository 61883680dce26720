"""Phrases that no text of this project has, and how to say it instead.

`unit/test_documentation.py` looks for them in documentation, messages, help, docstrings and
comments, and in the names and IDs of tests. CONTRIBUTING.md has the rules.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

BANNED = {
    r"\b(is|are|was|were) told\b": "who says what: 'the user sees', 'IAM receives'",
    r"\bhangs? on\b": "depends on",
    r"\bleans? on\b": "relies on",
    r"\bof [\w-]+'s(?=[.,;:)]| (that|which|and|or|at|in|for|is|are|has|by)\b)": "IAM's …, of IAM",
    r"(?<!there )\b(is|are) no (?!longer\b|more\b)[a-z]+": "is not a …, invalid, missing",
    r"\b(nobody|somebody)\b": "no user, another user, a process",
    r"\ba yes\b|\bthe yes\b": "an allow",
    r"\ba no\b": "a denial",
    r"\bkept\b": "cached, stored, unchanged",
    r"\bin vain\b": "without effect",
    r"\bsurroundings\b": "environment",
    r"\bwhat counts\b": "effective",
    r"\bcannot tell\b": "could not check, unknown",
    r"\bforget(s|ting)?\b": "clear, delete",
    r"\bas ever\b": "as before, unchanged",
    r"\b(left|leaves?|leaving) behind\b": "start in the background, remain",
    r"\bfolders?\b": "directory",
    r"\bwithout end\b": "unlimited",
    r"\bstand-ins?\b": "stub",
}
"""Regular expressions, and the words to use instead."""

PATTERNS = [(re.compile(phrase, re.IGNORECASE), instead) for phrase, instead in BANNED.items()]


def found(text: str) -> list[tuple[int, str, str]]:
    """Return for each banned phrase of `text`: its line, the phrase, and what to write instead."""
    return sorted(
        (number, match[0], instead)
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, instead in PATTERNS
        for match in pattern.finditer(line)
        if not match[0].isupper()  # a name in a program
    )


BANNED_IN_NAMES = re.compile(
    r"(?:^|_)((?:is|are)_no(?!_longer|_more)|nobody|somebody|surroundings|forget(?:s|ting)?"
    r"|(?:hang|lean)s?_on|told|kept|what_counts|cannot_tell|in_vain|(?:a|the)_yes|a_no|as_ever"
    r"|folders?|stand_ins?)(?=_|$)",
    re.IGNORECASE,
)
"""The phrases that are words of a name, which `_` separates."""

SHORTEST_NAME = 3
"""The words of a test's name with `test`: a verb and what it is about."""


def found_in_test(source: str) -> list[tuple[int, str, str]]:
    """Return the banned phrases in the Python `source` of a test: line, phrase, what to do.

    Reads the names of functions, classes and arguments, docstrings, comments, and the IDs of rows.
    Does not read other strings: they are data, such as the unix user "nobody".
    """
    tree = ast.parse(source)
    problems = [
        (line + number - 1, phrase, instead)
        for line, text in [*_comments(source), *_docstrings(tree), *_ids(tree)]
        for number, phrase, instead in found(text)
    ]
    for line, name in _names(tree):
        problems += [(line, banned[1], name) for banned in BANNED_IN_NAMES.finditer(name)]
        if name.startswith("test_") and len(name.split("_")) < SHORTEST_NAME:
            problems.append((line, name, "name the behaviour"))
    return sorted(problems)


def _names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def _docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield each string that is a statement: docstrings, also of constants."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def _ids(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("id", "ids"):
            for part in ast.walk(node.value):
                match part:
                    case ast.Constant(value=str(text)):
                        yield part.lineno, text


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
