"""`on_unknown = "service"`: what is sent where IAM cannot be asked, and what never is."""

from __future__ import annotations

import json

import pytest

from conftest import TARGET, Ended, Machine
from fakes.log import Log
from fakes.scripted_aws import (
    ACCOUNT,
    Answer,
    all_decided,
    evaluation,
    identity,
    json_error,
    text,
    xml,
    xml_error,
)

pytestmark = pytest.mark.starts

SIMULATE = "iam:SimulatePrincipalPolicy"
SENTENCE = f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: {SIMULATE}"
NOT_ALLOWED = xml_error(
    "AccessDenied", f"{SENTENCE} because no identity-based policy allows the {SIMULATE} action", 403
)
DENIED = xml_error(
    "AccessDenied", f"{SENTENCE} with an explicit deny in an identity-based policy", 403
)
DEFAULT = "SSM-SessionManagerRunShell"


def start(machine: Machine, *words: str, on_unknown: str = "service", **environ: str) -> Ended:
    environ = {"SSMGATE_ON_UNKNOWN": on_unknown, **environ}
    return machine.run("--target", TARGET, *words, **environ)


@pytest.mark.parametrize(
    ("operation", "answer", "why"),
    [
        ("SimulatePrincipalPolicy", NOT_ALLOWED, "because no identity-based policy allows"),
        ("SimulatePrincipalPolicy", DENIED, "with an explicit deny in an identity-based policy"),
        ("GetCallerIdentity", identity(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT), "root user"),
        (
            "GetCallerIdentity",
            identity(f"arn:aws:sts::{ACCOUNT}:federated-user/bob", f"{ACCOUNT}:bob"),
            "a federated user",
        ),
    ],
)
def test_sends_request_with_default_document_named(
    machine: Machine, operation: str, answer: Answer, why: str
) -> None:
    machine.aws.script(operation, answer)
    log = Log(machine.home / "syslog")

    ended = start(machine, SSMGATE_RECORD_SYSLOG=log.path)

    assert ended.returncode == 0, ended.stderr
    (sent,) = machine.aws.calls("StartSession")
    assert sent.parameters == {"Target": TARGET, "DocumentName": DEFAULT}
    assert f"session document {DEFAULT}: checked by AWS, not simulated" in ended.stderr
    assert why in ended.stderr
    decision, started, *_ = (json.loads(text.partition(": ")[2]) for text in log.texts)
    log.close()
    assert (decision["decided_by"], decision["verdict"]) == ("service", "unknown")
    assert (decision["starts"], decision["document_named"]) == (True, True)
    assert (started["event"], started["document"]) == ("start", DEFAULT)


def test_on_unknown_deny_sends_nothing(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", NOT_ALLOWED)

    ended = start(machine, on_unknown="deny")

    assert ended.returncode == 254
    assert "because no identity-based policy allows" in ended.stderr
    assert not machine.aws.calls("StartSession")


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        pytest.param("SimulatePrincipalPolicy", evaluation("implicitDeny"), id="denied"),
        pytest.param("SimulatePrincipalPolicy", evaluation("explicitDeny"), id="a deny"),
        pytest.param(
            "SimulatePrincipalPolicy",
            evaluation("implicitDeny", missing=("aws:SourceIp",)),
            id="an unknown key",
        ),
        pytest.param(
            "SimulatePrincipalPolicy", evaluation("allowed", boundary=False), id="contradiction"
        ),
        pytest.param("SimulatePrincipalPolicy", xml(""), id="no answer"),
        pytest.param("SimulatePrincipalPolicy", text("<html>"), id="no XML"),
        pytest.param("SimulatePrincipalPolicy", evaluation("perhaps"), id="another word"),
        pytest.param(
            "SimulatePrincipalPolicy", xml_error("Throttling", "Rate exceeded"), id="throttled"
        ),
        pytest.param(
            "SimulatePrincipalPolicy", xml_error("ExpiredToken", "expired", 403), id="expired"
        ),
        pytest.param(
            "SimulatePrincipalPolicy",
            xml_error("AccessDeniedException", "no", 400),
            id="another code",
        ),
        pytest.param("GetCallerIdentity", xml_error("AccessDenied", "no", 403), id="STS denies"),
        pytest.param("GetCallerIdentity", xml(""), id="no caller"),
        pytest.param(
            "GetCallerIdentity", identity(f"arn:aws:sts::{ACCOUNT}:assumed-root/x"), id="a new kind"
        ),
    ],
)
def test_sends_nothing_if_iam_answers(machine: Machine, operation: str, answer: Answer) -> None:
    machine.aws.script(operation, answer)

    ended = start(machine)

    assert ended.returncode == 254
    assert not machine.aws.calls("StartSession")


def test_shows_denial_of_service_unchanged(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", NOT_ALLOWED)
    machine.aws.script("StartSession", json_error("AccessDeniedException", "by the service"))

    ended = start(machine)

    assert ended.returncode == 254
    assert "by the service" in ended.stderr
    assert "IAM simulation allowed" not in ended.stderr
    assert len(machine.aws.calls("StartSession")) == 1


def test_allowed_request_is_unchanged(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", all_decided())

    ended = start(machine)

    assert ended.returncode == 0, ended.stderr
    (sent,) = machine.aws.calls("StartSession")
    assert sent.parameters == {"Target": TARGET}
    assert "not simulated" not in ended.stderr


@pytest.mark.parametrize("named", [(), ("--document-name", DEFAULT)])
def test_explains_missing_default_document(machine: Machine, named: tuple[str, ...]) -> None:
    invalid = json_error("InvalidDocument", f"Document with name {DEFAULT} does not exist.")
    denied = json_error("AccessDeniedException", "is not authorized to perform: ssm:StartSession")
    machine.aws.script("StartSession", *([invalid] if named else [denied, invalid]))

    ended = machine.run("--target", TARGET, *named)

    assert ended.returncode == 254
    assert f"this region has no {DEFAULT}: it was never created" in ended.stderr
    assert "aws ssm create-document" in ended.stderr
