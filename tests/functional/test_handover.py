"""What the plugin receives: its arguments, environment and signals, in the same process."""

from __future__ import annotations

import json
import signal

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import SESSION_ID, STREAM_URL, TOKEN, Answer, json_error, json_ok
from ssmgate.gate.decision.messages import BEYOND_SIMULATION

pytestmark = pytest.mark.starts

RESPONSE = {"SessionId": SESSION_ID, "TokenValue": TOKEN, "StreamUrl": STREAM_URL}
VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
WARNING = (
    "\nWARNING: An outdated SessionManagerPlugin version detected. Please upgrade it to the latest"
    " version. \nFor more information, refer:\n  https://docs.aws.amazon.com/systems-manager/"
    "latest/userguide/session-manager-working-with-install-plugin.html\n\n"
)
IN_VARIABLE, IN_ARGUMENT = True, False
OUTDATED, QUIET = True, False


@pytest.mark.parametrize(
    ("version", "where", "warned"),
    [
        pytest.param("1", IN_ARGUMENT, OUTDATED, id="1"),
        pytest.param("1.2.0.0", IN_ARGUMENT, OUTDATED, id="1.2.0.0"),
        pytest.param("1.2.497", IN_ARGUMENT, OUTDATED, id="1.2.497"),
        pytest.param("1.2.497.0", IN_ARGUMENT, OUTDATED, id="1.2.497.0, the last without"),
        pytest.param("1.2.497.1", IN_VARIABLE, OUTDATED, id="1.2.497.1"),
        pytest.param("1.2.763.9", IN_VARIABLE, OUTDATED, id="1.2.763.9"),
        pytest.param("1.2.764", IN_VARIABLE, QUIET, id="1.2.764"),
        pytest.param("1.2.764.0", IN_VARIABLE, QUIET, id="1.2.764.0, the first recommended"),
        pytest.param("1.2.896.0\n", IN_VARIABLE, QUIET, id="1.2.896.0"),
        pytest.param("1.10.0.0", IN_VARIABLE, QUIET, id="1.10.0.0, compared as numbers"),
        pytest.param("2", IN_VARIABLE, QUIET, id="2"),
        pytest.param("20261124120000", IN_VARIABLE, QUIET, id="a date"),
        pytest.param(" \t1.2.804.0\r\n\n", IN_VARIABLE, QUIET, id="white space around"),
        pytest.param("1.2 .804\n.0", IN_VARIABLE, QUIET, id="white space within"),
        pytest.param("v1.2.707", IN_ARGUMENT, QUIET, id="v1.2.707"),
        pytest.param("1.2.707.0-rc1", IN_ARGUMENT, QUIET, id="1.2.707.0-rc1"),
        pytest.param("1.2.804.0.1", IN_ARGUMENT, QUIET, id="five numbers"),
        pytest.param("1..804.0", IN_ARGUMENT, QUIET, id="a number missing"),
        pytest.param("-1.2.804.0", IN_ARGUMENT, QUIET, id="negative"),
        pytest.param("session-manager-plugin 1.2.804.0", IN_ARGUMENT, QUIET, id="with its name"),
        pytest.param("", IN_ARGUMENT, QUIET, id="nothing"),
        pytest.param("\n", IN_ARGUMENT, QUIET, id="an empty line"),
    ],
)
def test_response_is_in_environment_for_new_plugins_only(
    machine: Machine, version: str, where: bool, warned: bool
) -> None:
    machine.plugin.version(version)

    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == (WARNING if warned else "")
    if where is IN_VARIABLE:
        assert machine.plugin.argv[0] == VARIABLE
        assert json.loads(machine.plugin.environ[VARIABLE]) == RESPONSE
    else:
        assert json.loads(machine.plugin.argv[0]) == RESPONSE
        assert VARIABLE not in machine.plugin.environ
    assert machine.plugin.argv[1:] == [
        "us-east-1",
        "StartSession",
        "",
        json.dumps({"Target": TARGET}),
        machine.aws.url,
    ]


@pytest.mark.parametrize(
    ("version", "found"),
    [("1.2.497.0", "of the caller's"), ("1.2.804.0", json.dumps(RESPONSE))],
    ids=["unchanged for an old plugin", "replaced for a new one"],
)
def test_preset_environment_variable_is_handled(machine: Machine, version: str, found: str) -> None:
    machine.plugin.version(version)

    machine.run("--target", TARGET, **{VARIABLE: "of the caller's"})

    assert machine.plugin.environ[VARIABLE] == found


def test_response_has_three_members(machine: Machine) -> None:
    machine.aws.script("StartSession", json_ok({**RESPONSE, "ResponseMetadata": 1, "More": "x"}))

    machine.run("--target", TARGET)

    assert machine.plugin.environ[VARIABLE] == json.dumps(RESPONSE)


@pytest.mark.parametrize(
    ("words", "environ", "profile"),
    [
        pytest.param(["--profile", "p"], {}, "p", id="the flag"),
        pytest.param(["--profile=p"], {}, "p", id="the flag with ="),
        pytest.param(["--p", "p"], {}, "p", id="its prefix"),
        pytest.param(["--profile", "q", "--profile", "p"], {}, "p", id="the last flag"),
        pytest.param(["--profile", "p"], {"AWS_PROFILE": "q"}, "p", id="the flag over AWS_PROFILE"),
        pytest.param([], {"AWS_PROFILE": "p"}, "", id="AWS_PROFILE"),
        pytest.param([], {"AWS_DEFAULT_PROFILE": "p"}, "", id="AWS_DEFAULT_PROFILE"),
        pytest.param(["--profile", ""], {}, "", id="an empty flag"),
    ],
)
def test_profile_argument_is_value_of_flag(
    machine: Machine, words: list[str], environ: dict[str, str], profile: str
) -> None:
    directory = machine.home / ".aws"
    directory.mkdir()
    keys = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"
    (directory / "config").write_text(f"[profile p]\n{keys}[profile q]\n{keys}")

    ended = machine.run("--target", TARGET, *words, **environ)

    assert ended.returncode == 0, ended.stderr
    assert machine.plugin.argv[3] == profile


def test_plugin_gets_request_and_endpoint_of_call(machine: Machine) -> None:
    words = (
        "--reason", "päper 'quoted'", "--parameters", "b=2,3,a=1",
        "--document-name", "AWS-StartSSHSession", "--target", TARGET,
        "--endpoint-url", f"{machine.aws.url}/path", "--region", "eu-west-1",
    )  # fmt: skip

    ended = machine.run(*words)

    assert ended.returncode == 0, ended.stderr
    sent = machine.aws.calls("StartSession")[0].parameters
    _, region, _, _, request, endpoint = machine.plugin.argv
    assert (region, endpoint) == ("eu-west-1", f"{machine.aws.url}/path")
    assert json.loads(request) == sent
    assert sent["Parameters"] == {"b": ["2", "3"], "a": ["1"]}


# The environment.


def test_plugin_gets_environment_of_caller(machine: Machine) -> None:
    ended = machine.run("--target", TARGET, EMPTY="", ODD="a=b c")

    assert ended.returncode == 0
    expected = machine.variables(EMPTY="", ODD="a=b c")
    assert machine.plugin.environ == {**expected, VARIABLE: json.dumps(RESPONSE)}


def test_ignored_sighup_stops_nothing(machine: Machine) -> None:
    machine.aws.delay = 0.2
    with machine.program("sh", "-c", 'trap "" HUP; exec "$@"', "sh") as process:
        for operation in ("GetCallerIdentity", "SimulatePrincipalPolicy", "StartSession"):
            machine.aws.wait_for(operation)
            process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)

    assert process.returncode == 0
    assert machine.plugin.started
    assert machine.aws.calls("TerminateSession") == []


# The default document's second spelling.

DENIED = json_error("AccessDeniedException", "the first refusal")
DEFAULT = "SSM-SessionManagerRunShell"


def test_denied_unnamed_default_is_sent_with_its_name(machine: Machine) -> None:
    machine.aws.script("StartSession", DENIED, json_ok(RESPONSE))

    ended = machine.run("--target", TARGET, "--reason", "r")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    first, second = (call.parameters for call in machine.aws.calls("StartSession"))
    assert first == {"Target": TARGET, "Reason": "r"}
    assert second == {**first, "DocumentName": DEFAULT}
    assert json.loads(machine.plugin.argv[4]) == second
    assert len(machine.aws.calls("SimulatePrincipalPolicy")) == 1


@pytest.mark.parametrize(
    ("second", "missing"),
    [
        pytest.param(json_error("InvalidDocument", "the second"), True, id="no such document"),
        pytest.param(json_error("AccessDeniedException", "the second"), False, id="refused again"),
    ],
)
def test_shows_first_error_if_second_spelling_fails(
    machine: Machine, second: Answer, missing: bool
) -> None:
    machine.aws.script("StartSession", DENIED, second)

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert ended.stderr.startswith(
        "\nssmgate: [ERROR]: An error occurred (AccessDeniedException) when calling the"
        " StartSession operation: the first refusal\n"
    )
    assert "".join(f"ssmgate: {note}\n" for note in BEYOND_SIMULATION) in ended.stderr
    assert ("this region has no SSM-SessionManagerRunShell" in ended.stderr) is missing
    assert len(machine.aws.calls("StartSession")) == 2


@pytest.mark.parametrize("name", [DEFAULT, "AWS-StartSSHSession", "Mine"])
def test_named_document_is_sent_once(machine: Machine, name: str) -> None:
    machine.aws.script("StartSession", DENIED, json_ok(RESPONSE))

    ended = machine.run("--target", TARGET, "--document-name", name)

    assert ended.returncode == 254
    assert [c.parameters["DocumentName"] for c in machine.aws.calls("StartSession")] == [name]
