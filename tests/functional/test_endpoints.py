"""Endpoints of STS, IAM and StartSession: warnings, and what `check` reports about them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from conftest import TARGET, Machine
from functional.test_check import VALIDATOR

WARNING = "ssmgate: [WARNING]: the session starts at AWS, but AWS does not answer the access check"
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


class Proxy:
    """An HTTP proxy that notes the hosts it is asked for, and connects to none."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self._closed = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                words = connection.recv(4096).decode().split()
                if self._closed:
                    return
                if not words:  # a client that changed its mind
                    continue
                self.hosts.add(words[1].removesuffix(":443"))
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._closed = True
        socket.create_connection(self._socket.getsockname()).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.mark.parametrize(
    ("region", "variant", "hosts"),
    [
        ("ca-central-1", "FIPS", "sts iam-fips ssm-fips"),
        ("us-west-2", "FIPS", "sts-fips iam-fips ssm-fips"),
        ("fips-ca-central-1", "", "sts iam ssm-fips"),
        ("eu-west-1", "", "sts iam ssm"),
    ],
)
def test_process_connects_only_to_existing_hosts(
    machine: Machine, proxy: Proxy, region: str, variant: str, hosts: str
) -> None:
    del machine.environ["AWS_ENDPOINT_URL"]
    machine.environ |= {"https_proxy": proxy.url, "AWS_MAX_ATTEMPTS": "1"}
    if variant:
        machine.environ[f"AWS_USE_{variant}_ENDPOINT"] = "true"

    ended = machine.run("--target", TARGET, "--region", region)

    assert ended.returncode == 254
    name = region.removeprefix("fips-")
    sts, iam, ssm = hosts.split()
    expected = {
        f"{sts}.{name}.amazonaws.com",
        f"{iam}.amazonaws.com",
        f"{ssm}.{name}.amazonaws.com",
    }
    assert proxy.hosts <= expected
    assert f"{sts}.{name}.amazonaws.com" in proxy.hosts
