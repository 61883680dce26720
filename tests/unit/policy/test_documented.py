"""The policies of AWS's documentation, and known mistakes, with the decision for each resource."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssmgate.policy.evaluate import Layers, Policy, evaluate, request

FOLDER = Path(__file__).parent / "documented"
EXPECTED: dict[str, dict[str, str]] = json.loads((FOLDER / "expected.json").read_text())

NODE = "arn:aws:ec2:us-east-1:111122223333:instance/i-02573cafcfEXAMPLE"
DOCUMENTS = {
    "default document": "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell",
    "ssh document": "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession",
    "port-forward document": "arn:aws:ssm:us-east-1::document/AWS-StartPortForwardingSession",
    "custom document": (
        "arn:aws:ssm:us-east-1:111122223333:document/exampleAllowedSessionDocument"
    ),
}
TAGS = {
    f"{prefix}:{kind}/{key}": value
    for prefix, kind in (("ssm", "resourceTag"), ("aws", "ResourceTag"))
    for key, value in (("Finance", "WebServers"), ("Team", "ops"))
}
CALLER = {"aws:username": "alice", "aws:userid": "AIDAEXAMPLE"}


@pytest.mark.parametrize(
    ("file", "resource"), [(file, resource) for file in EXPECTED for resource in EXPECTED[file]]
)
def test_documented_policy(file: str, resource: str) -> None:
    if resource.startswith("node"):
        arn, tags, check = NODE, TAGS, resource.removeprefix("node, key ")
    else:
        arn, tags, check = DOCUMENTS[resource], {}, "true"
    asked = request(
        "ssm:StartSession", arn, {**CALLER, **tags, "ssm:SessionDocumentAccessCheck": check}
    )
    policy = Policy.read((FOLDER / file).read_text(), file)

    assert evaluate(asked, Layers((policy,))).eval_decision.value == EXPECTED[file][resource]
