"""`policy check --aws`: what is sent to iam:SimulateCustomPolicy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import ScriptedAws, evaluation, xml_error
from ssmgate.explain import offline
from ssmgate.explain.report import Report, Verdict
from ssmgate.explain.sources import Source, parse
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.policy_language import PolicyKind

OPERATION = "SimulateCustomPolicy"
ROLE = "arn:aws:iam::111122223333:role/team/Ops"
MFA = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}


@pytest.fixture
def aws() -> Iterator[ScriptedAws]:
    with ScriptedAws() as server:
        server.script(OPERATION, evaluation())
        yield server


def source(name: str, kind: PolicyKind = PolicyKind.IDENTITY, **elements: Any) -> Source:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **elements}
    return parse(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), name, kind)


def simulate(aws: ScriptedAws, document: str | None = None, **layers: Any) -> Report:
    from botocore.session import get_session

    iam = get_session().create_client(
        "iam", endpoint_url=aws.url, region_name="us-east-1",
        aws_access_key_id="AKIA", aws_secret_access_key="secret",
    )  # fmt: skip
    files = offline.PolicyFiles(
        **{"identity": (source("p.json"),), "boundary": source("b.json"), **layers}
    )
    caller = offline.parse_caller(ROLE)
    request = SessionRequest("i-0123456789abcdef0", document)
    return offline.simulate(files, offline.Scenario(request, "us-east-1", caller), iam)


def test_sends_levels_of_service_control_policies_in_order(aws: ScriptedAws) -> None:
    levels = [("root.json", "guard.json"), ("unit.json",), ("account.json",)]
    texts = tuple(
        tuple(source(name, PolicyKind.SERVICE_CONTROL, Sid=name[:-5]) for name in level)
        for level in levels
    )

    report = simulate(aws, service_control=texts)

    assert report.verdict is Verdict.ALLOWED
    for call in aws.calls(OPERATION):
        sent = {
            name: json.loads(text)["Statement"][0]["Sid"]
            for name, text in call.parameters.items()
            if name.startswith("OrderedOrganizationPolicyInputList")
        }
        prefix, member = (
            "OrderedOrganizationPolicyInputList.member",
            "ServiceControlPolicyInputList",
        )
        assert sent == {
            f"{prefix}.1.{member}.member.1": "root",
            f"{prefix}.1.{member}.member.2": "guard",
            f"{prefix}.2.{member}.member.1": "unit",
            f"{prefix}.3.{member}.member.1": "account",
        }


def test_sends_no_levels_without_service_control_policies(aws: ScriptedAws) -> None:
    simulate(aws)

    sent = aws.calls(OPERATION)[0].parameters
    assert not [name for name in sent if name.startswith("OrderedOrganization")]
    assert sent["PermissionsBoundaryPolicyInputList.member.1"]


def test_reports_denial_of_organization(aws: ScriptedAws) -> None:
    aws.script(OPERATION, evaluation("implicitDeny", organizations=False))

    report = simulate(aws, service_control=((source("s.json", Action="s3:*"),),))

    assert report.document.verdict is Verdict.DENIED
    assert report.document.layer == "service control policy"


def test_answer_that_depends_on_key_is_unknown_without_call(aws: ScriptedAws) -> None:
    """IAM would take the key as absent."""
    report = simulate(aws, identity=(source("p.json", **MFA),))

    assert report.document.verdict is Verdict.UNKNOWN
    assert "--context aws:MultiFactorAuthPresent=VALUE" in report.document.reason
    assert not aws.calls(OPERATION)


def test_simulates_target_of_named_document_with_and_without_access_check_key(
    aws: ScriptedAws,
) -> None:
    simulate(aws, "Dev-Shell")

    sent = [
        (call.parameters["ResourceArns.member.1"].rpartition(":")[2].partition("/")[0],
         call.context.get("ssm:SessionDocumentAccessCheck", ("", [None]))[1])
        for call in aws.calls(OPERATION)
    ]  # fmt: skip
    assert sent[:3] == [("document", ["true"]), ("instance", ["true"]), ("instance", [None])]


def test_reports_failed_simulation(aws: ScriptedAws) -> None:
    aws.script(OPERATION, xml_error("AccessDenied", "not authorized", 403))

    assert simulate(aws).verdict is Verdict.UNKNOWN
