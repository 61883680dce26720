"""Parse records and select some of them. Lines that are not records are skipped and counted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]

_AGO = re.compile(r"(\d{1,6})([smhdw])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse(text: bytes) -> Record | None:
    """Return the record in a line, None if it is not one."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("event") not in ("decision", "start", "end"):
        return None
    if not isinstance(record.get("time"), str) or not isinstance(record.get("unix"), dict):
        return None
    return record


@dataclass(slots=True)
class Records:
    """The records in some lines, sorted by time, and how many lines are not records."""

    records: list[Record] = field(default_factory=list)
    skipped: int = 0

    @classmethod
    def read(cls, texts: Iterable[bytes]) -> Records:
        """Return the records in `texts`. Those of several files are merged."""
        found = cls()
        for text in texts:
            record = parse(text)
            if record is None:
                found.skipped += 1
            else:
                found.records.append(record)
        found.records.sort(key=lambda record: str(record["time"]))
        return found


def since(text: str, now: datetime) -> str:
    """Return the time that `text` means, as records have it.

    `text` is a number with s, m, h, d or w, before `now`, or a date or time in ISO 8601, by default
    in UTC. Raises `ValueError` for any other text.
    """
    if match := _AGO.match(text):
        try:
            at = now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            raise ValueError("too long ago") from None
    else:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are shown. A field that is None or false selects all.

    `user` is a unix user, or a caller's ARN or its last part. `document` is a name or an ARN.
    `denied` selects decisions that do not allow, also where the session was started all the same.
    `session` is a session's id, and selects its decision too.
    """

    since: str | None = None
    user: str | None = None
    document: str | None = None
    denied: bool = False
    session: str | None = None

    def select(self, records: Sequence[Record]) -> Iterator[Record]:
        """Yield the selected records."""
        ids = {r.get("decision_id") for r in records if r.get("session_id") == self.session}
        for record in records:
            if self.session is not None and record.get("decision_id") not in ids:
                continue
            if self.matches(record):
                yield record

    def matches(self, record: Record) -> bool:
        """Return whether `record` is selected, apart from `session`."""
        return (
            (self.since is None or str(record["time"]) >= self.since)
            and (self.user is None or self.user in users(record))
            and (self.document is None or self.document in documents(record))
            and (not self.denied or is_denial(record))
        )


def users(record: Record) -> set[str]:
    """Return the names of the user: unix user, the caller's ARN and its last part."""
    arn = caller_arn(record)
    return {str(record["unix"].get("user")), arn, arn.rpartition("/")[2]}


def caller_arn(record: Record) -> str:
    """Return the caller's ARN, "-" if it is unknown."""
    caller = record.get("caller")
    return str(caller.get("arn")) if isinstance(caller, dict) else "-"


def documents(record: Record) -> set[str]:
    """Return the names of the document: as given, and the ARNs that IAM was asked about."""
    found = {str(record.get("document"))}
    for evaluation in evidence(record).get("evaluations") or ():
        if isinstance(evaluation, dict):
            found.add(str(evaluation.get("document_arn")))
    return found


def evidence(record: Record) -> Record:
    """Return the evidence, empty if there is none."""
    found = record.get("evidence")
    return found if isinstance(found, dict) else {}


def is_denial(record: Record) -> bool:
    """Return whether the record is a decision that does not allow."""
    return record["event"] == "decision" and record.get("verdict") != "allowed"


def why(record: Record) -> str:
    """Return why a decision does not allow: the policies, the rule, or the reason code."""
    found = evidence(record)
    policies = found.get("matched_policies")
    if isinstance(policies, list) and policies:
        return ", ".join(map(str, policies))
    if found.get("rule"):
        return str(found["rule"])
    code = str(found.get("reason_code", "-"))
    return "no policy allows it" if code == "implicit_deny" else code
