"""TokenValue and StreamUrl open a session to any reader: only the plugin may receive them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TARGET, Ended, Machine
from fakes.scripted_aws import (
    SESSION_ID,
    STARTED,
    STREAM_URL,
    TOKEN,
    Answer,
    hang,
    json_error,
    json_ok,
    reset,
    text,
    truncated,
)

pytestmark = pytest.mark.starts

SECRETS = (TOKEN, STREAM_URL, "NOBODY-MAY-SEE")
OLD, NEW = "1.2.497.0", "1.2.804.0"
DENIED = json_error("AccessDeniedException", "no")


def assert_secret(machine: Machine, ended: Ended) -> None:
    """Check that the secrets are neither printed nor written anywhere."""
    for secret in SECRETS:
        assert secret not in ended.stdout
        assert secret not in ended.stderr
    for path in machine.home.rglob("*"):
        if path.is_file():
            assert b"NOBODY-MAY-SEE" not in path.read_bytes(), path


def without(*names: str) -> Answer:
    return json_ok({name: value for name, value in STARTED.items() if name not in names})


def vanishing_plugin(machine: Machine, version: str) -> None:
    """Install a plugin that prints its version and cannot be executed afterwards."""
    directory = machine.home / "bin"
    directory.mkdir()
    path = directory / "session-manager-plugin"
    path.write_text(f'#!/bin/sh\necho {version}\nrm "$0"\n')
    path.chmod(0o755)
    machine.environ["PATH"] = f"{directory}{os.pathsep}{os.environ['PATH']}"


def test_debug_hides_response_of_start_session(machine: Machine) -> None:
    ended = machine.run("--target", TARGET, "--debug")

    assert ended.returncode == 0
    assert "SimulatePrincipalPolicyResponse" in ended.stderr
    assert_secret(machine, ended)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([DENIED, json_ok(STARTED)], id="a second spelling"),
        pytest.param([json_error("ThrottlingException", "x"), json_ok(STARTED)], id="throttled"),
    ],
)
def test_no_start_shows_token(machine: Machine, answers: list[Answer]) -> None:
    machine.aws.script("StartSession", *answers)

    ended = machine.run("--target", TARGET, "--debug")

    assert ended.returncode == 0, ended.stderr
    assert_secret(machine, ended)


ODD = [
    pytest.param([json_ok([STARTED])], id="a list"),
    pytest.param([json_ok(TOKEN)], id="a string"),
    pytest.param([json_ok({**STARTED, "SessionId": None})], id="no SessionId"),
    pytest.param([json_ok({**STARTED, "SessionId": {"a": TOKEN}})], id="an odd SessionId"),
    pytest.param([without("TokenValue")], id="no TokenValue"),
    pytest.param([without("StreamUrl")], id="no StreamUrl"),
    pytest.param([json_ok({**STARTED, "StreamUrl": [STREAM_URL]})], id="an odd StreamUrl"),
    pytest.param([text(json.dumps(STARTED)[:-1])], id="broken JSON"),
    pytest.param([truncated(json.dumps(STARTED))], id="truncated"),
    pytest.param([text(json.dumps(STARTED), 500)], id="with status 500"),
    pytest.param([text(json.dumps(STARTED), 302)], id="with status 302"),
    pytest.param([text(json.dumps(STARTED)[:-1], 403)], id="broken JSON with status 403"),
    pytest.param([text(json.dumps(STARTED)[:-1], 500)], id="broken JSON with status 500"),
    pytest.param([text(json.dumps(STARTED), 403)], id="with status 403"),
    pytest.param([DENIED, json_ok([STARTED])], id="second spelling, a list"),
    pytest.param([DENIED, without("TokenValue")], id="second spelling, no TokenValue"),
]


@pytest.mark.parametrize("answers", ODD)
def test_invalid_answers_are_not_shown(machine: Machine, answers: list[Answer]) -> None:
    machine.aws.script("StartSession", *answers)

    ended = machine.run("--target", TARGET, "--debug", AWS_MAX_ATTEMPTS="1")

    assert ended.returncode in (254, 255)
    assert "Traceback" in ended.stderr
    assert not machine.plugin.started
    assert_secret(machine, ended)


@pytest.mark.parametrize("version", [OLD, NEW], ids=["an old plugin", "a new plugin"])
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(json_ok({}), id="ended"),
        pytest.param(DENIED, id="refused"),
        pytest.param(reset(), id="reset"),
        pytest.param(json_ok([STARTED]), id="unexpected"),
        pytest.param(text(json.dumps(STARTED), 403), id="echoed"),
    ],
)
def test_failing_handover_does_not_show_token(machine: Machine, version: str, end: Answer) -> None:
    vanishing_plugin(machine, version)
    machine.aws.script("TerminateSession", end)

    ended = machine.run("--target", TARGET, "--debug", AWS_MAX_ATTEMPTS="1")

    assert ended.returncode == 255
    assert "cannot be executed: No such file or directory" in ended.stderr
    assert machine.aws.calls("TerminateSession")[0].parameters == {"SessionId": SESSION_ID}
    assert_secret(machine, ended)


LONG = TOKEN * 5


@pytest.mark.parametrize("error_format", ["legacy", "json", "text", "enhanced"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(json_error("AccessDeniedException", LONG), id="message"),
        pytest.param(json_error("AccessDeniedException", f"Token: '{LONG}'."), id="in a sentence"),
        pytest.param(json_error(LONG, "no"), id="code"),
        pytest.param(text(LONG, 403), id="body"),
    ],
)
def test_error_text_of_service_does_not_show_token(
    machine: Machine, answer: Answer, error_format: str
) -> None:
    machine.aws.script("StartSession", answer)

    ended = machine.run("--target", TARGET, "--cli-error-format", error_format, "--debug")

    assert ended.returncode == 254
    assert TOKEN not in ended.stderr


def test_too_long_arguments_of_old_plugin_are_not_shown(machine: Machine) -> None:
    machine.plugin.version(OLD)
    machine.aws.script("StartSession", json_ok({**STARTED, "StreamUrl": "wss://" + "x" * 140_000}))

    ended = machine.run("--target", TARGET, "--debug")

    assert ended.returncode == 255
    assert "Argument list too long" in ended.stderr
    assert_secret(machine, ended)


@pytest.mark.parametrize("error_format", ["legacy", "json", "enhanced"])
def test_no_error_format_shows_token(machine: Machine, error_format: str) -> None:
    vanishing_plugin(machine, OLD)

    ended = machine.run("--target", TARGET, "--cli-error-format", error_format, "--debug")

    assert ended.returncode == 255
    assert_secret(machine, ended)


def test_timed_out_start_does_not_show_token(machine: Machine) -> None:
    machine.aws.script("StartSession", hang(3))

    ended = machine.run("--target", TARGET, "--cli-read-timeout", "1", "--debug")

    assert ended.returncode == 255
    assert_secret(machine, ended)


# The plugin's command line, which everyone on the machine can read.


@pytest.mark.parametrize(
    ("version", "seen"), [(NEW, False), (OLD, True)], ids=["a new plugin", "an old plugin"]
)
def test_command_line_of_new_plugins_has_no_token(
    machine: Machine, version: str, seen: bool
) -> None:
    machine.plugin.version(version)
    machine.plugin.on_start('tr "\\0" " " < /proc/$$/cmdline > "$FAKE_PLUGIN/cmdline"')

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0
    shown = (machine.plugin.directory / "cmdline").read_text()
    assert ("NOBODY-MAY-SEE" in shown) == seen
    assert_secret(machine, ended)


def test_version_probe_gets_no_token(machine: Machine) -> None:
    machine.plugin.on_version('env > "$FAKE_PLUGIN/asked"')

    machine.run("--target", TARGET)

    assert "NOBODY-MAY-SEE" not in (machine.plugin.directory / "asked").read_text()


def test_cli_history_does_not_record_token(machine: Machine) -> None:
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "config").write_text("[default]\ncli_history = enabled\n")

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 0
    assert not list(machine.home.rglob("history*"))
    assert_secret(machine, ended)


# Values.

REPR = """
import os, sys, traceback
import ssmgate.gate.start as gate
from ssmgate.gate import printer
from ssmgate.gate.plugin.handover import Handover

seen = []
def become(handover, last_check):
    frame, frames = sys._getframe(), [starting.gen.gi_frame]
    while frame:
        frames.append(frame)
        frame = frame.f_back
    for frame in frames:
        seen.extend(
            repr(value) for value in frame.f_locals.values()
            if type(value).__module__.startswith("ssmgate")
        )
    raise OSError("stop")

try:
    Handover.exec, printer.eprint = become, seen.append
    invocation = gate.read(["ssm", "start-session", *sys.argv[1:]])
    permitted = gate.permit(invocation, dict(os.environ))
    starting = gate.started(permitted)
    with starting as session:
        session.exec()
except Exception as error:
    chain = error
    while chain:
        seen += [repr(chain), str(chain), *traceback.format_exception(chain)]
        chain = chain.__cause__ or chain.__context__
print("\\n".join(seen))
"""


@pytest.mark.parametrize("version", [OLD, NEW], ids=["an old plugin", "a new plugin"])
def test_repr_of_values_hides_token(machine: Machine, version: str) -> None:
    machine.plugin.version(version)

    ended = subprocess.run(
        [sys.executable, "-c", REPR, "--target", TARGET],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    for name in ("StartedSession", "Handover", "Permit", "Plugin", "Authorization", "Invocation",
                 "PermittedSession", "ReadySession"):  # fmt: skip
        assert f"{name}(" in ended.stdout
    assert SESSION_ID in ended.stdout
    for secret in SECRETS:
        assert secret not in ended.stdout + ended.stderr


# Keys.


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda machine: None, id="a start"),
        pytest.param(
            lambda machine: machine.aws.script("GetCallerIdentity", text("no XML")),
            id="a failing check",
        ),
    ],
)
def test_secret_key_of_caller_is_not_shown(
    machine: Machine, spoil: Callable[[Machine], None]
) -> None:
    spoil(machine)

    ended = machine.run(
        "--target", TARGET, "--debug", AWS_SECRET_ACCESS_KEY="KEY-THAT-NOBODY-MAY-SEE"
    )

    assert_secret(machine, ended)


def test_search_finds_token_given_to_plugin(machine: Machine, tmp_path: Path) -> None:
    """This proves that the search of the other tests works."""
    machine.run("--target", TARGET)

    assert TOKEN in (tmp_path / "plugin" / "environ").read_text()
