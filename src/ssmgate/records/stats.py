"""Count records: who starts sessions with which documents, and what denies them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ssmgate.records.read import Record, caller_arn, is_denial, why

VERDICTS = ("allowed", "denied", "unknown")


@dataclass(frozen=True, slots=True)
class Row:
    """The decisions about one caller or one document, by verdict."""

    name: str
    allowed: int
    denied: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Denials:
    """Decisions that do not allow, for the same reason and document.

    `why` is the policies that deny, or a rule or a reason code. `started` is how many sessions were
    started all the same, as with `mode = "permissive"`: with "enforce" they are not.
    """

    why: str
    document: str
    count: int
    started: int
    callers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers. `first` and `last` are the times of the first and last record."""

    first: str | None = None
    last: str | None = None
    sessions: int = 0
    persons: int = 0
    programs: int = 0
    callers: tuple[Row, ...] = ()
    documents: tuple[Row, ...] = ()
    denials: tuple[Denials, ...] = field(default=())


def stats(records: Sequence[Record]) -> Stats:
    """Return the numbers of `records`, which are sorted by time."""
    if not records:
        return Stats()
    decisions = [record for record in records if record["event"] == "decision"]
    starts = [record for record in records if record["event"] == "start"]
    by = Counter(_started_by(record) for record in starts)
    return Stats(
        str(records[0]["time"]),
        str(records[-1]["time"]),
        len(starts),
        by["person"],
        by["program"],
        _rows([(caller_arn(record), record) for record in decisions]),
        _rows([(str(record.get("document")), record) for record in decisions]),
        _denials([record for record in decisions if is_denial(record)]),
    )


def _started_by(record: Record) -> str:
    process = record.get("process")
    return str(process.get("started_by")) if isinstance(process, dict) else ""


def _rows(named: Sequence[tuple[str, Record]]) -> tuple[Row, ...]:
    counts = Counter((name, record.get("verdict")) for name, record in named)
    names = Counter(name for name, _ in named)
    order = sorted(names, key=lambda name: (-names[name], name))
    return tuple(Row(name, *(counts[name, verdict] for verdict in VERDICTS)) for name in order)


def _denials(denied: Sequence[Record]) -> tuple[Denials, ...]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in denied:
        groups.setdefault((why(record), str(record.get("document"))), []).append(record)
    order = sorted(groups, key=lambda key: (-len(groups[key]), key))
    return tuple(
        Denials(
            *key,
            len(groups[key]),
            sum(record.get("starts") is True for record in groups[key]),
            tuple(sorted({caller_arn(record) for record in groups[key]})),
        )
        for key in order
    )
