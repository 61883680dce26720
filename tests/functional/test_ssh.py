"""ssh and scp of the machine's OpenSSH through ProxyCommand, in the sandbox."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import FAKES, Machine, needs
from fakes import sshd
from fakes.sandbox import NODE

pytestmark = [needs("ssh", "scp", "sshd"), pytest.mark.starts]

PROXY = "{program} --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p"


@pytest.fixture
def machine(resident: Callable[[str], Machine]) -> Machine:
    """Return the machine of a user whose policy names the ssh document of AWS."""
    return resident("carol")


def run(
    machine: Machine, ssh_server: sshd.Sshd, *command: str, proxy: str = PROXY, data: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    program = Path(sys.executable).with_name("ssm-start-session")
    config = ssh_server.client_config(proxy.format(program=program))
    return run_with(machine, config, *command, data=data)


def run_with(
    machine: Machine, config: Path, *command: str, data: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [command[0], "-F", str(config), *command[1:]],
        env=machine.variables(PATH=f"{FAKES / 'stream'}{os.pathsep}{os.environ['PATH']}"),
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_login_simulates_document_of_aws(machine: Machine, ssh_server: sshd.Sshd) -> None:
    ended = run(machine, ssh_server, "ssh", NODE, "echo from the node; cat", data=b"to the node")

    assert (ended.returncode, ended.stdout) == (0, b"from the node\nto the node")
    assert machine.aws.requests == [
        "carol sts:GetCallerIdentity not restricted",
        "carol iam:SimulatePrincipalPolicy allowed; ssm:StartSession on"
        " arn:aws:ssm:us-east-1::document/AWS-StartSSHSession: allowed",
        "carol ssm:StartSession allowed",
    ]
    (session,) = machine.aws.sessions
    assert (session["Target"], session["DocumentName"]) == (NODE, "AWS-StartSSHSession")


def test_form_documented_by_aws_works_in_sh(machine: Machine, ssh_server: sshd.Sshd) -> None:
    proxy = (
        'sh -c "{program} --target %h --document-name AWS-StartSSHSession'
        " --parameters 'portNumber=%p'\""
    )

    assert run(machine, ssh_server, "ssh", NODE, "true", proxy=proxy).returncode == 0


def test_scp_carries_bytes_unchanged(
    machine: Machine, ssh_server: sshd.Sshd, tmp_path: Path
) -> None:
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(os.urandom(5_000_000))

    ended = run(machine, ssh_server, "scp", "-q", str(sent), f"{NODE}:{got}")

    assert ended.returncode == 0, ended.stderr
    assert hashlib.sha256(sent.read_bytes()).digest() == hashlib.sha256(got.read_bytes()).digest()


def test_denial_prints_one_error_and_starts_nothing(
    resident: Callable[[str], Machine], ssh_server: sshd.Sshd
) -> None:
    machine = resident("alice")

    ended = run(machine, ssh_server, "ssh", NODE, "true")

    assert (ended.returncode, ended.stdout) == (255, b"")
    assert b"access denied (AccessDeniedException): " in ended.stderr
    assert b" for user/alice" in ended.stderr
    assert machine.aws.of("ssm:StartSession") == []
    assert machine.aws.sessions == []


def test_concurrent_logins_succeed(machine: Machine, ssh_server: sshd.Sshd) -> None:
    program = Path(sys.executable).with_name("ssm-start-session")
    config = ssh_server.client_config(PROXY.format(program=program))
    with ThreadPoolExecutor(8) as pool:
        ended = list(
            pool.map(lambda n: run_with(machine, config, "ssh", NODE, f"echo {n}"), range(16))
        )

    assert [e.stdout for e in ended] == [f"{n}\n".encode() for n in range(16)]
    assert len(machine.aws.sessions) == 16
