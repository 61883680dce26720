"""Verifying a chain: which line was changed, removed, moved or added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from ssmgate.records.verify import Finding, Head, Line, verify


def chain(count: int, seq: int = 1, prev: str | None = None, who: str = "alice") -> list[bytes]:
    """Return `count` records that follow on `prev`."""
    records = []
    for number in range(seq, seq + count):
        text = json.dumps({"who": who, "n": number, "chain": {"seq": number, "prev": prev}})
        records.append(text.encode())
        prev = hashlib.sha256(records[-1]).hexdigest()
    return records


def found(texts: list[bytes], *heads: Head) -> list[tuple[int, str]]:
    return [(finding.number, finding.kind) for finding in findings(texts, *heads)]


def findings(texts: list[bytes], *heads: Head) -> list[Finding]:
    return verify([Line("f", number, text) for number, text in enumerate(texts, 1)], heads).findings


Edit = Callable[[list[bytes]], object]


def forged(records: list[bytes]) -> list[bytes]:
    """Return records of an attacker who follows on the second one."""
    return chain(2, 3, hashlib.sha256(records[1]).hexdigest(), "mallory")


def replace(at: int, old: bytes, new: bytes) -> Edit:
    def edit(records: list[bytes]) -> None:
        records[at] = records[at].replace(old, new)

    return edit


def swap(records: list[bytes]) -> None:
    records[2], records[3] = records[3], records[2]


# Each on ten records, whose lines have the numbers 1 to 10.
EDITS: dict[str, tuple[Edit, list[tuple[int, str]]]] = {
    "nothing": (lambda r: r, []),
    "changed": (replace(4, b"alice", b"bob__"), [(5, "changed")]),
    "first one changed": (replace(0, b"alice", b"bob__"), [(1, "changed")]),
    "one character added": (replace(4, b"alice", b"alice "), [(5, "changed")]),
    "number changed": (replace(4, b'"seq": 5', b'"seq": 7'), [(5, "changed"), (6, "moved")]),
    "changed into another text": (
        lambda r: r.__setitem__(4, b"{}"), [(5, "not chained"), (6, "missing")],
    ),
    "one removed": (lambda r: r.pop(4), [(5, "missing")]),
    "three removed": (lambda r: r.__delitem__(slice(4, 7)), [(5, "missing")]),
    "two removed at two places": (lambda r: (r.pop(7), r.pop(3)), [(4, "missing"), (7, "missing")]),
    "two swapped": (swap, [(4, "moved")]),
    "last one moved to the front": (lambda r: r.insert(0, r.pop()), [(2, "missing")]),
    "one repeated": (lambda r: r.insert(5, r[4]), [(6, "repeated")]),
    "one repeated later": (lambda r: r.insert(8, r[4]), [(9, "repeated")]),
    "text added": (lambda r: r.insert(4, b"hello"), [(5, "foreign")]),
    "text added at the end": (lambda r: r.append(b"hello"), [(11, "foreign")]),
    "binary added": (lambda r: r.insert(4, b"\xff\x00\x80"), [(5, "foreign")]),
    "deep JSON added": (lambda r: r.insert(4, b"[" * 100_000), [(5, "foreign")]),
    "record without chain added": (lambda r: r.insert(4, b'{"n": 1}'), [(5, "not chained")]),
    "forged record added": (lambda r: r.insert(2, forged(r)[0]), [(4, "foreign")]),
    "new chain": (lambda r: r.extend(chain(2, who="x")), [(11, "missing")]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_finds_manipulation_and_its_place(name: str) -> None:
    edit, expected = EDITS[name]
    records = chain(10)
    edit(records)

    assert found(records) == expected


def test_names_number_of_missing_records() -> None:
    records = chain(10)
    (finding,) = findings(records[:4] + records[7:])
    assert finding.text == "3 records are missing before it"


def test_accepts_partial_record_that_next_record_continues() -> None:
    torn = b'{"schema_version": 2, "ev'
    records = [*chain(2), torn, *chain(2, 3, hashlib.sha256(torn).hexdigest())]

    result = verify([Line("f", number, text) for number, text in enumerate(records, 1)])
    assert (result.findings, result.torn, result.records) == ([], 1, 4)


def test_reports_missing_end_only_with_head() -> None:
    """Removing the last lines, or writing the whole file anew, leaves no trace in the file."""
    records = chain(10)
    head = Head(10, hashlib.sha256(records[9]).hexdigest())
    anew = chain(10, who="mallory")

    assert found(records, head) == []
    assert found(records[:8]) == found(anew) == []
    assert found(records[:8], head) == [(8, "missing")]
    assert found(anew, head) == [(10, "changed")]


def test_older_head_is_found_in_longer_file() -> None:
    records = chain(10)
    assert found(records, Head(4, hashlib.sha256(records[3]).hexdigest())) == []


def test_reports_where_partial_chain_begins() -> None:
    records = chain(10)
    result = verify([Line("f", 1, text) for text in records[5:]])

    assert result.findings == []
    assert result.first == Head(6, hashlib.sha256(records[4]).hexdigest())


@pytest.mark.parametrize("text", ["", "5", "5:", "x:" + "0" * 64, "5:" + "g" * 64, "5:" + "0" * 63])
def test_rejects_invalid_head(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Head.parse(text)


def test_empty_file_has_no_chain() -> None:
    result = verify([])
    assert (result.findings, result.records, result.head) == ([], 0, None)
