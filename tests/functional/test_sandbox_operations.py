"""The sandbox's operations, called as users do it: with boto3, by way of a resident process.

boto3's botocore and awscli's cannot be loaded together, so that each script has its own process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.sandbox import Server, serving

ROOT = Path(__file__).parent.parent.parent

# What each script begins with: `refused` calls and prints nothing, or returns code and message.
PRELUDE = """
import json, logging
import boto3
from botocore.exceptions import ClientError

iam, ssm, sts, ec2 = (boto3.client(name) for name in ("iam", "ssm", "sts", "ec2"))

def refused(call, **members):
    requests = []
    call.__self__.meta.events.register_first(
        "before-send.*", lambda request, **_: requests.append(request) and None)
    try:
        call(**members)
    except ClientError as error:
        found = error.response["Error"]
        return found["Code"], found["Message"], len(requests)
    return "answered"

def show(value):
    print(json.dumps(value, default=str))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(log=tmp_path_factory.mktemp("sandbox") / "log") as running:
        yield running


def boto3(server: Server, who: str, script: str) -> list[Any]:
    """Run a script as `who`. Returns what it has shown."""
    environ = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": "/nonexistent",
        **server.variables(who),
    }
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        env=environ, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_lacking_operations_are_refused_once_in_form_of_service(server: Server) -> None:
    lines = boto3(
        server,
        "admin",
        """
show(refused(ssm.get_service_setting, SettingId="/ssm/x"))
show(refused(ssm.create_activation, IamRole="Ops"))
show(refused(ssm.start_access_request, Reason="r", Targets=[{"Key": "k", "Values": ["v"]}]))
show(refused(iam.get_mfa_device, SerialNumber="arn:aws:iam::111122223333:mfa/x"))
show(refused(sts.decode_authorization_message, EncodedMessage="x"))
show(refused(ec2.create_ipam))
""",
    )
    assert lines == [
        [code, f"{operation} is not offered by the sandbox.", 1]
        for code, operation in (
            ("UnknownOperationException", "ssm:GetServiceSetting"),
            ("UnknownOperationException", "ssm:CreateActivation"),
            ("UnknownOperationException", "ssm:StartAccessRequest"),
            ("InvalidAction", "iam:GetMFADevice"),
            ("InvalidAction", "sts:DecodeAuthorizationMessage"),
            ("InvalidAction", "ec2:CreateIpam"),
        )
    ]
    assert server.log is not None
    assert "Traceback" not in server.log.read_text()


def test_failure_of_moto_is_answered_once_without_traceback(server: Server) -> None:
    (found,) = boto3(
        server,
        "admin",
        'show(refused(ssm.list_tags_for_resource, ResourceType="Document", ResourceId="None-Such"))',
    )
    assert found[2] == 1
    assert server.log is not None
    assert "Traceback" not in server.log.read_text()


def test_scripts_find_and_end_their_own_sessions(server: Server) -> None:
    """What `terminate my sessions` scripts do must not reach the sessions of others."""
    lines = boto3(
        server,
        "admin",
        """
node = "i-0123456789abcdef0"
mine = [ssm.start_session(Target=node)["SessionId"] for _ in range(3)]
other = boto3.client("ssm", aws_access_key_id="AKIAOWNEROWNEROWNERX", aws_secret_access_key="x")
theirs = other.start_session(Target=node)["SessionId"]
me = sts.get_caller_identity()["Arn"]
pages = ssm.get_paginator("describe_sessions").paginate(
    State="Active", Filters=[{"key": "Owner", "value": me}], PaginationConfig={"PageSize": 2})
pages = [[s["SessionId"] for s in page["Sessions"]] for page in pages]
show([len(page) for page in pages])
show(sum(pages, []) == mine[::-1])
for session_id in mine:
    ssm.terminate_session(SessionId=session_id)
active = ssm.describe_sessions(State="Active")["Sessions"]
show([s["SessionId"] for s in active] == [theirs])
show(active[0]["Owner"])
resumed = other.resume_session(SessionId=theirs)
show([resumed["SessionId"] == theirs, resumed["StreamUrl"].startswith("ws://127.0.0.1:")])
show(refused(ssm.resume_session, SessionId=mine[0]))
show([ssm.get_connection_status(Target=target)["Status"]
      for target in (node, "i-00000000000000bad", "i-0aa")])
documents = ssm.get_paginator("list_documents").paginate(
    Filters=[{"Key": "Owner", "Values": ["Self"]}])
show([d["Name"] for page in documents for d in page["DocumentIdentifiers"]])
show(refused(ssm.list_documents, Filters=[{"Key": "Colour", "Values": ["red"]}]))
""",
    )
    assert lines.pop(5)[0] == "DoesNotExistException"
    assert lines == [
        [2, 1],
        True,
        True,
        "arn:aws:iam::111122223333:root",
        [True, True],
        ["connected", "notconnected", "notconnected"],
        ["SSM-SessionManagerRunShell"],
        ["InvalidFilterKey", "The filter key Colour is not valid.", 1],
    ]
