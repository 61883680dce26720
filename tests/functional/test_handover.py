"""What the plugin gets: its arguments, its environment, its signals, and this very process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import FAKES, TARGET, Machine
from fakes.scripted_aws import SESSION_ID, STREAM_URL, TOKEN, Answer, json_error, json_ok

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
def test_the_response_is_in_the_variable_for_new_plugins_alone(
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
    ids=["kept for an old plugin", "replaced for a new one"],
)
def test_a_preset_variable(machine: Machine, version: str, found: str) -> None:
    machine.plugin.version(version)

    machine.run("--target", TARGET, **{VARIABLE: "of the caller's"})

    assert machine.plugin.environ[VARIABLE] == found


def test_the_response_has_three_members(machine: Machine) -> None:
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
def test_the_profile_argument_is_what_the_flag_said(
    machine: Machine, words: list[str], environ: dict[str, str], profile: str
) -> None:
    folder = machine.home / ".aws"
    folder.mkdir()
    keys = "aws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n"
    (folder / "config").write_text(f"[profile p]\n{keys}[profile q]\n{keys}")

    ended = machine.run("--target", TARGET, *words, **environ)

    assert ended.returncode == 0, ended.stderr
    assert machine.plugin.argv[3] == profile


def test_the_request_and_the_endpoint_are_those_of_the_call(machine: Machine) -> None:
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


def test_the_environment_is_the_callers(machine: Machine) -> None:
    ended = machine.run("--target", TARGET, EMPTY="", ODD="a=b c")

    assert ended.returncode == 0
    expected = machine.variables(EMPTY="", ODD="a=b c")
    assert machine.plugin.environ == {**expected, VARIABLE: json.dumps(RESPONSE)}


@pytest.mark.parametrize(
    "name", ["AWS_DATA_PATH", "BOTOCORE_EXPERIMENTAL__PLUGINS", "AWS_CLI_UPGRADE_DEBUG_MODE"]
)
def test_what_ssmgate_sets_aside_the_plugin_still_has(machine: Machine, name: str) -> None:
    machine.run("--target", TARGET, **{name: "as the caller had it"})

    assert machine.plugin.environ[name] == "as the caller had it"


def test_bytes_that_are_no_text_reach_the_plugin(machine: Machine) -> None:
    machine.run("--target", TARGET, ODD="\udcff\udc80")

    assert b"\nODD=\xff\x80\n" in b"\n" + (machine.plugin.folder / "environ").read_bytes()


# The process.


def program(machine: Machine, *before: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=machine.home,
    )


def mask(status: str, name: str) -> set[int]:
    """The signals in `name`'s mask, read from the text of a /proc/PID/status."""
    bits = int(status.partition(f"{name}:")[2].split()[0], 16)
    return {number for number in range(1, 65) if bits >> (number - 1) & 1}


def test_the_process_becomes_the_plugin(machine: Machine) -> None:
    with program(machine) as process:
        process.communicate(timeout=30)

    assert int((machine.plugin.folder / "pid").read_text()) == process.pid


def test_signals_are_those_that_the_cli_gives(machine: Machine) -> None:
    # By exec: a shell blocks signals while it starts another program.
    machine.plugin.on_start("exec grep Sig /proc/self/status")

    status = machine.run("--target", TARGET).stdout

    # What whoever started the tests ignores, Python's own two aside, stays ignored.
    inherited = mask(Path("/proc/self/status").read_text(), "SigIgn") - {
        signal.SIGPIPE,
        signal.SIGXFSZ,
    }
    assert mask(status, "SigIgn") == {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP} | inherited
    assert mask(status, "SigBlk") == set()


@pytest.mark.parametrize(
    ("trap", "number"), [("HUP", signal.SIGHUP), ("TERM", signal.SIGTERM)], ids=["HUP", "TERM"]
)
def test_an_ignored_signal_stays_ignored(machine: Machine, trap: str, number: int) -> None:
    with program(machine, "sh", "-c", f'trap "" {trap}; exec "$@"', "sh") as process:
        process.communicate(timeout=30)

    assert number in mask((machine.plugin.folder / "status").read_text(), "SigIgn")


def test_a_hang_up_that_is_ignored_stops_nothing(machine: Machine) -> None:
    machine.aws.delay = 0.2
    with program(machine, "sh", "-c", 'trap "" HUP; exec "$@"', "sh") as process:
        for operation in ("GetCallerIdentity", "SimulatePrincipalPolicy", "StartSession"):
            machine.aws.wait_for(operation)
            process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)

    assert process.returncode == 0
    assert machine.plugin.started
    assert machine.aws.calls("TerminateSession") == []


@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param(signal.SIGINT, 7, id="INT is the plugin's"),
        pytest.param(signal.SIGQUIT, 7, id="QUIT is the plugin's"),
        pytest.param(signal.SIGTERM, -signal.SIGTERM, id="TERM ends it"),
        pytest.param(signal.SIGHUP, -signal.SIGHUP, id="HUP ends it"),
    ],
)
def test_a_signal_after_the_handover(machine: Machine, number: int, status: int) -> None:
    machine.plugin.on_start('touch "$FAKE_PLUGIN/ready"; read _ < "$FAKE_PLUGIN/go"; exit 7')
    go = machine.plugin.folder / "go"
    os.mkfifo(go)
    with program(machine) as process:
        deadline = time.monotonic() + 20
        while not (machine.plugin.folder / "ready").exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(number)
        if status == 7:
            go.write_text("\n")
        process.communicate(timeout=30)

    assert process.returncode == status
    assert machine.aws.calls("TerminateSession") == []


def test_no_timer_is_left(machine: Machine) -> None:
    """A timer outlives exec: the plugin would be killed by SIGALRM."""
    machine.plugin.on_start("sleep 1.6; exit 5")
    code = (
        "import sys, ssmgate.gate; ssmgate.gate.CHECK_SECONDS = 1.5\n"
        "from ssmgate.__main__ import run; run(sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "ssm", "start-session", "--target", TARGET],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 5, ended.stderr


def test_no_descriptors_are_left(machine: Machine) -> None:
    subprocess.run(
        [FAKES / "session-manager-plugin", "x"],
        env=machine.variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    alone = (machine.plugin.folder / "fds").read_text()

    machine.run("--target", TARGET)

    assert (machine.plugin.folder / "fds").read_text() == alone


def test_the_streams_are_the_plugins(machine: Machine) -> None:
    machine.plugin.on_start("cat; echo to stderr >&2; pwd")

    ended = machine.run("--target", TARGET, input="first line\nsecond\x00line")

    assert ended.stdout == f"first line\nsecond\x00line{os.path.realpath(machine.home)}\n"
    assert ended.stderr == "to stderr\n"


def test_the_plugin_asked_for_its_version_reads_nothing(machine: Machine) -> None:
    machine.plugin.on_version("cat > /dev/null")
    machine.plugin.on_start("cat")

    assert machine.run("--target", TARGET, input="for the node").stdout == "for the node"


@pytest.mark.parametrize("status", [1, 130, 255])
def test_the_status_is_the_plugins(machine: Machine, status: int) -> None:
    machine.plugin.on_start(f"exit {status}")

    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "", "")


# The default document's second spelling.

DENIED = json_error("AccessDeniedException", "the first refusal")
DEFAULT = "SSM-SessionManagerRunShell"


def test_an_unnamed_default_that_is_refused_is_sent_with_its_name(machine: Machine) -> None:
    machine.aws.script("StartSession", DENIED, json_ok(RESPONSE))

    ended = machine.run("--target", TARGET, "--reason", "r")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    first, second = (call.parameters for call in machine.aws.calls("StartSession"))
    assert first == {"Target": TARGET, "Reason": "r"}
    assert second == {**first, "DocumentName": DEFAULT}
    assert json.loads(machine.plugin.argv[4]) == second
    assert len(machine.aws.calls("SimulatePrincipalPolicy")) == 1


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(json_error("InvalidDocument", "the second"), id="no such document"),
        pytest.param(json_error("AccessDeniedException", "the second"), id="refused again"),
    ],
)
def test_if_that_fails_the_first_error_is_shown(machine: Machine, second: Answer) -> None:
    machine.aws.script("StartSession", DENIED, second)

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert ended.stderr == (
        "\nssmgate: [ERROR]: An error occurred (AccessDeniedException) when calling the"
        " StartSession operation: the first refusal\n"
    )
    assert len(machine.aws.calls("StartSession")) == 2


@pytest.mark.parametrize("name", [DEFAULT, "AWS-StartSSHSession", "Mine"])
def test_a_named_document_is_sent_once(machine: Machine, name: str) -> None:
    machine.aws.script("StartSession", DENIED, json_ok(RESPONSE))

    ended = machine.run("--target", TARGET, "--document-name", name)

    assert ended.returncode == 254
    assert [c.parameters["DocumentName"] for c in machine.aws.calls("StartSession")] == [name]
