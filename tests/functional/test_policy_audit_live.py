"""`ssmgate policy audit` of the caller's own account, in the sandbox, and from a scripted IAM."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import resources
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from conftest import Ended, Machine
from fakes.sandbox import ACCOUNT
from fakes.scripted_aws import Answer, all_decided, xml, xml_error

SCHEMA = json.loads(
    resources.files("ssmgate.policy_tools").joinpath("audit-schema.json").read_text()
)


def audit(machine: Machine, *words: str) -> Ended:
    return machine.python("-P", "-m", "ssmgate", "policy", "audit", *words)


def report(machine: Machine, *words: str, code: int = 0) -> dict[str, Any]:
    ended = audit(machine, "--output", "json", *words)
    assert ended.returncode == code, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    return found


def test_audits_account_of_credentials(resident: Callable[[str], Machine]) -> None:
    found = report(resident("tagged"))
    (account,) = found["accounts"]
    assert account["account"] == ACCOUNT
    groups = {
        arn.rpartition("/")[2]: {one["document"]: one["answer"] for one in group["documents"]}
        for group in account["groups"]
        for arn in group["principals"]
    }
    assert groups["heidi"]["SSM-SessionManagerRunShell"] == "allowed"
    assert groups["heidi"]["AWS-StartSSHSession"] == "denied"
    assert groups["grace"]["Dev-Shell"] == "allowed"
    assert groups["Plain"]["SSM-SessionManagerRunShell"] == "allowed"
    assert groups["checker"]["*"] == "denied"


def test_calls_get_account_authorization_details_only(resident: Callable[[str], Machine]) -> None:
    machine = resident("tagged")
    report(machine)
    assert machine.aws.operations == ["iam:GetAccountAuthorizationDetails"]


def test_reports_missing_permission(resident: Callable[[str], Machine]) -> None:
    ended = audit(resident("bob"))
    assert ended.returncode == 254
    assert "not authorized to perform: iam:GetAccountAuthorizationDetails" in ended.stderr
    assert ended.stdout == ""


def test_confirm_simulates_principals_with_widest_access(
    resident: Callable[[str], Machine],
) -> None:
    machine = resident("tagged")
    found = report(machine, "--confirm", "3", code=4)
    confirmed = {arn.rpartition("/")[2] for arn in found["confirmed"]}
    assert confirmed == {"admin", "ops-user"}
    # Service control policies are not in the answer: one denies erin.
    (problem,) = found["problems"]
    assert problem["place"].endswith("user/erin")
    assert "IAM answers explicitDeny, by a service control policy" in problem["message"]
    assert machine.aws.operations.count("iam:SimulatePrincipalPolicy") == 6


# From here on the answers are scripted.


def page(*users: str, marker: str = "") -> Answer:
    policy = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}
    text = quote(json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    members = "".join(
        f"<member><UserName>{name}</UserName><UserId>AIDA{name}</UserId><Path>/</Path>"
        f"<Arn>arn:aws:iam::{ACCOUNT}:user/{name}</Arn><UserPolicyList><member>"
        f"<PolicyName>own</PolicyName><PolicyDocument>{text}</PolicyDocument></member>"
        "</UserPolicyList></member>"
        for name in users
    )
    more = f"<Marker>{marker}</Marker>" if marker else ""
    return xml(
        f"<UserDetailList>{members}</UserDetailList>"
        f"<IsTruncated>{str(bool(marker)).lower()}</IsTruncated>{more}"
    )


def principals(found: dict[str, Any]) -> list[str]:
    groups = [group for account in found["accounts"] for group in account["groups"]]
    return [arn.rpartition("/")[2] for group in groups for arn in group["principals"]]


def test_reads_all_pages(machine: Machine) -> None:
    machine.aws.answers["GetAccountAuthorizationDetails"] = [
        page("ann", marker="m1"), page("bob", marker="m2"), page("cyd"),
    ]  # fmt: skip
    assert principals(report(machine)) == ["ann", "bob", "cyd"]
    sent = [one.parameters.get("Marker") for one in machine.aws.received]
    assert sent == [None, "m1", "m2"]


def test_throttled_call_is_repeated(machine: Machine) -> None:
    throttled = xml_error("Throttling", "Rate exceeded", 400)
    machine.aws.answers["GetAccountAuthorizationDetails"] = [throttled, throttled, page("ann")]
    assert principals(report(machine)) == ["ann"]


def test_reports_nothing_if_page_is_denied(machine: Machine) -> None:
    denied = xml_error("AccessDenied", "not authorized", 403)
    machine.aws.answers["GetAccountAuthorizationDetails"] = [page("ann", marker="m1"), denied]
    ended = audit(machine)
    assert (ended.returncode, ended.stdout) == (254, "")


CONFIRMED = {
    "allowed": ([all_decided()], 0, ""),
    "denied": ([all_decided("implicitDeny")], 4, "and IAM answers implicitDeny"),
    "not permitted": ([xml_error("AccessDenied", "no", 403)], 4, "could not be confirmed"),
}


@pytest.mark.parametrize("case", CONFIRMED)
def test_confirm_reports_each_answer_other_than_allow(case: str, machine: Machine) -> None:
    answers, code, text = CONFIRMED[case]
    machine.aws.answers["GetAccountAuthorizationDetails"] = [page("ann")]
    machine.aws.answers["SimulatePrincipalPolicy"] = answers
    ended = audit(machine, "--confirm", "1")
    assert ended.returncode == code, ended.stderr
    assert text in ended.stderr
    shown = f"confirmed by IAM: arn:aws:iam::{ACCOUNT}:user/ann\n" in ended.stdout
    assert shown is (case == "allowed")


@pytest.mark.parametrize("output", ["table", "json", "sarif"])
def test_redacts_what_iam_does_not_confirm(output: str, machine: Machine) -> None:
    machine.aws.answers["GetAccountAuthorizationDetails"] = [page("ann")]
    machine.aws.answers["SimulatePrincipalPolicy"] = [all_decided("implicitDeny")]
    ended = audit(machine, "--confirm", "1", "--redact", "--output", output)
    assert ended.returncode == 4
    assert "IAM answers implicitDeny" in ended.stderr
    shown = ended.stdout + ended.stderr
    assert "user/user-1" in shown
    assert "user-2" not in shown
    assert not re.search(rf"\bann\b|{ACCOUNT}", shown)


def test_confirm_rejects_files(machine: Machine) -> None:
    ended = audit(machine, "--from", "accounts", "--confirm", "1")
    assert ended.returncode == 252
    assert "omit --from" in ended.stderr
