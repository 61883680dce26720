"""Show records, numbers and joins as text: one line for each, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssmgate.gate.decision.printable import line
from ssmgate.records.cloudtrail import Join
from ssmgate.records.read import Record, is_denial, why
from ssmgate.records.stats import Row, Stats


def shown(record: Record) -> str:
    """Return one line: time, user, what happened, target, document, and details."""
    when = str(record["time"]).partition(".")[0] + "Z"
    user = str(record["unix"].get("user"))
    what, details = _event(record)
    target, document = (str(record.get(name) or "-") for name in ("target", "document"))
    return line(f"{when}  {user:<12}  {what:<9}  {target}  {document}  {details}".rstrip())


def _event(record: Record) -> tuple[str, str]:
    if record["event"] == "start":
        return "started", str(record.get("session_id"))
    if record["event"] == "end":
        if "session_id" not in record:
            return "refused", str(record.get("error"))
        duration = record.get("duration")
        return "ended", f"{record['session_id']}  exit {record.get('exit_code')}, {duration} s"
    verdict = str(record.get("verdict"))
    if not is_denial(record):
        return verdict, ""
    return verdict, why(record) + ("; started anyway" if record.get("starts") is True else "")


def stats(found: Stats) -> Iterator[str]:
    """Yield the lines of the numbers."""
    if found.first is None:
        yield "no records"
        return
    yield f"{found.first} to {found.last}"
    yield (
        f"sessions started: {found.sessions}, {found.persons} by persons, {found.programs} by"
        " programs"
    )
    for title, rows in (("caller", found.callers), ("document", found.documents)):
        yield ""
        yield from _table((title, "allowed", "denied", "unknown"), map(_cells, rows))
    if not found.denials:
        return
    yield ""
    yield from _table(
        ("denied by", "document", "decisions", "started", "callers"),
        (
            (one.why, one.document, str(one.count), str(one.started), " ".join(one.callers))
            for one in found.denials
        ),
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (row.name, str(row.allowed), str(row.denied), str(row.unknown))


def _table(title: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    cells = [title, *(tuple(map(line, row)) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(title))]
    for row in cells:
        pairs = zip(row, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in pairs).rstrip()


def join(found: Join) -> Iterator[str]:
    """Yield the lines of a join, with a heading for each of its three parts."""
    parts: Sequence[tuple[str, list[str]]] = (
        (
            "in both",
            [
                f"{start.time}  {start.user}  {start.session_id}  {start.target}"
                f"  {event.event_id}  {event.source_ip}"
                for start, event in found.joined
            ],
        ),
        (
            "only in CloudTrail: not started through ssmgate, or its record is missing",
            [
                f"{event.time}  {event.caller}  {event.session_id or '-'}  {event.target}"
                f"  {event.event_id}  {event.source_ip}  {event.user_agent}"
                for event in found.only_cloudtrail
            ],
        ),
        (
            "only in the records: CloudTrail lacks them, or has not delivered them yet",
            [
                f"{start.time}  {start.user}  {start.session_id}  {start.target}"
                for start in found.only_records
            ],
        ),
    )
    for title, lines in parts:
        yield f"{len(lines)} {title}"
        yield from (f"  {line(text)}" for text in lines)
