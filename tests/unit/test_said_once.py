"""No output says a sentence twice, and none shows a policy statement twice.

Read are the outputs that other tests compare with what the program prints: the gallery of denials,
the examples of `policy check`, and the console blocks of the documentation.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SHORTEST = 26
"""Shorter lines are titles, such as "layer: identity-based policy"."""

WIDTH = 80
"""Where the program wraps lines, with two more spaces before the rest."""

# The document and the target are decided apart, perhaps by the same layer and statement.
MAY_REPEAT = re.compile("layer: |by policy |nearest: |allowed by |depends on ")


def outputs(text: str) -> Iterator[str]:
    """Yield what follows each prompt in `text`, up to the next one or the end of the block."""
    for block in re.split(r"^```.*$", text, flags=re.MULTILINE):
        yield from re.split(r"^\$ .*(?:\n> .*)*", block, flags=re.MULTILINE)[1:]


def paragraphs(text: str) -> Iterator[str]:
    """Yield the lines of `text`, each with the lines that it was wrapped into."""
    whole, last, indent = "", "", 0
    for line in text.splitlines():
        inner = len(line) - len(line.lstrip())
        word = line.split()[0] if line.strip() else ""
        if word and last and inner == indent + 2 and len(last) + 1 + len(word) > WIDTH:
            whole = f"{whole} {line.strip()}"
        else:
            yield whole
            whole, indent = line.strip(), inner
        last = line
    yield whole


def said(output: str) -> Iterator[str]:
    """Yield each sentence of `output`, and each JSON object.

    A line of one word is a name. A line with several spaces in a row is the row of a table.
    """
    for found in re.split(r"^( *\{\n(?:.*\n)*? *\})$", output, flags=re.MULTILINE):
        if found.lstrip().startswith("{\n"):
            yield re.sub(r"\s+", " ", found).strip()
            continue
        for text in paragraphs(found):
            if len(text) >= SHORTEST and " " in text and "  " not in text and text[0] not in '"{[|':
                yield text


def repeated(text: str) -> list[str]:
    """Return what one output in `text` says more than once, without what may be repeated."""
    return [
        line
        for output in outputs(text)
        for line, number in Counter(said(output)).items()
        if number > 1 and not MAY_REPEAT.match(line)
    ]


TRANSCRIPTS = [
    *(ROOT / "tests/functional/gallery").glob("*.txt"),
    *(ROOT / "tests/functional/offline").glob("*.txt"),
]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("path", sorted((*TRANSCRIPTS, *PAGES)), ids=lambda path: path.stem)
def test_says_each_sentence_once(path: Path) -> None:
    assert repeated(path.read_text()) == []


@pytest.mark.parametrize(
    ("output", "twice"),
    [
        pytest.param("the document is denied by IAM\n" * 2, 1, id="a sentence"),
        pytest.param('  {\n    "Effect": "Deny"\n  }\n' * 2, 1, id="a statement"),
        pytest.param("  layer: identity-based policy\n" * 2, 0, id="what may be repeated"),
        pytest.param("ok   python   3.11.2, is the newest\n" * 2, 0, id="a row"),
        pytest.param("arn:aws:iam::111122223333:user/bob\n" * 2, 0, id="a name"),
        pytest.param("is one of two outputs of these\n$ b\n" * 2, 0, id="two outputs"),
    ],
)
def test_finds_what_is_said_twice(output: str, twice: int) -> None:
    assert len(repeated(f"```console\n$ a\n{output}```\n")) == twice
