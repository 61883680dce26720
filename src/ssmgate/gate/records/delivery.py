"""Write records to a file and to syslog. Loaded only if one of them is configured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ssmgate.gate.config.load import Records
from ssmgate.gate.records import file, local, syslog
from ssmgate.gate.records import members as of

if TYPE_CHECKING:
    from ssmgate.gate.records.file import Link
    from ssmgate.gate.records.writer import Members, Recorder

LARGEST = 8000
"""Bytes of a record: common syslog daemons truncate longer ones, in the middle of the JSON."""

SCHEMA_VERSION = 2
"""Increased if a member is removed or changes its meaning, not if one is added."""

_UNBOUNDED = ("evidence", "parameters", "request_ids")
"""Members that are null in a record that would be too long even with short texts."""

_WHOLE = ("time", "decision_id", "chain")
"""Members that are never shortened: readers compare them."""


def write(recorder: Recorder, event: str, members: Members, *, notable: bool) -> str:
    """Write a record to what `recorder` configures; arguments and result as `Recorder.write`."""
    user = local.LocalUser.here(recorder.environ)
    record = {
        "schema_version": SCHEMA_VERSION,
        "event": event,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "decision_id": recorder.decision_id,
        "mode": "permissive" if recorder.permissive else "enforce",
        "unix": {
            "user": user.user,
            "uid": user.uid,
            "login_uid": user.login_uid,
            "ssh_connection": user.ssh_connection,
        },
        "host": local.host(),
        "process": local.process(recorder.pid),
        **(members(of) if callable(members) else members),
        "versions": recorder.versions,
    }
    records = recorder.records
    # syslog gets what is in the file: its hash proves the lines before, wherever syslog is stored.
    line, problem = _to_file(records, user.user, partial(_line, record))
    problems = [problem, syslog.send(records, line, notable) if records.syslog else ""]
    return "; ".join(problem for problem in problems if problem)


def _line(record: Mapping[str, object], link: Link | None) -> bytes:
    """Return `record` as one line of ASCII, shortened to at most `LARGEST` bytes."""
    if link is not None:
        record = {**record, "chain": {"seq": link.seq, "prev": link.prev}}
    for longest in (1024, 256, 64, 16):
        line = _encoded(record, longest)
        if len(line) <= LARGEST:
            return line
    # Nested lists are still too long: the size of the other members is bounded.
    without = {name: None for name in _UNBOUNDED if name in record}
    return _encoded({**record, **without}, 16)


def _encoded(record: Mapping[str, object], longest: int) -> bytes:
    shown = {
        name: value if name in _WHOLE else _clipped(value, longest)
        for name, value in record.items()
    }
    return json.dumps(shown).encode("ascii")


def _clipped(value: object, longest: int) -> object:
    match value:
        case str() if len(value) > longest:
            return f"{value[:longest]}… ({len(value)} characters)"
        case list() if len(value) > longest:
            return [*(_clipped(item, longest) for item in value[:longest]), f"… ({len(value)})"]
        case list():
            return [_clipped(item, longest) for item in value]
        case dict():
            return {name: _clipped(item, longest) for name, item in value.items()}
    return value


def _to_file(
    records: Records, user: str | None, line: Callable[[Link | None], bytes]
) -> tuple[bytes, str]:
    """Append a record to the file. Return it and the error, empty if there is none."""
    if records.file is None:
        problem = "record.chain needs record.file" if records.chain else ""
        return line(None), problem
    try:
        return file.append(records.file, user, line, records.chain), ""
    except file.NotAppended as error:
        return line(None), str(error)
