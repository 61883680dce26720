"""The main job, run as a program: refused without a grant, the plugin with one."""

from __future__ import annotations

import json

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import ACCOUNT, SESSION_ID, STREAM_URL, TOKEN, evaluation

DEFAULT_ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"


def test_grant_on_the_default_document_becomes_the_plugin(machine: Machine) -> None:
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


@pytest.mark.parametrize("decision", ["implicitDeny", "explicitDeny", "Allowed", "", "yes"])
def test_anything_but_allowed_starts_nothing(machine: Machine, decision: str) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation(decision))

    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert "SSM-SessionManagerRunShell" in ended.stderr
    assert machine.aws.calls("StartSession") == []
    assert not machine.plugin.started


@pytest.mark.parametrize("words", [("--target", TARGET), ("--target", "")])
def test_errors_for_machines_have_the_shape_of_v2s(machine: Machine, words: tuple[str]) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    shown = json.loads(machine.run(*words, "--cli-error-format", "json").stderr)
    text = machine.run(*words, "--cli-error-format", "text").stderr

    refused = words[1] == TARGET
    assert shown["Code"] == ("AccessDeniedException" if refused else "ParamValidation")
    assert shown["Message"].startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/alice is not" if refused else "Parameter validation"
    )
    assert text.startswith(f"{shown['Code']}\t{shown['Message']}\n")
