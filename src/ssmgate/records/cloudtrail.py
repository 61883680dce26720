"""Join the records of started sessions with CloudTrail's events of StartSession.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ssmgate.records.read import Record, caller_arn


class NotCloudTrail(Exception):
    """A text is not a log file of CloudTrail, nor the output of lookup-events."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a StartSession that AWS accepted. `time` is as in records."""

    time: str
    event_id: str
    request_id: str
    session_id: str
    caller: str
    access_key_id: str
    source_ip: str
    user_agent: str
    target: str


@dataclass(frozen=True, slots=True)
class Start:
    """The record of a session that was started."""

    time: str
    session_id: str
    caller: str
    user: str
    target: str
    document: str


@dataclass(frozen=True, slots=True)
class Join:
    """Starts with their events, events without a record, and starts without an event."""

    joined: tuple[tuple[Start, Event], ...]
    only_cloudtrail: tuple[Event, ...]
    only_records: tuple[Start, ...]


def events(text: str) -> list[Event]:
    """Return the events of accepted StartSession requests in `text`, each once.

    `text` is a log file (`Records`), the output of `aws cloudtrail lookup-events` (`Events`), or
    one event a line. Raises `NotCloudTrail`.
    """
    found = {}
    for event in _all_events(text):
        if not isinstance(event, dict):
            raise NotCloudTrail("an event is not a JSON object")
        of_ssm = event.get("eventSource") == "ssm.amazonaws.com"
        if of_ssm and event.get("eventName") == "StartSession" and not event.get("errorCode"):
            one = _event(event)
            found[one.event_id or one.request_id] = one
    return sorted(found.values(), key=lambda one: one.time)


def join(records: Sequence[Record], found: Sequence[Event]) -> Join:
    """Return each record of a start in `records` beside its event in `found`.

    They belong together by the request id, or by the session's id.
    """
    by_request = {event.request_id: event for event in found if event.request_id}
    by_session = {event.session_id: event for event in found if event.session_id}
    joined, alone = [], []
    for record in records:
        if record["event"] != "start":
            continue
        candidates = [by_request.get(one) for one in _request_ids(record)]
        candidates.append(by_session.get(str(record.get("session_id"))))
        event = next((one for one in candidates if one is not None), None)
        if event is None:
            alone.append(_start(record))
        else:
            joined.append((_start(record), event))
    seen = {event for _, event in joined}
    return Join(tuple(joined), tuple(one for one in found if one not in seen), tuple(alone))


def _all_events(text: str) -> Iterator[Any]:
    try:
        whole = json.loads(text)
    except RecursionError:
        raise NotCloudTrail("it is nested too deeply") from None
    except ValueError:
        try:
            whole = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise NotCloudTrail(f"it is not JSON: {error}") from error
    if isinstance(whole, list):
        yield from whole
    elif isinstance(whole, dict) and isinstance(whole.get("Records"), list):
        yield from whole["Records"]
    elif isinstance(whole, dict) and isinstance(whole.get("Events"), list):
        for event in whole["Events"]:
            try:
                yield json.loads(event["CloudTrailEvent"])
            except (ValueError, LookupError, TypeError) as error:
                raise NotCloudTrail(f"an event cannot be read: {error}") from error
    elif isinstance(whole, dict) and "eventName" in whole:
        yield whole
    else:
        raise NotCloudTrail("it has neither Records nor Events")


def _event(event: dict[str, Any]) -> Event:
    def text(*names: str) -> str:
        value: Any = event
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return "" if value is None else str(value)

    return Event(
        time=_time(text("eventTime")),
        event_id=text("eventID"),
        request_id=text("requestID"),
        session_id=text("responseElements", "sessionId"),
        caller=text("userIdentity", "arn"),
        access_key_id=text("userIdentity", "accessKeyId"),
        source_ip=text("sourceIPAddress"),
        user_agent=text("userAgent"),
        target=text("requestParameters", "target"),
    )


def _time(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        return text


def _request_ids(record: Record) -> list[str]:
    ids = record.get("request_ids")
    found = ids.get("StartSession") if isinstance(ids, dict) else None
    return [str(one) for one in found] if isinstance(found, list) else []


def _start(record: Record) -> Start:
    return Start(
        str(record["time"]),
        str(record.get("session_id")),
        caller_arn(record),
        str(record["unix"].get("user")),
        str(record.get("target")),
        str(record.get("document")),
    )
