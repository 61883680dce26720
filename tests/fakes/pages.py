"""Pages of the documentation: the fenced blocks of a page, its commands, and the output it shows.

A comment before a block, which readers do not see, says how the test runs it:

    <!-- test: as bob; exits 254 -->

`as NAME` is whose credentials this block and the following ones have, `exits STATUS…` the exit
status of each command (default 0), `set NAME=VALUE` an environment variable, `already running`
that the test has started the command itself, `own sandbox` that the page changes it, and
`skip: REASON` that the block cannot run here. `opens a session` says that the last command does:
the page has a part of what is printed first, and the test leaves the session. Readers do not see
these commands either. The second one runs where the block has a comment, a line with `# `:

    <!-- test: run: COMMAND -->
    <!-- test: comment: COMMAND -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ELLIPSIS = "…"
PROMPT = "sh-5.2$ "
"""The prompt of a shell on a node, as pages show it. What follows it is typed."""

_FENCE = re.compile(r"^( *)```([\w-]*)(?: title=([\w./-]+))?\s*$")
_COMMENT = re.compile(r"^ *<!-- test: (.*) -->$")


@dataclass
class Command:
    """A command after `$ `, and the lines below it. `first` and `last` delimit these lines."""

    text: str
    shown: list[str]
    first: int
    status: int = 0
    opens_session: bool = False

    @property
    def last(self) -> int:
        return self.first + len(self.shown)

    @property
    def typed(self) -> list[str]:
        """Return what is typed into a session."""
        if self.opens_session:
            return ["exit"]
        return [line.removeprefix(PROMPT) for line in self.shown if line.startswith(PROMPT)]

    @property
    def expected(self) -> list[str]:
        """Return the output to expect: what the page shows, and what it leaves out."""
        return [ELLIPSIS, *self.shown, ELLIPSIS] if self.opens_session else self.shown


@dataclass
class Block:
    """A fenced block. `line` is the index of its first line of text in the page."""

    language: str
    title: str | None
    text: str
    line: int
    settings: Mapping[str, str]
    commands: list[Command] = field(default_factory=list)

    @property
    def skipped(self) -> str | None:
        """Return why the block is not run, or None."""
        return self.settings.get("skip")


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    return list(_blocks(page.read_text().splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    settings: dict[str, str] = {}
    at = 0
    while at < len(lines):
        if comment := _COMMENT.match(lines[at]):
            settings = {**settings, **_settings(comment[1])}
            if hidden := settings.get("run"):
                yield Block("sh", None, f"{hidden}\n", at, settings)
                settings = {}
        elif fence := _FENCE.match(lines[at]):
            indent = len(fence[1])
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            body = [line[indent:] for line in lines[at + 1 : end]]
            block = Block(fence[2], fence[3], "".join(f"{x}\n" for x in body), at + 1, settings)
            if block.language == "console":
                block.commands = list(_commands(body, at + 1, settings))
            yield block
            settings, at = {}, end
        elif lines[at].strip():
            settings = {}
        at += 1


def _settings(text: str) -> dict[str, str]:
    for name in ("skip", "run", "comment"):
        if text.startswith(f"{name}: "):
            return {name: text.removeprefix(f"{name}: ")}
    return dict((f"{part.strip()} ").split(" ", 1) for part in text.split(";"))


def _commands(body: list[str], offset: int, settings: Mapping[str, str]) -> Iterator[Command]:
    statuses = [int(word) for word in settings.get("exits", "").split()]
    begins = ("$ ", "# ") if "comment" in settings else ("$ ",)
    at = 0
    while at < len(body):
        if body[at].startswith("# ") and "comment" in settings:
            at += 1
            yield Command(settings["comment"], [], offset + at)
            continue
        assert body[at].startswith("$ "), f"line {offset + at + 1}: output without a command"
        words = [body[at][2:]]
        at += 1
        while at < len(body) and (words[-1].endswith("\\") or body[at].startswith("> ")):
            words.append(body[at].removeprefix("> "))
            at += 1
        end = next((n for n in range(at, len(body)) if body[n].startswith(begins)), len(body))
        status = statuses.pop(0) if statuses else 0
        opens = "opens" in settings and end == len(body)
        yield Command("\n".join(words), body[at:end], offset + at, status, opens)
        at = end
    assert not statuses, f"line {offset}: more statuses than commands"


def matches(shown: list[str], actual: list[str]) -> bool:
    """Return whether the output is as shown. `…` alone is any lines, in a line any text."""
    pattern = ""
    for line in _stripped(shown):
        if line.strip() == ELLIPSIS:
            pattern += r"(?:[^\n]*\n)*"
        else:
            pattern += ".*".join(map(re.escape, line.split(ELLIPSIS))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _stripped(actual))) is not None


def _stripped(lines: list[str]) -> list[str]:
    """Return `lines` without trailing white space, and without empty lines at both ends."""
    text = "\n".join(line.rstrip() for line in lines).strip("\n")
    return text.split("\n") if text else []


def rewritten(shown: list[str], actual: list[str]) -> list[str]:
    """Return the lines to show: the actual ones, shortened where `shown` was."""
    actual = _stripped(actual)
    if ELLIPSIS not in shown:
        return actual
    before = shown.index(ELLIPSIS)
    after = shown[::-1].index(ELLIPSIS)
    if before + after >= len(actual):
        return actual
    return [*actual[:before], ELLIPSIS, *actual[len(actual) - after :]]


def update(page: Path, changes: Mapping[int, tuple[int, list[str]]]) -> None:
    """Replace lines of a page. `changes` has the first index, the end and the new lines of each."""
    lines = page.read_text().splitlines()
    for first, (last, text) in sorted(changes.items(), reverse=True):
        lines[first:last] = text
    page.write_text("".join(f"{line}\n" for line in lines))
