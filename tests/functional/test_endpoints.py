"""Endpoints of STS, IAM and StartSession: warnings, and what `check` reports about them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from conftest import TARGET, Machine
from functional.test_check import VALIDATOR

WARNING = (
    "ssmgate: [WARNING]: the access check is not answered by AWS, but the session starts there"
)
SSM = "https://ssm.us-east-1.amazonaws.com"
VPC_ENDPOINT = "https://vpce-0a1b-x2y3.ssm.us-east-1.vpce.amazonaws.com"


@pytest.fixture
def split_machine(machine: Machine) -> Machine:
    """Return a machine that calls STS and IAM of the scripted AWS and StartSession of AWS.

    No packet leaves the machine.
    """
    url = machine.environ.pop("AWS_ENDPOINT_URL")
    machine.environ |= {
        "AWS_ENDPOINT_URL_STS": url,
        "AWS_ENDPOINT_URL_IAM": url,
        "https_proxy": "http://127.0.0.1:1",
        "no_proxy": "127.0.0.1",
    }
    return machine


@pytest.mark.starts
@pytest.mark.parametrize("words", [(), ("--endpoint-url", VPC_ENDPOINT)], ids=["AWS", "VPC"])
def test_warns_when_another_host_allowed_session(
    split_machine: Machine, words: tuple[str, ...]
) -> None:
    ended = split_machine.run("--target", TARGET, *words)

    (line,) = [line for line in ended.stderr.splitlines() if "[WARNING]" in line]
    assert line.startswith(WARNING)
    for name, url in (
        ("IAM is", split_machine.aws.url),
        ("StartSession", words[1] if words else SSM),
    ):
        assert f"of {name} {url}" in line
    assert ended.stderr.index(line) < ended.stderr.index("[ERROR]")
    assert split_machine.aws.operations == ["GetCallerIdentity", "SimulatePrincipalPolicy"]


@pytest.mark.starts
def test_does_not_warn_for_one_local_endpoint(machine: Machine) -> None:
    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_check_says_which_endpoints_answered(split_machine: Machine) -> None:
    def check(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "ssmgate", "check", "--target", TARGET, *words],
            env=split_machine.variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, cwd=split_machine.home, check=True,
        ).stdout  # fmt: skip

    found = json.loads(check("--output", "json"))
    VALIDATOR.validate(found)
    assert found["endpoints"] == {
        "sts": split_machine.aws.url,
        "iam": split_machine.aws.url,
        "ssm": SSM,
    }
    text = check("--explain")
    assert f"\nendpoint of IAM {split_machine.aws.url}\n" in text
    assert f"\nendpoint of StartSession {SSM}\n" in text
