"""The contract of the stub plugin with its caller, before a session exists."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
PROGRAM = (sys.executable, "-m", "ssmgate.sandbox.plugin")
REQUEST = json.dumps({"Target": "i-1"})


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def start(response: object, first: str = VARIABLE) -> subprocess.CompletedProcess[str]:
    text = response if isinstance(response, str) else json.dumps(response)
    if first != VARIABLE:
        return run(text, "us-east-1", "StartSession", "", REQUEST, "http://127.0.0.1:1")
    return run(
        VARIABLE, "us-east-1", "StartSession", "", REQUEST, "http://127.0.0.1:1", **{VARIABLE: text}
    )


def response(url: str) -> dict[str, str]:
    return {"SessionId": "alice-1", "TokenValue": "the-token", "StreamUrl": url}


def test_version_supports_token_in_environment() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    digits = tuple(int(part) for part in ended.stdout.strip().split("."))
    assert ended.stdout == "{}.{}.{}.{}\n".format(*digits)
    assert digits > (1, 2, 764, 0)


def test_invalid_arguments_end_as_with_real_plugin() -> None:
    assert run().returncode == 0
    assert "stub" in run().stdout
    ended = run("{}", "us-east-1", "StopSession", "", REQUEST, "http://127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (0, "Invalid Operation")
    for odd in ("", "{", "[]", "null", '{"SessionId": "s"}'):
        ended = start(odd)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("Cannot perform start session: ")


@pytest.mark.parametrize(
    "url",
    [
        "wss://ssmmessages.us-east-1.amazonaws.com/v1/data-channel/alice-1",
        "ws://192.0.2.1/x",
        "ws://127.0.0.1.example.org/x",
        "ws://localhost/x",  # a name may be anyone's
        "wss://127.0.0.1/x",
        "http://127.0.0.1/x",
        "no address",
        "ws://[::ffff:192.0.2.1]/x",
    ],
)
@pytest.mark.parametrize("first", [VARIABLE, "argument"])
def test_connects_to_loopback_only(url: str, first: str) -> None:
    ended = start(response(url), first)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "this stub connects to a sandbox on this machine only" in ended.stderr
    assert "the-token" not in ended.stderr


def test_reports_unreachable_data_channel() -> None:
    ended = start(response("ws://127.0.0.1:1/x"))
    assert (ended.returncode, ended.stdout) == (1, "")
    first, second = ended.stderr.splitlines()
    assert first.endswith("a stub of session-manager-plugin, for the sandbox only")
    assert "no data channel at 127.0.0.1:1" in second
