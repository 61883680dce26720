"""What a start sends and executes, byte for byte. For who may start see test_decisions.py."""

from __future__ import annotations

import json

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import ACCOUNT, SESSION_ID, STREAM_URL, TOKEN, evaluation

pytestmark = pytest.mark.starts

DEFAULT_ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"


def test_grant_of_default_document_executes_plugin(machine: Machine) -> None:
    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert machine.aws.operations == [
        "GetCallerIdentity",
        "SimulatePrincipalPolicy",
        "StartSession",
    ]
    asked = machine.aws.calls("SimulatePrincipalPolicy")[0].parameters
    assert asked["ResourceArns.member.1"] == DEFAULT_ARN
    assert "ResourceArns.member.2" not in asked
    assert machine.aws.calls("StartSession")[0].parameters == {"Target": TARGET}
    assert machine.plugin.argv == [
        "AWS_SSM_START_SESSION_RESPONSE",
        "us-east-1",
        "StartSession",
        "",
        json.dumps({"Target": TARGET}),
        machine.aws.url,
    ]
    assert json.loads(machine.plugin.environ["AWS_SSM_START_SESSION_RESPONSE"]) == {
        "SessionId": SESSION_ID,
        "TokenValue": TOKEN,
        "StreamUrl": STREAM_URL,
    }


@pytest.mark.parametrize("decision", ["implicitDeny", "Allowed", "", "yes"])
def test_anything_but_allowed_starts_nothing(machine: Machine, decision: str) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation(decision))

    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert "SSM-SessionManagerRunShell" in ended.stderr
    assert machine.aws.calls("StartSession") == []
    assert not machine.plugin.started


def test_rejects_parameters_that_exec_cannot_pass(machine: Machine) -> None:
    """The kernel would refuse to execute the plugin, after the session was started."""
    parameters = machine.home / "parameters.json"
    parameters.write_text(json.dumps({"command": ["x" * 131_072]}))
    ended = machine.run("--target", TARGET, "--parameters", f"file://{parameters}")

    assert ended.returncode == 252
    assert "the parameters are too long for session-manager-plugin" in ended.stderr
    assert machine.aws.operations == []
