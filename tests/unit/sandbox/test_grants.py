"""What temporary credentials carry, and which requests for them STS refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.grants import Grant, Kind, merged_tags, requested

NOTHING = json.dumps({"Version": "2012-10-17", "Statement": []})
ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)
FIRST = Grant(
    Kind.ROLE,
    tags={"Star": "1", "Heart": "1", "Own": "1"},
    transitive=frozenset({"star", "heart"}),
    source_identity="alice",
)


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def ask(previous: Grant | None = None, **parameters: Any) -> Grant:
    return requested({"RoleSessionName": "s1", **parameters}, Kind.ROLE, previous)


def test_session_tags_override_tags_of_role_in_any_case() -> None:
    assert merged_tags({"Department": "a", "Team": "b"}, {"department": "c"}) == {
        "aws:PrincipalTag/department": "c",
        "aws:PrincipalTag/Team": "b",
    }


def test_chained_session_inherits_transitive_tags_and_source_identity() -> None:
    second = ask(FIRST, Tags=tags(Sun="2"))
    assert second.tags == {"Star": "1", "Heart": "1", "Sun": "2"}
    assert second.source_identity == "alice"
    # They stay transitive, and a new tag is not.
    assert ask(second).tags == {"Star": "1", "Heart": "1"}


def test_new_tags_may_become_transitive() -> None:
    second = ask(FIRST, Tags=tags(Sun="2"), TransitiveTagKeys=["SUN"])
    assert ask(second).tags == {"Star": "1", "Heart": "1", "Sun": "2"}


def test_credentials_set_condition_keys() -> None:
    issued = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert replace(FIRST, issued=issued, mfa=True).context() == {
        "aws:TokenIssueTime": "2026-01-02T03:04:05Z",
        "aws:MultiFactorAuthPresent": "true",
        "aws:SourceIdentity": "alice",
    }
    assert "aws:SourceIdentity" not in Grant(Kind.USER).context()


@pytest.mark.parametrize(
    ("previous", "parameters", "code", "message"),
    [
        pytest.param(
            None, {"Tags": tags(a="1", A="2")}, "InvalidParameterValue",
            "Duplicate tag keys found.", id="duplicate key",
        ),
        pytest.param(
            FIRST, {"Tags": tags(heart="3")}, "InvalidParameterValue",
            "conflicts with a transitive tag key from the calling session", id="inherited key",
        ),
        pytest.param(
            None, {"TransitiveTagKeys": ["a"]}, "InvalidParameterValue",
            "must be included in the requested tags", id="transitive key without tag",
        ),
        pytest.param(
            None, {"Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]}, "ValidationError",
            "Value at 'tags' failed", id="51 tags",
        ),
        pytest.param(
            None, {"Tags": tags(**{"k" * 129: ""})}, "ValidationError",
            "'tags.1.member.key' failed", id="long key",
        ),
        pytest.param(
            None, {"Tags": tags(k="v" * 257)}, "ValidationError",
            "'tags.1.member.value' failed", id="long value",
        ),
        pytest.param(
            None, {"RoleSessionName": "a b"}, "ValidationError", "at 'roleSessionName' failed",
            id="name",
        ),
        pytest.param(
            None, {"RoleSessionName": "x" * 65}, "ValidationError", "at 'roleSessionName' failed",
            id="long name",
        ),
        pytest.param(
            FIRST, {"SourceIdentity": "bob"}, "AccessDenied", "cannot be changed",
            id="another source identity",
        ),
        pytest.param(
            FIRST, {"DurationSeconds": 3601}, "ValidationError",
            "exceeds the 1 hour session limit for roles assumed by role chaining",
            id="long chained session",
        ),
        pytest.param(
            None, {"Policy": NOTHING}, "MalformedPolicyDocument", "missing Statement",
            id="malformed policy",
        ),
        pytest.param(
            None, {"Policy": ALLOW + " " * 2048}, "ValidationError", "Value at 'policy' failed",
            id="long policy",
        ),
        pytest.param(
            None, {"PolicyArns": [{"arn": f"arn:{n}"} for n in range(11)]}, "ValidationError",
            "Value at 'policyArns' failed", id="11 policies",
        ),
    ],
)  # fmt: skip
def test_refuses_requests_that_sts_refuses(
    previous: Grant | None, parameters: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ServiceFault) as raised:
        ask(previous, **parameters)
    assert raised.value.code == code
    assert message in raised.value.message


def test_same_source_identity_may_be_passed_again() -> None:
    assert ask(FIRST, SourceIdentity="alice").source_identity == "alice"
