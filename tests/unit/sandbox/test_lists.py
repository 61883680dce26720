"""DescribeSessions and ListDocuments: filters and pages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ssmgate.sandbox.document_list import Listed, list_documents
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.session import Session
from ssmgate.sandbox.session_list import describe

ACCOUNT = "111122223333"
ALICE, BOB = (f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("alice", "bob"))


def session(number: int, **changed: Any) -> Session:
    """Return the session that was started at that hour."""
    values: dict[str, Any] = {
        "session_id": f"s-{number}",
        "target": "i-1",
        "document_name": "SSM-SessionManagerRunShell",
        "owner": ALICE,
        "user_id": "AIDA",
        "account": ACCOUNT,
        "region": "us-east-1",
        "reason": None,
        "started": datetime(2026, 1, 1, number, tzinfo=UTC),
        "content": "{}",
        "parameters": {},
        "token_value": "token",
        **changed,
    }
    return Session(**values)


ENDED = datetime(2026, 1, 2, tzinfo=UTC)
SESSIONS = [
    session(1),
    session(2, owner=BOB),
    session(3, target="i-2", lost=True),
    session(4, ended=ENDED),
    session(5, region="eu-west-1"),
    session(6, account="444455556666"),
]


def found(*filters: tuple[str, str], state: str = "Active", **members: Any) -> list[str]:
    answer = describe(
        SESSIONS,
        {"State": state, "Filters": [{"key": k, "value": v} for k, v in filters], **members},
        ACCOUNT,
        "us-east-1",
    )
    shown: Any = answer["Sessions"]
    return [each["SessionId"] for each in shown]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["s-3", "s-2", "s-1"]),
        ([("Owner", ALICE)], ["s-3", "s-1"]),
        ([("Owner", "alice")], []),
        ([("Target", "i-2")], ["s-3"]),
        ([("Target", "i-1"), ("Owner", ALICE)], ["s-1"]),
        ([("SessionId", "s-2")], ["s-2"]),
        ([("SessionId", "s-4")], []),
        ([("Status", "Connected")], ["s-2", "s-1"]),
        ([("Status", "Disconnected")], ["s-3"]),
        ([("AccessType", "Standard")], ["s-3", "s-2", "s-1"]),
        ([("AccessType", "JustInTime")], []),
        ([("InvokedAfter", "2026-01-01T02:00:00Z")], ["s-3", "s-2"]),
        ([("InvokedBefore", "2026-01-01T02:00:00Z")], ["s-1"]),
        ([("InvokedBefore", "2026-01-01T04:00:00+02:00")], ["s-1"]),
        ([("InvokedAfter", "2026-01-02")], []),
    ],
)
def test_filters_active_sessions(filters: list[tuple[str, str]], expected: list[str]) -> None:
    assert found(*filters) == expected


def test_history_has_ended_sessions() -> None:
    assert found(state="History") == ["s-4"]
    assert found(("Status", "Terminated"), state="History") == ["s-4"]
    assert found(("Owner", BOB), state="History") == []


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"State": "Open"}, "ValidationException"),
        ({"MaxResults": 0}, "ValidationException"),
        ({"MaxResults": 201}, "ValidationException"),
        ({"NextToken": "bm9uZQ=="}, "InvalidNextToken"),
        ({"NextToken": "!"}, "InvalidNextToken"),
        ({"Filters": [{"key": "owner", "value": "x"}]}, "InvalidFilterKey"),
        ({"Filters": [{"key": "InvokedAfter", "value": "today"}]}, "ValidationException"),
        ({"Filters": [{"key": "Owner", "value": "x"}] * 7}, "ValidationException"),
    ],
)
def test_refuses_invalid_requests(members: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceFault) as raised:
        describe(SESSIONS, {"State": "Active", **members}, ACCOUNT, "us-east-1")
    assert raised.value.code == code


def test_pages_of_sessions_survive_changes() -> None:
    sessions = [session(number) for number in range(1, 6)]
    members: dict[str, Any] = {"State": "Active", "MaxResults": 2}
    first = describe(sessions, members, ACCOUNT, "us-east-1")
    assert [each["SessionId"] for each in first["Sessions"]] == ["s-5", "s-4"]  # type: ignore[attr-defined]
    sessions[3].ended = ENDED
    sessions.append(session(6))
    members["NextToken"] = first["NextToken"]
    second = describe(sessions, members, ACCOUNT, "us-east-1")
    assert [each["SessionId"] for each in second["Sessions"]] == ["s-3", "s-2"]  # type: ignore[attr-defined]
    members["NextToken"] = second["NextToken"]
    last = describe(sessions, members, ACCOUNT, "us-east-1")
    assert [each["SessionId"] for each in last["Sessions"]] == ["s-1"]  # type: ignore[attr-defined]
    assert "NextToken" not in last


def document(name: str, owner: str = ACCOUNT, kind: str = "Session", **tags: str) -> Listed:
    return Listed(name, owner, kind, ("Linux", "MacOS"), "/", tags, {"Name": name})


DOCUMENTS = [
    document("Tools", Team="red"),
    document("Teams", kind="Command", Team="blue"),
    document("AWS-StartSSHSession", "Amazon"),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["AWS-StartSSHSession", "Teams", "Tools"]),
        ([("Owner", "Self")], ["Teams", "Tools"]),
        ([("Owner", "Amazon")], ["AWS-StartSSHSession"]),
        ([("Owner", "Public")], ["AWS-StartSSHSession"]),
        ([("Owner", "Private")], []),
        ([("Owner", "ThirdParty")], []),
        ([("Name", "Te")], ["Teams"]),
        ([("Name", "Te", "AWS-")], ["AWS-StartSSHSession", "Teams"]),
        ([("DocumentType", "Session")], ["AWS-StartSSHSession", "Tools"]),
        ([("DocumentType", "Session"), ("Owner", "Self")], ["Tools"]),
        ([("PlatformTypes", "Windows")], []),
        ([("PlatformTypes", "Windows", "Linux"), ("Name", "To")], ["Tools"]),
        ([("TargetType", "/")], ["AWS-StartSSHSession", "Teams", "Tools"]),
        ([("CloudProviders", "GCP")], []),
        ([("tag:Team", "red", "green")], ["Tools"]),
        ([("tag:None", "red")], []),
    ],
)
def test_filters_documents(filters: list[tuple[str, ...]], expected: list[str]) -> None:
    members = {"Filters": [{"Key": key, "Values": values} for key, *values in filters]}
    answer: Any = list_documents(DOCUMENTS, members, ACCOUNT)
    assert [each["Name"] for each in answer["DocumentIdentifiers"]] == expected


def test_old_filter_list_of_documents() -> None:
    members = {
        "DocumentFilterList": [
            {"key": "Owner", "value": "Self"}, {"key": "DocumentType", "value": "Session"},
        ],
    }  # fmt: skip
    answer = list_documents(DOCUMENTS, members, ACCOUNT)
    assert answer["DocumentIdentifiers"] == [{"Name": "Tools"}]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Filters": [{"Key": "Colour", "Values": ["x"]}]}, "InvalidFilterKey"),
        ({"DocumentFilterList": [{"key": "TargetType", "value": "/"}]}, "InvalidFilterKey"),
        ({"Filters": [{"Key": "Owner", "Values": ["Self", "Amazon"]}]}, "ValidationException"),
        ({"Filters": [{"Key": "Owner", "Values": ["Me"]}]}, "ValidationException"),
        ({"MaxResults": 51}, "ValidationException"),
        ({"NextToken": "x"}, "InvalidNextToken"),
    ],
)
def test_refuses_invalid_requests_for_documents(members: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceFault) as raised:
        list_documents(DOCUMENTS, members, ACCOUNT)
    assert raised.value.code == code
