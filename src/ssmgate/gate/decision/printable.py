"""What others wrote, as a terminal may show it: nothing in it does more than be read.

Names, tags, policies, error texts of services, words of a command line and variables are whatever
somebody put there. A character that a terminal would obey or that a reader would not see is shown
as Python writes it in a string: `\\n`, `\\x1b`, `\\u202e`, `\\U000e0041`. These are

* control characters, DEL and C1 among them,
* format characters: those that turn text around, those without width, tags, soft hyphens,
* letters, marks and symbols without a glyph, such as Hangul fillers and variation selectors,
* line and paragraph separators, and every space but the usual one,
* characters that Unicode has not assigned, private ones, and lone surrogates, which stand for
  bytes that are no UTF-8.

Everything else stays as it is: letters of every script, and backslashes too. Whoever writes the six
characters `\\u202e` into a name is shown like one who writes the character itself; neither does
anything. What a program reads (JSON, records) is escaped by JSON's own rules and is unambiguous.
"""

from __future__ import annotations

_BLANK = frozenset(
    map(
        chr,
        (
            # Default_Ignorable_Code_Point, as far as `str.isprintable` takes it for printable.
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
    """A text whose line breaks and tabs are meant, such as a usage. Every other text is one line.

    What others wrote may be part of it: none of its lines but the first may look like one of ours.
    """

    __slots__ = ()


def is_printable(text: str) -> bool:
    """Whether every character of `text` can be seen, and does nothing. A line break cannot."""
    return text.isprintable() and (text.isascii() or _BLANK.isdisjoint(text))


def line(text: str) -> str:
    """`text` as one line: what is not printable is escaped, line breaks and tabs too."""
    if is_printable(text):
        return str(text)
    return "".join(one if is_printable(one) else ascii(one)[1:-1] for one in text)


def lines(text: str) -> str:
    """`text` with its line breaks and tabs, and all else as `line` has it.

    For a whole output, the values in which have gone through `line` already.
    """
    return "\n".join("\t".join(map(line, row.split("\t"))) for row in text.split("\n"))


def message(text: str) -> str:
    """A part of an error: one line, or several if it is a `Layout`.

    Of several none but the first can begin as ssmgate's own lines do: such a line break is escaped.
    """
    if isinstance(text, Layout):
        return lines(text).replace("\nssmgate:", "\\nssmgate:")
    return line(text)


def encodable(text: str, encoding: str | None) -> str:
    """`text` with what `encoding` lacks escaped in the same form. None is UTF-8.

    An `encoding` that this Python does not know changes nothing.
    """
    if text.isascii():
        return text
    try:
        return text.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")
    except LookupError:
        return text
