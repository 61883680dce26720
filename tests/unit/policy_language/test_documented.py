"""AWS's own Session Manager policies, each with its decision for ssm:StartSession on six resources.

`documented/` has the policies of the Systems Manager, ECS and IAM user guides for one account, and
some of our own (`own-`). `expected.json` is by ordinary IAM rules, worked out apart from this code.
"""

import json
from pathlib import Path

import pytest

from ssmgate.policy_language import Context, Policies, Request, evaluate, parse_policy

DIRECTORY = Path(__file__).parent / "documented"
EXPECTED = json.loads((DIRECTORY / "expected.json").read_text())
ACCOUNT = "us-east-1:111122223333"
NODE = f"arn:aws:ec2:{ACCOUNT}:instance/i-02573cafcfEXAMPLE"
TAGS = {"ssm:resourceTag/Finance": "WebServers", "ssm:resourceTag/Team": "ops"}
CHECKED = {"ssm:SessionDocumentAccessCheck": "true"}
REQUESTS = {
    "node, key true": (NODE, TAGS | CHECKED),
    "node, key false": (NODE, TAGS | {"ssm:SessionDocumentAccessCheck": "false"}),
    "default document": (f"arn:aws:ssm:{ACCOUNT}:document/SSM-SessionManagerRunShell", CHECKED),
    "SSH document": ("arn:aws:ssm:us-east-1::document/AWS-StartSSHSession", CHECKED),
    "port-forwarding document": (
        "arn:aws:ssm:us-east-1::document/AWS-StartPortForwardingSession",
        CHECKED,
    ),
    "custom document": (f"arn:aws:ssm:{ACCOUNT}:document/exampleAllowedSessionDocument", CHECKED),
}


def test_each_policy_has_row():
    files = {path.name for path in DIRECTORY.glob("*.json")} - {"expected.json"}
    assert files == set(EXPECTED["decisions"])
    assert EXPECTED["columns"] == list(REQUESTS)


@pytest.mark.parametrize(
    ("name", "column", "decision"),
    [
        pytest.param(name, column, decision, id=f"{name}-{column}")
        for name, decisions in EXPECTED["decisions"].items()
        for column, decision in zip(EXPECTED["columns"], decisions, strict=True)
    ],
)
def test_each_documented_policy_has_its_answer(name, column, decision):
    policy = parse_policy((DIRECTORY / name).read_text(), name)
    resource, context = REQUESTS[column]
    evaluation = evaluate(
        Request("ssm:StartSession", resource, Context(context)), Policies((policy,))
    )
    assert evaluation.eval_decision.value == decision
