"""Escape text from outside ssmgate, so that a terminal shows it and does nothing else.

Names, tags, policies, services' error messages, arguments and environment variables can contain
anything. A character that a terminal would act on, or that a reader would not see, is shown as
Python writes it in a string: `\\n`, `\\x1b`, `\\u202e`, `\\U000e0041`. These are

* control characters, also DEL and C1,
* format characters: those that reverse text, those without width, tags, soft hyphens,
* letters, marks and symbols without a glyph, such as Hangul fillers and variation selectors,
* line and paragraph separators, and every space but the usual one,
* characters that Unicode has not assigned, private ones, and lone surrogates, which represent
  bytes that are not valid UTF-8.

Everything else is unchanged: letters of every script, and backslashes too. So the six characters
`\\u202e` in a name look like the character itself; neither has an effect. Output for programs
(JSON, records) is escaped by JSON's own rules and is unambiguous.
"""

from __future__ import annotations

_BLANK = frozenset(
    map(
        chr,
        (
            # Those of Default_Ignorable_Code_Point for which `str.isprintable` is true.
            # https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164),
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xE0100, 0xE01F0),
            # Blank by their glyphs: Braille without a dot, a Khitan filler, a note without a head.
            *(0x2800, 0x16FE4, 0x1D159),
        ),
    )
)


class Layout(str):
    """A text whose line breaks and tabs are intended, such as a usage. Other texts are one line.

    It may contain text from outside: only its first line may look like a line of ssmgate.
    """

    __slots__ = ()


def is_printable(text: str) -> bool:
    """Return whether every character of `text` is visible and harmless; a line break is not."""
    return text.isprintable() and (text.isascii() or _BLANK.isdisjoint(text))


def line(text: str) -> str:
    """Return `text` as one line: what is not printable is escaped, also line breaks and tabs."""
    if is_printable(text):
        return str(text)
    return "".join(char if is_printable(char) else ascii(char)[1:-1] for char in text)


def lines(text: str) -> str:
    """Return `text` with its line breaks and tabs, and everything else escaped as by `line`.

    For a whole output whose values `line` has escaped already.
    """
    return "\n".join("\t".join(map(line, row.split("\t"))) for row in text.split("\n"))


def message(text: str) -> str:
    """Return a part of an error for output: one line, or several if it is a `Layout`.

    Only the first can begin as ssmgate's own lines do: the line break before another is escaped.
    """
    if isinstance(text, Layout):
        return lines(text).replace("\nssmgate:", "\\nssmgate:")
    return line(text)


def encodable(text: str, encoding: str | None) -> str:
    """Return `text` with characters that `encoding` lacks escaped in the same form. None is UTF-8.

    If this Python does not know `encoding`, `text` is unchanged.
    """
    if text.isascii():
        return text
    try:
        return text.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    except LookupError:
        return text
