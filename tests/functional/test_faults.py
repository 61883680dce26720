"""The table of faults: each start ends with the right message and without a session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conftest import FAKES, TARGET, Ended, Machine
from fakes.scripted_aws import (
    ACCOUNT,
    SESSION_ID,
    STARTED,
    STREAM_URL,
    TOKEN,
    Answer,
    after,
    dripping,
    evaluation,
    hang,
    identity,
    json_error,
    json_ok,
    reset,
    role,
    text,
    truncated,
    xml,
    xml_error,
)
from fakes.waiting import is_signal_delivered, seconds, until
from plugins import ways

pytestmark = pytest.mark.starts

RUN = """
import random, sys
random.random = lambda: 0.0  # no waits between attempts
{patch}
from ssmgate.__main__ import run
run(["ssm", "start-session", *sys.argv[1:]])
"""
# Where botocore was loaded before `random.random` was replaced.
WAS_LOADED = """
from botocore.retries import standard
made = standard.ExponentialBackoff.__init__
made.__defaults__ = (made.__defaults__[0], random.random, *made.__defaults__[2:])
"""
SHORT_READS = """
import ssmgate.gate.aws.clients as clients
from botocore.config import Config
clients.CHECK = clients.CHECK.merge(Config(read_timeout=0.2))
"""
SHORT_VERSION = "import ssmgate.gate.plugin.find; ssmgate.gate.plugin.find._VERSION_SECONDS = 0.3"
SHORT_TERMINATE = (
    "import ssmgate.gate.aws.start_session; ssmgate.gate.aws.start_session.TERMINATE_SECONDS = 0.3"
)

ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/alice"
PERHAPS = "AWS may have started a session; the request was not repeated"
NAMED = ("--target", TARGET, "--document-name", "AWS-StartSSHSession")


def launch(
    machine: Machine, *words: str, patch: str = "", **environ: str | None
) -> subprocess.Popen[str]:
    if patch:  # constants of this process: no other process may make the start
        environ["SSMGATE_DAEMON"] = "off"
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(patch=patch), *words],
        env=machine.variables(**environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=machine.home,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for the program; its child processes must not keep its streams open."""
    with process:
        try:
            stdout, stderr = "", ""
            process.wait(seconds(30))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
    return Ended(process.returncode, stdout, stderr)


def start(machine: Machine, *words: str, patch: str = "", **environ: str | None) -> Ended:
    words = words or ("--target", TARGET)
    if not ways.forked():
        return finish(launch(machine, *words, patch=patch, **environ))
    ended = ways.forks.run(
        ["-c", RUN.format(patch=f"{patch}\n{WAS_LOADED}"), *words],
        env=machine.variables(**environ),
        cwd=machine.home,
        timeout=seconds(30),
        alone=True,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def assert_stopped(machine: Machine, ended: Ended, code: int, *words: str, starts: int = 0) -> None:
    """Check for exit status `code`, `words` on stderr, `starts` calls of StartSession and no
    session.
    """
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    for word in words:
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 12, ended.stderr
    assert TOKEN not in ended.stderr
    assert STREAM_URL not in ended.stderr
    assert len(machine.aws.calls("StartSession")) == starts
    assert machine.aws.sessions_left() == []
    assert not machine.plugin.started


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# STS and IAM: each fault makes the decision unknown.

CHECK_FAULTS = [
    # answer, attempts, message
    pytest.param(
        xml_error("ServiceFailure", "broken", 500),
        3,
        "An error occurred (ServiceFailure) when calling the {operation} operation"
        " (reached max retries: 2): broken",
        id="service error",
    ),
    pytest.param(
        xml_error("ValidationError", "no such thing"),
        1,
        "An error occurred (ValidationError) when calling the {operation} operation: no such",
        id="request not liked",
    ),
    pytest.param(
        xml_error("Throttling", "Rate exceeded"),
        3,
        "ssmgate: hint: IAM limits the simulations of an account",
        id="throttled",
    ),
    pytest.param(
        xml_error("ExpiredToken", "The security token included in the request is expired", 403),
        1,
        "ssmgate: hint: get fresh credentials",
        id="expired credentials",
    ),
    pytest.param(
        xml_error("InvalidClientTokenId", "The security token is invalid", 403),
        1,
        "An error occurred (InvalidClientTokenId) when calling the {operation} operation",
        id="unknown credentials",
    ),
    pytest.param(reset(), 3, "Connection was closed before we received", id="reset"),
    pytest.param(truncated(), 3, "Connection was closed before we received", id="truncated"),
    pytest.param(text("", 200), 1, "answer cannot be read", id="empty"),
    pytest.param(text("no XML " * 5000), 1, "answer cannot be read", id="garbage"),
    pytest.param(text("<html><p>login</p></html>"), 1, "answer cannot be read", id="another shape"),
    pytest.param(json_ok({"Arn": "x"}), 1, "answer cannot be read", id="JSON"),
    pytest.param(text("busy", 503), 1, "answer cannot be read", id="no AWS error"),
    pytest.param(text("<x/>", 302), 1, "could not check", id="redirected to nowhere"),
    pytest.param(xml(""), 1, "could not check", id="every member missing"),
]


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "SimulatePrincipalPolicy"])
@pytest.mark.parametrize(("answer", "attempts", "words"), CHECK_FAULTS)
def test_failing_check_is_unknown(
    machine: Machine, operation: str, answer: Answer, attempts: int, words: str
) -> None:
    machine.aws.script(operation, answer)

    ended = start(machine)

    assert_stopped(
        machine,
        ended,
        254,
        "ssmgate: [ERROR]: could not check access to session document SSM-SessionManagerRunShell: ",
        words.format(operation=operation),
    )
    assert len(machine.aws.calls(operation)) == attempts
    assert "access denied" not in ended.stderr


def short_check() -> tuple[str, str]:
    """Return a patch, and what a start prints when its check takes longer than the patch allows."""
    limit = f"{seconds(0.5):.1f}"
    module = "ssmgate.gate.access.authorize"
    return f"import {module}; {module}.CHECK_SECONDS = {limit}", f"took longer than {limit} s"


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "GetRole", "SimulatePrincipalPolicy"])
def test_endless_answer_times_out(machine: Machine, operation: str) -> None:
    machine.aws.script("GetCallerIdentity", identity(ROLE))
    machine.aws.script(operation, dripping(seconds(5)))
    patch, words = short_check()

    ended = start(machine, patch=patch)

    assert_stopped(machine, ended, 254, f"STS and IAM {words}", "HTTPS_PROXY")


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "GetRole", "SimulatePrincipalPolicy"])
def test_time_limit_includes_wait_between_attempts(machine: Machine, operation: str) -> None:
    """However long botocore or the service want it to wait."""
    machine.aws.script("GetCallerIdentity", identity(ROLE))
    machine.aws.script(operation, xml_error("Throttling", "Rate exceeded"))

    patch, words = short_check()

    ended = start(machine, patch=f"random.random = lambda: 20.0  # seconds\n{patch}")

    assert_stopped(machine, ended, 254, "could not check access to", f"STS and IAM {words}")
    assert len(machine.aws.calls(operation)) == 1


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "SimulatePrincipalPolicy"])
def test_silent_service_gets_three_attempts(machine: Machine, operation: str) -> None:
    machine.aws.script(operation, hang(3))

    ended = start(machine, patch=SHORT_READS)

    words = f"127.0.0.1:{machine.aws.url.rpartition(':')[2]} did not answer within "
    assert_stopped(machine, ended, 254, "could not check access to", words)
    assert len(machine.aws.calls(operation)) == 3


@pytest.mark.parametrize("service", ["STS", "IAM"])
def test_unreachable_service_is_unknown(machine: Machine, service: str) -> None:
    url = closed_port()

    ended = start(machine, **{f"AWS_ENDPOINT_URL_{service}": url})

    assert_stopped(
        machine, ended, 254, f'Could not connect to the endpoint URL: "{url}/"', "AWS_ENDPOINT_URL"
    )


def test_denied_identity_does_not_suggest_simulation_permission(machine: Machine) -> None:
    machine.aws.script("GetCallerIdentity", xml_error("AccessDenied", "endpoint policy", 403))

    ended = start(machine)

    assert_stopped(machine, ended, 254, "(AccessDenied) when calling the GetCallerIdentity")
    assert "SimulatePrincipalPolicy" not in ended.stderr


def test_denied_simulation_is_not_reported_as_denial(machine: Machine) -> None:
    machine.aws.script("SimulatePrincipalPolicy", xml_error("AccessDenied", "no, alice", 403))

    ended = start(machine)

    assert_stopped(
        machine,
        ended,
        254,
        "could not check access to session document ",
        "ssmgate: reason: the caller is not allowed to call iam:SimulatePrincipalPolicy\n",
        "ssmgate: hint: ssmgate check --request --target ",
    )
    assert "no, alice" not in ended.stderr


ALICE = f"<Arn>arn:aws:iam::{ACCOUNT}:user/alice</Arn>"


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(f"<UserId>AIDA</UserId><Account>{ACCOUNT}</Account>", id="no Arn"),
        pytest.param(f"{ALICE}<Account>{ACCOUNT}</Account>", id="no UserId"),
        pytest.param(f"{ALICE}<UserId>AIDA</UserId>", id="no Account"),
        pytest.param(f"{ALICE}<UserId></UserId><Account>{ACCOUNT}</Account>", id="empty UserId"),
        pytest.param(f"{ALICE}<UserId>A</UserId><Account></Account>", id="empty Account"),
        pytest.param(
            f"<Arn></Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>", id="empty Arn"
        ),
    ],
)
def test_incomplete_identity_is_unknown(machine: Machine, members: str) -> None:
    machine.aws.script("GetCallerIdentity", xml(members))

    assert_stopped(
        machine, start(machine), 254, "could not check access to", "GetCallerIdentity's answer"
    )


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        pytest.param(xml_error("AccessDenied", "no", 403), 1, id="refused"),
        pytest.param(xml_error("NoSuchEntity", "no", 404), 1, id="no such role"),
        pytest.param(xml_error("ServiceFailure", "no", 500), 3, id="service error"),
        pytest.param(xml_error("Throttling", "Rate exceeded"), 3, id="throttled"),
        pytest.param(reset(), 3, id="reset"),
        pytest.param(truncated(), 3, id="truncated"),
        pytest.param(text("no XML"), 1, id="garbage"),
        pytest.param(text("<html/>"), 1, id="another shape"),
        pytest.param(xml(""), 1, id="no Role"),
        pytest.param(xml("<Role><Path>/</Path></Role>"), 1, id="no Arn"),
        pytest.param(role(f"arn:aws:iam::{ACCOUNT}:user/Ops"), 1, id="no role's Arn"),
    ],
)
def test_role_with_unknown_path_is_simulated_without_path(
    machine: Machine, answer: Answer, attempts: int
) -> None:
    machine.aws.script("GetCallerIdentity", identity(ROLE, "AROAX:alice"))
    machine.aws.script("GetRole", answer)

    ended = start(machine)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(machine.aws.calls("GetRole")) == attempts
    asked = machine.aws.calls("SimulatePrincipalPolicy")[0].parameters
    assert asked["PolicySourceArn"] == f"arn:aws:iam::{ACCOUNT}:role/Ops"
    assert machine.plugin.started


# Simulation: answers that do not allow.

DOCUMENT = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/SSM-SessionManagerRunShell"
TEMPLATE = "arn:aws:ssm:us-east-1:${Account}:document/${DocumentName}"


def page(
    decision: str = "allowed", *, more: str = "<IsTruncated>false</IsTruncated>", name: str = ""
) -> Answer:
    named = name or DOCUMENT
    return xml(
        f"{more}<EvaluationResults><member><EvalActionName>ssm:StartSession</EvalActionName>"
        f"<EvalResourceName>{named}</EvalResourceName><EvalDecision>{decision}</EvalDecision>"
        "<ResourceSpecificResults><member>"
        f"<EvalResourceName>{named}</EvalResourceName>"
        f"<EvalResourceDecision>{decision}</EvalResourceDecision>"
        "</member></ResourceSpecificResults></member></EvaluationResults>"
    )


MORE = "<IsTruncated>true</IsTruncated><Marker>m</Marker>"


def result(inside: str) -> Answer:
    return xml(
        "<IsTruncated>false</IsTruncated><EvaluationResults><member>"
        f"{inside}</member></EvaluationResults>"
    )


ACTION = "<EvalActionName>ssm:StartSession</EvalActionName>"
NAME = f"<EvalResourceName>{DOCUMENT}</EvalResourceName>"
ALLOWED = "<EvalDecision>allowed</EvalDecision>"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(evaluation("Allowed"), "'Allowed' is not a decision", id="unknown word"),
        pytest.param(
            evaluation("allowed", specific="maybe"), "'maybe' is not a decision", id="unknown below"
        ),
        pytest.param(
            xml("<IsTruncated>false</IsTruncated><EvaluationResults/>"),
            "does not include the simulated resource",
            id="empty list",
        ),
        pytest.param(
            evaluation(name=TEMPLATE, with_specific=False),
            "does not include the simulated resource",
            id="template name only",
        ),
        pytest.param(
            evaluation(name="*", with_specific=False),
            "does not include the simulated resource",
            id="wildcard only",
        ),
        pytest.param(
            evaluation(name=f"{DOCUMENT}2"),
            "does not include the simulated resource",
            id="another document",
        ),
        pytest.param(
            evaluation(action="ssm:SendCommand"), "about another action", id="another action"
        ),
        pytest.param(result(f"{NAME}{ALLOWED}"), "about another action", id="no action"),
        pytest.param(result(f"{ACTION}{NAME}"), "None is not a decision", id="no decision"),
        pytest.param(
            result(f"{ACTION}{ALLOWED}"), "does not include the simulated resource", id="no name"
        ),
        pytest.param(
            result(f"{ACTION}{NAME}{ALLOWED}<ResourceSpecificResults/>"),
            "does not include the simulated resource",
            id="no result for the document",
        ),
        pytest.param(
            result(
                f"{ACTION}{NAME}{ALLOWED}<ResourceSpecificResults><member>{NAME}</member>"
                "</ResourceSpecificResults>"
            ),
            "None is not a decision",
            id="no decision below",
        ),
        *(
            pytest.param(
                page(more=f"<IsTruncated>{word}</IsTruncated><Marker>m</Marker>"),
                "IAM's answer cannot be read",
                id=f"IsTruncated is {word!r}",
            )
            for word in ("TRUE", "True", " true ", "1", "yes", "")
        ),
        pytest.param(
            result(
                f"{ACTION}{NAME}{ALLOWED}<OrganizationsDecisionDetail><AllowedByOrganizations>"
                "FALSE</AllowedByOrganizations></OrganizationsDecisionDetail>"
            ),
            "IAM's answer cannot be read",
            id="neither allowed by the organization nor not",
        ),
        pytest.param(
            evaluation("allowed", specific="implicitDeny"),
            "allows at one level and denies at the other",
            id="denied below",
        ),
        pytest.param(
            evaluation("explicitDeny", specific="allowed"),
            "allows at one level and denies at the other",
            id="denied above",
        ),
        pytest.param(
            evaluation("allowed", organizations=False),
            "IAM's answer contradicts itself",
            id="allowed, but not by the organization",
        ),
        pytest.param(
            evaluation("allowed", boundary=False),
            "IAM's answer contradicts itself",
            id="allowed, but not by the boundary",
        ),
        pytest.param(
            page(more="<IsTruncated>true</IsTruncated>"),
            "it is truncated and has no marker",
            id="truncated without a marker",
        ),
        pytest.param(
            page(more="<IsTruncated>false</IsTruncated><Marker>m</Marker>"),
            "it has a marker and is not truncated",
            id="a marker, but not truncated",
        ),
        pytest.param(
            page(more="<Marker>m</Marker>"),
            "it has a marker and is not truncated",
            id="a marker alone",
        ),
        pytest.param(page(more=MORE), "IAM's answer has too many pages", id="endless pages"),
        pytest.param(
            xml_error("InvalidInput", "Invalid ARN provided in the request: x"),
            "An error occurred (InvalidInput)",
            id="ARN not liked",
        ),
        pytest.param(
            xml_error(
                "InvalidInput",
                "Invalid Policy Source Arn: caller's account 1 does not have access to policies"
                " in account 2.",
            ),
            "use credentials of the caller's own account as checker",
            id="another account",
        ),
    ],
)
def test_invalid_answer_is_unknown(machine: Machine, answer: Answer, words: str) -> None:
    machine.aws.script("SimulatePrincipalPolicy", answer)

    ended = start(machine)

    assert_stopped(machine, ended, 254, "could not check access to session document", words)
    assert len(machine.aws.calls("SimulatePrincipalPolicy")) <= 5


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        pytest.param([page(name="x", more=MORE), page()], 0, id="an allow on the second page"),
        pytest.param(
            [page(more=MORE), page("implicitDeny")], 254, id="a denial on the second page"
        ),
        pytest.param(
            [page("implicitDeny", more=MORE), page()], 254, id="a denial on the first page"
        ),
        pytest.param([page(more=MORE), text("no XML")], 254, id="the second page unreadable"),
        pytest.param(
            [xml_error("Throttling", "Rate exceeded"), page()],
            0,
            id="throttled once, then an allow",
        ),
        pytest.param([reset(), page()], 0, id="reset once, then an allow"),
    ],
)
def test_simulation_reads_all_pages_and_retries(
    machine: Machine, answers: list[Answer], code: int
) -> None:
    machine.aws.script("SimulatePrincipalPolicy", *answers)

    ended = start(machine)

    assert ended.returncode == code, ended.stderr
    assert len(machine.aws.calls("SimulatePrincipalPolicy")) == 2
    assert machine.plugin.started == (code == 0)


# Credentials.

PROFILE = {
    "AWS_ACCESS_KEY_ID": None,
    "AWS_SECRET_ACCESS_KEY": None,
    "AWS_PROFILE": "p",
}


def configure(machine: Machine, lines: str) -> None:
    (machine.home / ".aws").mkdir(exist_ok=True)
    (machine.home / ".aws" / "config").write_text(lines)


def process_profile(machine: Machine, script: str) -> None:
    program = machine.home / "credentials"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    configure(machine, f"[profile p]\ncredential_process = {program}\n")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("exit 1", "retrieving credentials from custom-process", id="dies"),
        pytest.param("echo no JSON", "Expecting value", id="prints garbage"),
        pytest.param("exit 0", "Expecting value", id="prints nothing"),
        pytest.param("echo '{\"Version\": 2}'", "Unsupported version", id="another version"),
        pytest.param(
            'echo \'{"Version": 1, "AccessKeyId": "A"}\'',
            "Missing required key in response: 'SecretAccessKey'",
            id="lacks a member",
        ),
    ],
)
def test_failing_credential_process_is_reported(machine: Machine, script: str, words: str) -> None:
    process_profile(machine, script)

    assert_stopped(machine, start(machine, **PROFILE), 255, "\nssmgate: [ERROR]: ", words)
    assert machine.aws.operations == []


SSO = "sso_start_url=https://x.example\nsso_region=us-east-1\nsso_account_id=1\nsso_role_name=r\n"
CHAIN = (
    f"[profile p]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/Ops\nsource_profile = base\n"
    "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = x\n"
)


@pytest.mark.parametrize(
    ("config", "environ", "code", "words"),
    [
        pytest.param("", {**PROFILE, "AWS_PROFILE": None}, 253, "(NoCredentials)", id="none"),
        pytest.param("", PROFILE, 255, "The config profile (p) could not be found", id="profile"),
        pytest.param(
            "",
            {"AWS_SECRET_ACCESS_KEY": None},
            255,
            "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
            id="half a key in the environment",
        ),
        pytest.param(
            "[profile p]\naws_access_key_id = A\n",
            PROFILE,
            255,
            "Partial credentials found in config-file",
            id="half a key in the profile",
        ),
        pytest.param("", {"AWS_REGION": None}, 253, "(NoRegion)", id="no region"),
        pytest.param("[profile", {}, 255, "Unable to parse config file", id="broken file"),
        pytest.param(f"[profile p]\n{SSO}", PROFILE, 255, "aws sso login", id="no SSO token"),
        pytest.param(
            f"[profile p]\nlogin_session = arn:aws:iam::{ACCOUNT}:user/alice\n",
            PROFILE,
            253,
            "pip install 'awscrt>=0.29'",
            id="aws login without awscrt",
        ),
        pytest.param(
            "[profile p]\ncredential_process = /no/such/program\n",
            PROFILE,
            255,
            "/no/such/program",
            id="credential_process missing",
        ),
    ],
)
def test_missing_credentials_are_reported(
    machine: Machine, config: str, environ: dict[str, str | None], code: int, words: str
) -> None:
    configure(machine, config)

    assert_stopped(machine, start(machine, **environ), code, "\nssmgate: [ERROR]: ", words)
    assert machine.aws.operations == []


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        pytest.param(
            xml_error("AccessDenied", "no", 403),
            254,
            "An error occurred (AccessDenied) when calling the AssumeRole operation: no",
            id="refused",
        ),
        pytest.param(reset(), 255, "Connection was closed", id="reset"),
        pytest.param(text("no XML " * 5000), 255, "AWS's answer cannot be read", id="garbage"),
        pytest.param(xml(""), 255, "AWS's answer lacks 'Credentials'", id="no Credentials"),
    ],
)
@pytest.mark.parametrize("who", ["starter", "checker"])
def test_role_that_cannot_be_assumed_is_reported(
    machine: Machine, who: str, answer: Answer, code: int, words: str
) -> None:
    configure(machine, CHAIN)
    machine.aws.script("AssumeRole", answer)
    environ = PROFILE if who == "starter" else {"SSMGATE_CHECKER_PROFILE": "p"}

    assert_stopped(machine, start(machine, **environ), code, words)
    assert set(machine.aws.operations) == {"AssumeRole"}


@pytest.mark.parametrize("expires", ["", ', "Expiration": "SOON"'], ids=["static", "expiring"])
def test_rotating_credentials_are_frozen_once(machine: Machine, expires: str) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    asked = machine.home / "asked"
    shape = (
        '{"Version": 1, "AccessKeyId": "AKIA%s", "SecretAccessKey": "s", "SessionToken": "t%s"'
        + expires.replace("SOON", soon)
        + "}"
    )
    process_profile(
        machine, f'echo x >> {asked}\nn=$(wc -l < {asked})\nprintf \'{shape}\' "$n" "$n"'
    )
    machine.aws.script("GetCallerIdentity", identity(ROLE, "AROAX:alice"))
    machine.aws.script(
        "StartSession", json_error("AccessDeniedException", "no", 400), json_ok(STARTED)
    )
    own_plugin(machine, 'rm "$0"')

    # A daemon that sends the start back has asked for the version too: this plugin answers once.
    ended = start(machine, **PROFILE, SSMGATE_DAEMON="off")

    assert ended.returncode == 255
    assert machine.aws.operations == [
        "GetCallerIdentity",
        "GetRole",
        "SimulatePrincipalPolicy",
        "StartSession",
        "StartSession",
        "TerminateSession",
    ]
    assert len({r.access_key for r in machine.aws.received}) == 1
    assert len({r.headers["X-Amz-Security-Token"] for r in machine.aws.received}) == 1


# StartSession.


def without(*names: str) -> Answer:
    return json_ok({name: value for name, value in STARTED.items() if name not in names})


def with_(**members: object) -> Answer:
    return json_ok({**STARTED, **members})


@pytest.mark.parametrize(
    ("answer", "code", "calls", "words"),
    [
        pytest.param(
            json_error("TargetNotConnected", f"{TARGET} is not connected."),
            254,
            1,
            "\nssmgate: [ERROR]: An error occurred (TargetNotConnected) when calling the"
            f" StartSession operation: {TARGET} is not connected.\n",
            id="service error",
        ),
        pytest.param(
            json_error("AccessDeniedException", "not authorized"),
            254,
            1,
            "An error occurred (AccessDeniedException) when calling the StartSession operation:"
            " not authorized",
            id="access denied",
        ),
        pytest.param(
            json_error("ExpiredTokenException", "expired"),
            254,
            1,
            "An error occurred (ExpiredTokenException)",
            id="expired credentials",
        ),
        pytest.param(
            json_error("ThrottlingException", "Rate exceeded"),
            254,
            3,
            "An error occurred (ThrottlingException) when calling the StartSession operation"
            " (reached max retries: 2): Rate exceeded",
            id="throttled",
        ),
        pytest.param(
            json_error("InternalServerError", "broken", 500),
            254,
            3,
            "(reached max retries: 2): broken",
            id="internal error",
        ),
        pytest.param(reset(), 255, 1, PERHAPS, id="reset"),
        pytest.param(truncated('{"SessionId": "alice"'), 255, 1, PERHAPS, id="truncated"),
        pytest.param(hang(3), 255, 1, PERHAPS, id="time-out"),
        pytest.param(text("", 200), 255, 1, "lacks SessionId, TokenValue, StreamUrl", id="empty"),
        pytest.param(text("<html>"), 255, 1, "lacks SessionId, TokenValue", id="garbage"),
        pytest.param(json_ok([TOKEN]), 255, 1, PERHAPS, id="a list"),
        pytest.param(json_ok(TOKEN), 255, 1, PERHAPS, id="a string"),
        pytest.param(json_ok(5), 255, 1, PERHAPS, id="a number"),
        pytest.param(json_ok(None), 255, 1, "ssmgate: [ERROR]: StartSession's answer", id="null"),
        pytest.param(json_ok({}), 255, 1, "lacks SessionId, TokenValue, StreamUrl", id="no member"),
        pytest.param(without("SessionId"), 255, 1, "no session was named", id="no SessionId"),
        pytest.param(without("TokenValue"), 255, 1, "lacks TokenValue", id="no TokenValue"),
        pytest.param(without("StreamUrl"), 255, 1, "lacks StreamUrl", id="no StreamUrl"),
        pytest.param(with_(TokenValue=None), 255, 1, "lacks TokenValue", id="null TokenValue"),
        pytest.param(with_(TokenValue=[TOKEN]), 255, 1, "lacks TokenValue", id="odd TokenValue"),
        pytest.param(with_(TokenValue=""), 255, 1, "lacks TokenValue", id="empty TokenValue"),
        pytest.param(with_(StreamUrl={"a": 1}), 255, 1, "lacks StreamUrl", id="odd StreamUrl"),
        pytest.param(with_(SessionId=5), 255, 1, "no session was named", id="odd SessionId"),
    ],
)
def test_failing_start_is_reported(
    machine: Machine, answer: Answer, code: int, calls: int, words: str
) -> None:
    machine.aws.script("StartSession", answer)

    ended = start(machine, *NAMED, "--cli-read-timeout", "1")

    assert_stopped(machine, ended, code, words, starts=calls)


def test_session_without_token_is_terminated(machine: Machine) -> None:
    machine.aws.script("StartSession", without("TokenValue"))

    ended = start(machine)

    assert "the session was terminated" in ended.stderr
    assert machine.aws.calls("TerminateSession")[0].parameters == {"SessionId": SESSION_ID}


def test_unreachable_ssm_is_reported(machine: Machine) -> None:
    url = closed_port()

    ended = start(machine, "--target", TARGET, "--endpoint-url", url)

    assert_stopped(machine, ended, 255, f'Could not connect to the endpoint URL: "{url}/"')
    assert PERHAPS not in ended.stderr


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_start_is_not_repeated_after_reset_in_any_retry_mode(machine: Machine, mode: str) -> None:
    machine.aws.script("StartSession", reset(), json_ok(STARTED))

    ended = start(machine, AWS_RETRY_MODE=mode, AWS_MAX_ATTEMPTS="5")

    assert_stopped(machine, ended, 255, PERHAPS, "describe-sessions", starts=1)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(json_error("ThrottlingException", "Rate exceeded"), id="throttled"),
        pytest.param(json_error("InternalServerError", "broken", 500), id="internal error"),
    ],
)
def test_start_is_retried_when_service_asks_for_it(machine: Machine, first: Answer) -> None:
    machine.aws.script("StartSession", first, json_ok(STARTED))

    ended = start(machine)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(machine.aws.calls("StartSession")) == 2
    assert machine.plugin.started


# The default document's second spelling.

DENIED = json_error("AccessDeniedException", "the first refusal", 400)


@pytest.mark.parametrize(
    ("second", "calls", "words"),
    [
        pytest.param(DENIED, 2, "", id="access denied"),
        pytest.param(json_error("InvalidDocument", "no document"), 2, "", id="service error"),
        pytest.param(json_error("ThrottlingException", "Rate exceeded"), 4, "", id="throttled"),
        pytest.param(json_error("ExpiredTokenException", "expired"), 2, "", id="expired"),
        pytest.param(reset(), 2, PERHAPS, id="reset"),
        pytest.param(truncated(), 2, PERHAPS, id="truncated"),
        pytest.param(hang(3), 2, PERHAPS, id="time-out"),
        pytest.param(text("<html>"), 2, "no session was named to terminate", id="garbage"),
        pytest.param(json_ok([1]), 2, PERHAPS, id="another shape"),
        pytest.param(without("TokenValue"), 2, "the session was terminated", id="missing member"),
    ],
)
def test_failing_second_spelling_shows_first_error(
    machine: Machine, second: Answer, calls: int, words: str
) -> None:
    machine.aws.script("StartSession", DENIED, second)

    ended = start(machine, "--target", TARGET, "--cli-read-timeout", "1")

    assert_stopped(
        machine,
        ended,
        254,
        "\nssmgate: [ERROR]: An error occurred (AccessDeniedException) when calling the"
        " StartSession operation: the first refusal\n",
        words,
        starts=calls,
    )
    assert ended.stderr.count("ssmgate: [ERROR]") == 1


@pytest.mark.parametrize(
    ("first", "words"),
    [
        pytest.param(json_error("TargetNotConnected", "no"), (), id="another error"),
        pytest.param(json_error("AccessDenied", "no", 403), (), id="IAM's spelling of the code"),
        pytest.param(
            DENIED, ("--document-name", "SSM-SessionManagerRunShell"), id="the default named"
        ),
        pytest.param(DENIED, ("--document-name", "AWS-StartSSHSession"), id="another named"),
    ],
)
def test_other_errors_get_no_second_spelling(
    machine: Machine, first: Answer, words: tuple[str, ...]
) -> None:
    machine.aws.script("StartSession", first, json_ok(STARTED))

    assert_stopped(machine, start(machine, "--target", TARGET, *words), 254, starts=1)


# The plugin, before anything is started.


def own_plugin(machine: Machine, on_version: str = "") -> Path:
    """Put a copy of the fake plugin first on PATH; `on_version` runs after it printed its
    version.
    """
    directory = machine.home / "bin"
    directory.mkdir()
    path = directory / "session-manager-plugin"
    shutil.copy(FAKES / "session-manager-plugin", path)
    if on_version:
        machine.plugin.on_version(f"{on_version}\n")
    machine.environ["PATH"] = f"{directory}{os.pathsep}{os.environ['PATH']}"
    return path


def missing(path: Path) -> None:
    path.unlink()


def not_executable(path: Path) -> None:
    path.chmod(0o644)


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def without_interpreter(path: Path) -> None:
    path.write_text("#!/no/such/interpreter\n")


def no_program(path: Path) -> None:
    path.write_bytes(b"\x7fELF and no more")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(missing, "SessionManagerPlugin is not found.", id="missing"),
        pytest.param(not_executable, "is not executable", id="not executable"),
        pytest.param(a_directory, "SessionManagerPlugin is not found.", id="a directory"),
        pytest.param(dangling, "SessionManagerPlugin is not found.", id="a dangling link"),
        pytest.param(link_to_itself, "SessionManagerPlugin is not found.", id="a link to itself"),
        pytest.param(
            without_interpreter, "cannot be executed: No such file", id="without interpreter"
        ),
        pytest.param(no_program, "cannot be executed: Exec format error", id="no program"),
    ],
)
def test_unusable_plugin_starts_nothing(machine: Machine, spoil: object, words: str) -> None:
    spoil(own_plugin(machine))

    assert_stopped(machine, start(machine), 255, words, "ssmgate: hint: ")
    assert machine.aws.operations == []


def test_reports_search_for_plugin(machine: Machine) -> None:
    own_plugin(machine).unlink()

    ended = start(machine)

    assert f"no session-manager-plugin on PATH: {machine.environ['PATH']}\n" in ended.stderr
    assert "http://docs.aws.amazon.com/console/systems-manager/session-manager-plugin" in (
        ended.stderr
    )


@pytest.mark.parametrize("spoil", [missing, not_executable, a_directory, dangling])
def test_finds_plugin_further_on_path(machine: Machine, spoil: object) -> None:
    spoil(own_plugin(machine))
    machine.environ["PATH"] += f"{os.pathsep}{FAKES}"

    assert start(machine).returncode == 0
    assert machine.plugin.started


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param("exec sleep 5", "did not print its version within 0.3 s", id="hangs"),
        pytest.param("echo 1.2.804.0; sleep 5", "did not print its version", id="hangs after it"),
        pytest.param("trap '' TERM; sleep 5", "did not print its version", id="ignores TERM"),
        pytest.param("echo 1.2.804.0; exit 1", "--version ended with status 1", id="fails"),
        pytest.param("kill -SEGV $$", "--version ended with status -11", id="crashes"),
    ],
)
def test_plugin_without_version_is_rejected(machine: Machine, script: str, words: str) -> None:
    machine.plugin.on_version(script)

    ended = start(machine, patch=SHORT_VERSION)

    assert_stopped(machine, ended, 255, "SessionManagerPlugin cannot be used", words)
    assert machine.aws.operations == []


@pytest.mark.parametrize("version", ["", "garbage", "\x00\x1b[31m", "1.2.804.0 and more"])
def test_plugin_with_invalid_version_is_treated_as_old(machine: Machine, version: str) -> None:
    machine.plugin.version(version)

    ended = start(machine)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert machine.plugin.argv[0].startswith('{"SessionId"')


# The plugin, when it is to take over.


@pytest.mark.parametrize(
    ("on_version", "words"),
    [
        pytest.param('rm "$0"', "No such file or directory", id="removed meanwhile"),
        pytest.param('chmod a-x "$0"', "Permission denied", id="not executable meanwhile"),
        pytest.param(
            'printf "#!/no/such\\n" > "$0.new"; chmod +x "$0.new"; mv "$0.new" "$0"',
            "No such file or directory",
            id="interpreter gone meanwhile",
        ),
        pytest.param('rm "$0"; mkdir "$0"', "Permission denied", id="a directory meanwhile"),
    ],
)
def test_plugin_that_cannot_be_executed_leaves_no_session(
    machine: Machine, on_version: str, words: str
) -> None:
    own_plugin(machine, on_version)

    ended = start(machine)

    assert_stopped(machine, ended, 255, "SessionManagerPlugin cannot be used", words, starts=1)
    assert "nothing was started" not in ended.stderr
    assert machine.aws.calls("TerminateSession")[0].parameters == {"SessionId": SESSION_ID}


def test_too_long_arguments_leave_no_session(machine: Machine) -> None:
    machine.aws.script("StartSession", json_ok({**STARTED, "StreamUrl": "wss://" + "x" * 140_000}))

    ended = start(machine, *NAMED)

    assert_stopped(machine, ended, 255, "Argument list too long", starts=1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(
            json_error("AccessDeniedException", "may not terminate"),
            "An error occurred (AccessDeniedException) when calling the TerminateSession operation:"
            " may not terminate",
            id="access denied",
        ),
        pytest.param(
            json_error("InternalServerError", "broken", 500), "(reached max", id="service error"
        ),
        pytest.param(
            json_error("ThrottlingException", "Rate exceeded"), "Rate exceeded", id="throttled"
        ),
        pytest.param(json_error("ExpiredTokenException", "expired"), "expired", id="expired"),
        pytest.param(reset(), "Connection was closed", id="reset"),
        pytest.param(truncated(), "Connection was closed", id="truncated"),
        pytest.param(hang(3), "no answer within 0.3 s", id="silence"),
        pytest.param(dripping(3), "no answer within 0.3 s", id="byte by byte"),
        pytest.param(json_ok([1]), "its answer cannot be read", id="another shape"),
        pytest.param(
            lambda handler, _: handler.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe"
            ),
            "its answer cannot be read",
            id="no text",
        ),
    ],
)
def test_failing_termination_does_not_hide_first_error(
    machine: Machine, answer: Answer, words: str
) -> None:
    own_plugin(machine, 'rm "$0"')
    machine.aws.script("TerminateSession", answer)

    ended = start(machine, patch=SHORT_TERMINATE if "0.3 s" in words else "")

    assert (ended.returncode, ended.stdout) == (255, "")
    assert "SessionManagerPlugin cannot be used" in ended.stderr
    note = f"session {SESSION_ID} could not be terminated: "
    assert ended.stderr.count(note) == 1
    assert words in ended.stderr.partition(note)[2]
    assert "Traceback" not in ended.stderr
    assert machine.aws.sessions_left() == [SESSION_ID]


def test_failing_termination_follows_error_without_code(machine: Machine) -> None:
    """AWS CLI v2 prints errors without a code as plain text in each format."""
    own_plugin(machine, 'rm "$0"')
    machine.aws.script("TerminateSession", json_error("AccessDeniedException", "no"))

    ended = start(machine, AWS_CLI_ERROR_FORMAT="json")

    error, note = ended.stderr.strip().splitlines()[:2]
    assert "cannot be executed" in error
    assert note.startswith(f"ssmgate: session {SESSION_ID} could not be terminated: ")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param("exit 1", 1, id="fails"),
        pytest.param("exit 254", 254, id="fails with one of our codes"),
        pytest.param("echo gone >&2; exit 3", 3, id="fails with words"),
        pytest.param("kill -KILL $$", -signal.SIGKILL, id="killed"),
        pytest.param("kill -TERM $$", -signal.SIGTERM, id="terminated"),
        pytest.param("kill -HUP $$", -signal.SIGHUP, id="hung up"),
    ],
)
def test_returns_status_of_plugin_that_dies_at_once(
    machine: Machine, script: str, status: int
) -> None:
    machine.plugin.on_start(script)

    ended = start(machine)

    assert ended.returncode == status
    assert "ssmgate" not in ended.stderr
    assert machine.aws.calls("TerminateSession") == []


# Signals.

SIGNALS = [
    pytest.param(signal.SIGINT, 130, id="INT"),
    pytest.param(signal.SIGTERM, -signal.SIGTERM, id="TERM"),
    pytest.param(signal.SIGHUP, -signal.SIGHUP, id="HUP"),
    pytest.param(signal.SIGQUIT, -signal.SIGQUIT, id="QUIT"),
]


def appears(path: Path) -> None:
    until(path.exists)


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("step", ["credential_process", "plugin --version"])
def test_signal_while_program_runs_ends_start(
    machine: Machine, step: str, number: int, code: int
) -> None:
    marker = machine.home / "asked"
    script = f"touch {marker}; exec sleep 5"
    # subprocess warns of a child that it did not wait for.
    environ: dict[str, str | None] = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    if step == "credential_process":
        process_profile(machine, script)
        environ |= PROFILE
    else:
        machine.plugin.on_version(script)
    process = launch(machine, "--target", TARGET, **environ)
    appears(marker)
    process.send_signal(number)

    assert_stopped(machine, finish(process), code)
    assert machine.aws.operations == []


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("operation", ["GetCallerIdentity", "GetRole", "SimulatePrincipalPolicy"])
def test_signal_during_check_starts_nothing(
    machine: Machine, operation: str, number: int, code: int
) -> None:
    machine.aws.script("GetCallerIdentity", identity(ROLE, "AROAX:alice"))
    answer_now = threading.Event()
    machine.aws.script(operation, after(answer_now, machine.aws.answers[operation][0]))
    process = launch(machine, "--target", TARGET)
    machine.aws.wait_for(operation)
    process.send_signal(number)
    ended = finish(process)
    answer_now.set()

    assert_stopped(machine, ended, code)
    assert ended.stderr == ("\n" if code == 130 else "")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize(
    ("answers", "words"),
    [
        pytest.param([json_ok(STARTED)], "", id="StartSession"),
        pytest.param([DENIED, json_ok(STARTED)], "", id="second spelling"),
        pytest.param([without("TokenValue")], "lacks TokenValue", id="an odd answer"),
        pytest.param(
            [json_error("TargetNotConnected", "gone")], "(TargetNotConnected)", id="an error"
        ),
    ],
)
def test_signal_while_session_starts_terminates_it(
    machine: Machine, answers: list[Answer], words: str, number: int, code: int
) -> None:
    answer_now = threading.Event()
    machine.aws.script("StartSession", *answers[:-1], after(answer_now, answers[-1]))
    process = launch(machine, "--target", TARGET)
    machine.aws.wait_for("StartSession", len(answers))
    process.send_signal(number)
    process.send_signal(number)
    until(lambda: is_signal_delivered(process.pid, number))
    assert process.poll() is None
    answer_now.set()

    assert_stopped(machine, finish(process), code, words, starts=len(answers))


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_signal_during_termination_does_not_stop_it(
    machine: Machine, number: int, code: int
) -> None:
    own_plugin(machine, 'rm "$0"')
    answer_now = threading.Event()
    machine.aws.script("TerminateSession", after(answer_now, json_ok({"SessionId": SESSION_ID})))
    process = launch(machine, "--target", TARGET)
    machine.aws.wait_for("TerminateSession")
    process.send_signal(number)
    until(lambda: is_signal_delivered(process.pid, number))
    answer_now.set()

    assert_stopped(machine, finish(process), code, "cannot be executed", starts=1)


def test_signal_and_failing_termination(machine: Machine) -> None:
    answer_now = threading.Event()
    machine.aws.script("StartSession", after(answer_now, json_ok(STARTED)))
    machine.aws.script("TerminateSession", json_error("AccessDeniedException", "no"))
    process = launch(machine, "--target", TARGET)
    machine.aws.wait_for("StartSession")
    process.send_signal(signal.SIGTERM)
    until(lambda: is_signal_delivered(process.pid, signal.SIGTERM))
    answer_now.set()
    ended = finish(process)

    assert ended.returncode == -signal.SIGTERM
    assert f"ssmgate: session {SESSION_ID} could not be terminated: An error" in ended.stderr
    assert not machine.plugin.started


# Nowhere to speak.


def start_without(machine: Machine, redirection: str, *words: str) -> int:
    """Run under sh with `redirection`, and return the exit status."""
    command = f'exec "$@" {redirection}'
    return subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "ssmgate", "start-session", *words],
        env=machine.variables(),
        timeout=30,
        cwd=machine.home,
        capture_output=True,
        check=False,
    ).returncode


@pytest.mark.parametrize(
    ("redirection", "debug"),
    [
        ("2>/dev/full", []),
        ("2>/dev/full", ["--debug"]),
        ("2>&-", []),
        ("2>&-", ["--debug"]),
        ("<&- >&- 2>&-", []),
        (">/dev/full", []),
        (">&-", []),
    ],
)
def test_denies_with_closed_stderr(machine: Machine, redirection: str, debug: list[str]) -> None:
    machine.aws.script("SimulatePrincipalPolicy", evaluation("implicitDeny"))

    status = start_without(machine, redirection, "--target", TARGET, *debug)

    assert status == 254
    assert machine.aws.calls("StartSession") == []
    assert not machine.plugin.started


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_warning_on_closed_stderr_stops_nothing(machine: Machine, redirection: str) -> None:
    machine.plugin.version("1.2.500.0")

    assert start_without(machine, redirection, "--target", TARGET) == 0
    assert machine.plugin.started
    assert machine.aws.calls("TerminateSession") == []


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(
    ("answers", "words", "status"),
    [
        pytest.param({}, ["--bogus"], 252, id="usage"),
        pytest.param(
            {"StartSession": json_error("TargetNotConnected", "no")},
            ["--target", TARGET],
            254,
            id="service error",
        ),
        pytest.param({"StartSession": json_ok({})}, ["--target", TARGET], 255, id="odd answer"),
    ],
)
def test_error_on_closed_stderr_keeps_exit_status(
    machine: Machine, redirection: str, answers: dict[str, Answer], words: list[str], status: int
) -> None:
    for operation, answer in answers.items():
        machine.aws.script(operation, answer)

    assert start_without(machine, redirection, *words) == status
