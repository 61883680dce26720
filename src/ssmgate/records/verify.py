"""Verify a chain of records: find lines that were changed, removed, moved or added.

The chain proves nothing about a file whose user can write it: the whole of it can be written anew.
It proves that a file continues what was there when a later line was stored elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its file, its number there, and its bytes without line break."""

    file: str
    number: int
    text: bytes

    @property
    def hash(self) -> str:
        """Return the SHA-256, as the next line contains it."""
        return hashlib.sha256(self.text).hexdigest()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a line, or before it. `kind` is for programs, `text` one clause."""

    file: str
    number: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """The number and the hash of a record."""

    seq: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Head:
        """Parse `SEQ:HASH`. Raises `ValueError`."""
        seq, _, digest = text.partition(":")
        if not (seq.isascii() and seq.isdecimal() and len(digest) == 64):
            raise ValueError("not a number, a colon and 64 hexadecimal digits")
        int(digest, 16)
        return cls(int(seq), digest.lower())

    def __str__(self) -> str:
        """Return `SEQ:HASH`."""
        return f"{self.seq}:{self.hash}"


@dataclass(slots=True)
class Result:
    """What was found in lines.

    `records` are chained ones. `first` and `head` are the first and the last of them; `first` has
    the hash that it contains, which is empty if it begins a chain. `unchained` is how many lines
    before the first have no chain, `torn` how many are half a record that the next record follows
    on, as after a full disk.
    """

    findings: list[Finding] = field(default_factory=list)
    records: int = 0
    first: Head | None = None
    head: Head | None = None
    unchained: int = 0
    torn: int = 0


@dataclass(frozen=True, slots=True)
class _Chained:
    line: Line
    seq: int
    prev: str | None
    at: int  # among all lines that are not blank


def verify(lines: Sequence[Line], shipped: Iterable[Head] = ()) -> Result:
    """Verify `lines`, in the order in which they were written, from one file or its rotations.

    `shipped` are heads that were stored elsewhere, each of which has to be among the records.
    """
    result = Result()
    chained = [one for at, line in enumerate(lines) if (one := _chained(line, at))]
    if chained:
        first, last = chained[0], chained[-1]
        result.records, result.unchained = len(chained), first.at
        result.first = Head(first.seq, first.prev or "")
        result.head = Head(last.seq, last.line.hash)
        _Verification(lines, chained, result).run()
    else:
        result.unchained = len(lines)
    hashes = {one.seq: one.line.hash for one in chained}
    for head in shipped:
        if hashes.get(head.seq) != head.hash:
            result.findings.append(_lost(head, lines, hashes))
    return result


def _lost(head: Head, lines: Sequence[Line], hashes: dict[int, str]) -> Finding:
    file, number = (lines[-1].file, lines[-1].number) if lines else ("", 0)
    if head.seq in hashes:
        return Finding(file, number, "changed", f"record {head.seq} is not the one that was stored")
    return Finding(file, number, "missing", f"record {head.seq}, which was stored, is missing")


def _chained(line: Line, at: int) -> _Chained | None:
    """Return the place in the chain that `line` claims, None if it claims none."""
    try:
        chain = json.loads(line.text)["chain"]
        seq, prev = chain["seq"], chain["prev"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if type(seq) is not int or seq < 1 or not (prev is None or isinstance(prev, str)):
        return None
    return _Chained(line, seq, prev, at)


class _Verification:
    """One pass over the chained lines. Each is compared with the one before it."""

    def __init__(self, lines: Sequence[Line], chained: Sequence[_Chained], result: Result) -> None:
        self._lines, self._chained, self._result = lines, chained, result
        self._at = {line.hash: line for line in lines}
        self._followed: dict[str | None, _Chained] = {}

    def run(self) -> None:
        """Compare the lines, and add what is wrong to the result's findings."""
        before: _Chained | None = None
        for one in self._chained:
            if before is None:
                self._begin(one)
            else:
                self._follow(before, one)
            self._followed.setdefault(one.prev, one)
            before = one
        if before is not None:
            self._others(self._lines[before.at + 1 :], None)

    def _find(self, line: Line, kind: str, text: str) -> None:
        self._result.findings.append(Finding(line.file, line.number, kind, text))

    def _begin(self, one: _Chained) -> None:
        before = self._lines[one.at - 1] if one.at else None
        if before and one.prev not in (before.hash, None):
            self._find(before, "changed", "does not have the hash that the next record names")

    def _follow(self, before: _Chained, one: _Chained) -> None:
        between = self._lines[before.at + 1 : one.at]
        self._others(between, one.prev)
        previous = between[-1] if between else before.line
        if one.prev == previous.hash:
            if one.seq != before.seq + 1:
                self._find(one.line, "changed", f"has number {one.seq}, not {before.seq + 1}")
        elif one.prev == before.line.hash:
            pass  # the lines between were reported: they were added later
        else:
            self._gap(before, one)

    def _gap(self, before: _Chained, one: _Chained) -> None:
        """Report why `one` does not follow on `before`."""
        rival = self._followed.get(one.prev)
        if one.line.text in (before.line.text, rival and rival.line.text):
            self._find(one.line, "repeated", f"repeats record {one.seq}")
        elif one.prev is None:
            self._find(
                one.line, "missing", "begins a new chain: the records before it cannot be verified"
            )
        elif rival is not None and one.seq == rival.seq:
            text = f"records on lines {rival.line.number} and {one.line.number} name the same"
            self._find(one.line, "foreign", f"{text} record before them: one of the two was added")
        elif one.seq <= before.seq:
            self._find(one.line, "moved", f"record {one.seq} stands after record {before.seq}")
        elif one.seq == before.seq + 1:
            self._find(before.line, "changed", "does not have the hash that the next record names")
        elif one.prev not in self._at:
            count = one.seq - before.seq - 1
            text = f"{count} {'record is' if count == 1 else 'records are'} missing before it"
            self._find(one.line, "missing", text)
        # Otherwise its predecessor was moved, which is reported there.

    def _others(self, lines: Sequence[Line], prev: str | None) -> None:
        """Report lines between two records. The record after them follows on `prev`."""
        for line in lines:
            is_json = _is_json(line.text)
            if not is_json and line is lines[-1] and line.hash == prev:
                self._result.torn += 1
            else:
                kind = "not chained" if is_json else "foreign"
                self._find(line, kind, "has no chain" if is_json else "is not a record")


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
