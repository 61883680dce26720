"""Phrases that no text of this project has, and how to say it instead.

`unit/test_documentation.py` looks for them in documentation, messages, help, docstrings and
comments. CONTRIBUTING.md has the rules.
"""

from __future__ import annotations

import re

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
