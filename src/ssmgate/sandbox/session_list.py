"""ssm:DescribeSessions: filters and pages, in the shapes of botocore's model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.pages import page
from ssmgate.sandbox.session import Session

_STATES = ("Active", "History")
_MOST = 200
_MOST_FILTERS = 6

Test = Callable[[Session, str], bool]

# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SessionFilter.html
_FILTERS: Mapping[str, Test] = {
    "InvokedAfter": lambda session, value: session.started >= _moment(value),
    "InvokedBefore": lambda session, value: session.started < _moment(value),
    "Target": lambda session, value: session.target == value,
    "Owner": lambda session, value: session.owner == value,
    "Status": lambda session, value: session.status == value,
    "SessionId": lambda session, value: session.session_id == value,
    # Just-in-time access is not modelled.
    "AccessType": lambda _, value: value == "Standard",
}


def describe(
    sessions: Iterable[Session], members: Mapping[str, Any], account: str, region: str
) -> dict[str, object]:
    """Answer DescribeSessions for the sessions of an account in a region, the newest first.

    `Active` are those that have not ended, connected or not; `History` are the others. A session
    has to match all filters. AWS does not document the order, nor how many sessions a page
    without MaxResults has: here as many as may be requested.

    Raises `ServiceFault`: ValidationException for an invalid value, InvalidFilterKey, and
    InvalidNextToken.
    """
    state = members.get("State")
    if state not in _STATES:
        raise ServiceFault(
            "ValidationException",
            f"1 validation error detected: Value '{state or ''}' at 'state' failed to satisfy"
            f" constraint: Member must satisfy enum value set: [{', '.join(_STATES)}]",
        )
    filters = _filters(members.get("Filters") or [])
    known = [each for each in sessions if (each.account, each.region) == (account, region)]
    known.reverse()

    def matches(session: Session) -> bool:
        return (session.ended is None) is (state == "Active") and all(
            _FILTERS[key](session, value) for key, value in filters
        )

    found, token = page(known, matches, lambda session: session.session_id, members, _MOST)
    answer: dict[str, object] = {"Sessions": [_shown(session) for session in found]}
    return answer if token is None else {**answer, "NextToken": token}


def _filters(filters: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    if len(filters) > _MOST_FILTERS:
        raise ServiceFault(
            "ValidationException",
            "1 validation error detected: Value at 'filters' failed to satisfy constraint: Member"
            f" must have length less than or equal to {_MOST_FILTERS}",
        )
    pairs = [(str(each.get("key")), str(each.get("value") or "")) for each in filters]
    for key, value in pairs:
        if key not in _FILTERS:
            raise ServiceFault("InvalidFilterKey", f"The filter key {key} is not valid.")
        if key.startswith("Invoked"):
            _moment(value)
    return pairs


def _moment(text: str) -> datetime:
    """Return the time of an ISO 8601 text, in UTC without an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ServiceFault(
            "ValidationException", f"The filter value {text} is not an ISO 8601 timestamp."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _shown(session: Session) -> dict[str, object]:
    optional = {
        "Reason": session.reason,
        "EndDate": session.ended,
        "MaxSessionDuration": session.preferences.max_session_duration or None,
    }
    return {
        "SessionId": session.session_id,
        "Target": session.target,
        "Status": session.status,
        "StartDate": session.started,
        "DocumentName": session.document_name,
        "Owner": session.owner,
        "AccessType": "Standard",
        **{name: value for name, value in optional.items() if value is not None},
    }
