"""The sandbox's operations, called as users do it: with boto3, by way of a resident process.

boto3's botocore and awscli's cannot be loaded together, so that each script has its own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.sandbox import ACCOUNT, NODE, OWNER, Failed, Server, serving, text

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


def test_rejects_missing_operations_in_form_of_service(server: Server) -> None:
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
        [code, f"{operation} is not supported by the sandbox.", 1]
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


def test_failure_of_moto_is_service_error_without_traceback(server: Server) -> None:
    (found,) = boto3(
        server,
        "admin",
        'show(refused(ssm.list_tags_for_resource, ResourceType="Document", ResourceId="None"))',
    )
    assert found[2] == 1
    assert server.log is not None
    assert "Traceback" not in server.log.read_text()


def test_callers_find_and_terminate_own_sessions(server: Server) -> None:
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


def test_connection_status_is_authorized_with_tags_of_node(server: Server) -> None:
    grant = {
        "Effect": "Allow",
        "Action": "ssm:GetConnectionStatus",
        "Resource": f"arn:aws:ec2:*:{ACCOUNT}:instance/*",
        "Condition": {"StringEquals": {"ssm:resourceTag/Env": "dev"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    server.query(OWNER, "iam", "CreateUser", UserName="watcher")
    server.query(
        OWNER, "iam", "PutUserPolicy", UserName="watcher", PolicyName="p", PolicyDocument=policy
    )
    key = str(
        text(server.query(OWNER, "iam", "CreateAccessKey", UserName="watcher"), "AccessKeyId")
    )
    assert server.ssm(key, "GetConnectionStatus", Target=NODE)["Status"] == "connected"
    for target in ("i-0fedcba9876543210", "i-0aa"):
        with pytest.raises(
            Failed, match=f"ssm:GetConnectionStatus on resource: .*instance/{target} "
        ):
            server.ssm(key, "GetConnectionStatus", Target=target)


@pytest.mark.parametrize(
    ("service", "title"), [("ssm", "Systems Manager"), ("iam", "IAM"), ("sts", "STS")]
)
def test_each_operation_answers_in_form_of_service(
    server: Server, service: str, title: str
) -> None:
    """Each of them is sent without members. Clients do not retry 501."""
    page = (ROOT / "docs" / "reference" / "sandbox-operations.md").read_text()
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    offered, _, others = section.partition("Not offered:")

    def answer(operation: str) -> tuple[int, str]:
        try:
            if service == "ssm":
                server.ssm("bob", operation)
            else:
                server.query("bob", service, operation)
        except Failed as failed:
            return failed.status, failed.message
        return 200, ""

    for operation in re.findall(r"`([A-Za-z]+)`", section):
        status, message = answer(operation)
        assert status < 500 or status == 501, operation
        refused = "is not supported by the sandbox" in message
        assert refused is (f"`{operation}`" in others), operation
        assert refused is not (f"`{operation}`" in offered), operation
    assert server.log is not None
    assert "Traceback" not in server.log.read_text()


def test_page_of_operations_is_current() -> None:
    code = "import sandbox_operations as o; print(o.releases(), o.page(), sep='\\n', end='')"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools")},
        capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    releases, _, expected = ended.stdout.partition("\n")
    page = (ROOT / "docs" / "reference" / "sandbox-operations.md").read_text()
    if releases not in page:
        pytest.skip(f"docs/reference/sandbox-operations.md is not of {releases}")
    assert page == expected, "run: make sandbox-operations"


def test_instance_types_are_loaded_when_needed(server: Server) -> None:
    def megabytes() -> int:
        status = Path(f"/proc/{server.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) // 1024

    server.query("admin", "ec2", "DescribeInstances")
    assert megabytes() <= 150
    lines = boto3(
        server,
        "admin",
        """
types = ec2.describe_instance_types(InstanceTypes=["t3.micro", "m7g.large"])["InstanceTypes"]
show(sorted(each["InstanceType"] for each in types))
offered = ec2.describe_instance_type_offerings(
    Filters=[{"Name": "instance-type", "Values": ["m7g.large"]}])["InstanceTypeOfferings"]
show(offered)
for zone in ("us-east-1a", "eu-west-1a"):
    show(refused(
        ec2.run_instances, ImageId="ami-0", MinCount=1, MaxCount=1, InstanceType="m7g.large",
        Placement={"AvailabilityZone": zone}))
""",
    )
    assert lines == [
        ["m7g.large", "t3.micro"],
        [{"InstanceType": "m7g.large", "LocationType": "region", "Location": "us-east-1"}],
        "answered",
        ["InvalidParameterValue", "Invalid Availability Zone (eu-west-1a)", 1],
    ]


# The stub plugin


class Proxy:
    """A TCP proxy to a port, for one connection that can be cut."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._to = port
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        server = socket.create_connection(("127.0.0.1", self._to))
        self._sockets = [client, server]
        for pair in ((client, server), (server, client)):
            self._threads.append(threading.Thread(target=self._copy, args=pair))
            self._threads[-1].start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def cut(self) -> None:
        """End the connection, and leave no thread and no socket open."""
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listening, *self._sockets):
            each.close()


def test_stub_plugin_resumes_lost_session(server: Server) -> None:
    started = server.ssm("admin", "StartSession", Target=NODE)
    port = urllib.parse.urlsplit(started["StreamUrl"]).port
    assert port is not None
    proxy = Proxy(port)
    through = {
        **started,
        "StreamUrl": started["StreamUrl"].replace(f":{port}/", f":{proxy.port}/"),
    }
    plugin = subprocess.Popen(
        [
            sys.executable, "-m", "ssmgate.sandbox.plugin", json.dumps(through),
            "us-east-1", "StartSession", "", json.dumps({"Target": NODE}), server.url,
        ],
        env={**os.environ, **server.variables("admin")},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with plugin:
        assert plugin.stdin is not None
        assert plugin.stdout is not None

        def typed(line: bytes, wanted: bytes) -> None:
            assert plugin.stdin is not None
            assert plugin.stdout is not None
            plugin.stdin.write(line)
            plugin.stdin.flush()
            while wanted not in plugin.stdout.readline():
                pass

        typed(b"x=same; echo first-$((1 + 1))\r", b"first-2")
        proxy.cut()
        typed(b"echo second-$x\r", b"second-same")
        _, errors = plugin.communicate(b"exit\r", timeout=60)
        assert (plugin.returncode, errors.count(b"\n")) == (0, 1)
    assert server.log is not None
    assert f"{started['SessionId']} is resumed" in server.log.read_text()
    assert "admin ssm:ResumeSession allowed" in server.log.read_text()
