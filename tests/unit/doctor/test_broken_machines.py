"""`ssmgate doctor` on machines that are broken on purpose: each is found by exactly its line.

No other line may worsen, except to say that it was not checked because of that line.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fakes.doctor_machine import NODE, ROOT, HealthyMachine, simulated
from fakes.scripted_aws import (
    ACCOUNT,
    Answer,
    Received,
    ScriptedAws,
    identity,
    json_error,
    json_ok,
    reset,
    role,
    text,
    xml_error,
)
from ssmgate.daemon.peer import Unproven
from ssmgate.daemon.protocol import Broken
from ssmgate.doctor import program, settings
from ssmgate.doctor.shell import Terminal

SHELL = "SSM-SessionManagerRunShell"
ROLE = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/session-1"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/team/Ops"


@pytest.fixture
def machine(
    tmp_path: Path, scripted: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HealthyMachine]:
    tmp_path.chmod(0o755)
    made = HealthyMachine(tmp_path, scripted, monkeypatch)
    yield made
    for held in made.held:
        held.close()


@dataclass(frozen=True)
class Row:
    """What is broken, the line that finds it, and parts of its text and of its fix."""

    what: str
    breaks: Callable[[HealthyMachine], object]
    line: str
    state: str
    text: str
    fix: str = ""
    unless_root: bool = False


def denied(*actions: str) -> Answer:
    return simulated(lambda action, _: "implicitDeny" if action in actions else "allowed")


def throttled(action: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        if received.parameters["ActionNames.member.1"] == action:
            xml_error("Throttling", "Rate exceeded")(handler, received)
        else:
            simulated()(handler, received)

    return answer


def at(seconds: float, answer: Answer) -> Answer:
    """Return `answer` with the Date header of a clock that is `seconds` ahead."""

    def dated(handler: BaseHTTPRequestHandler, received: Received) -> None:
        handler.date_time_string = lambda *_: formatdate(  # type: ignore[method-assign]
            time.time() + seconds, usegmt=True
        )
        answer(handler, received)

    return dated


def alice() -> Answer:
    return identity(f"arn:aws:iam::{ACCOUNT}:user/alice")


def a_role(machine: HealthyMachine) -> None:
    machine.aws.script("GetCallerIdentity", identity(ROLE, "AROAX:session-1"))
    machine.aws.script("GetRole", role(ROLE_ARN))


def nowhere() -> str:
    """Return the URL of a port on which no process listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def daemon(machine: HealthyMachine, error: Exception | None) -> None:
    """Let a daemon run, to which a connection fails with `error`."""

    def connected(*_: object) -> socket.socket:
        if error is not None:
            raise error
        return socket.socket(socket.AF_UNIX)

    machine.monkeypatch.setattr(settings.peer, "own_facts", dict)
    machine.monkeypatch.setattr(settings.client, "connected", connected)


def user_record(machine: HealthyMachine, name: str | None) -> None:
    machine.monkeypatch.setattr(settings.local, "_name", lambda _uid: name)
    machine.configure('[record]\nfile = "@/records/{user}"')


def expiring(machine: HealthyMachine, seconds: float) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    keys = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s", "SessionToken": "t",
            "Expiration": when}  # fmt: skip
    path = machine.program("keys", f"echo '{json.dumps(keys)}'")
    machine.write(".aws/config", f"[default]\nregion = us-east-1\ncredential_process = {path}\n")
    (machine.home / ".aws" / "credentials").unlink()


PROGRAM = [
    Row("Python too old",
        lambda w: w.monkeypatch.setattr(program.sys, "version_info", (3, 10, 4, "final", 0)),
        "python", "problem", "3.10.4 is older than 3.11", "pipx reinstall --python python3.11"),
    Row("awscli outside the bound",
        lambda w: setattr(w, "awscli", {
            "version": "1.47.0", "error": "awscli 1.47.0 is not supported", "fix": "pip install it",
        }),
        "awscli", "problem", "1.47.0 is not supported", "pip install it"),
    Row("awscli with full models", lambda w: setattr(w, "awscli", {"reduced": False}),
        "awscli", "warning", "each start takes about 0.1 s longer", "models build"),
    Row("awscli with a renamed method",
        lambda w: setattr(w, "awscli", asdict(
            program.broken_awscli("1.46.9", AttributeError("no attribute '_parse'"))
        )),
        "awscli", "problem", "1.46.9 cannot be used: no attribute '_parse' (supported: awscli",
        "'awscli>=1.46.3,<1.47'"),
    Row("no plugin", lambda w: (w.directory / "bin/session-manager-plugin").unlink(),
        "plugin", "problem", "not on PATH", "install the plugin"),
    Row("plugin not executable",
        lambda w: (w.directory / "bin/session-manager-plugin").chmod(0o644),
        "plugin", "problem", "is not executable", "install the plugin"),
    Row("plugin fails", lambda w: w.program("bin/session-manager-plugin", "exit 3"),
        "plugin", "problem", "--version ended with status 3", "install the plugin"),
    Row("plugin outdated", lambda w: w.program("bin/session-manager-plugin", "echo 1.2.553.0"),
        "plugin", "warning", "1.2.553.0 is older than 1.2.764.0", "install the plugin"),
    Row("plugin without a version", lambda w: w.program("bin/session-manager-plugin", "echo x"),
        "plugin", "warning", "prints no version", "install the plugin"),
    Row("plugin.path wrong", lambda w: w.configure('[plugin]\npath = "@/none"'),
        "plugin", "problem", "/none does not exist (plugin.path)"),
]  # fmt: skip

SETTINGS = [
    Row("no HOME", lambda w: w.set(HOME=None, AWS_REGION="us-east-1",
                                   AWS_SHARED_CREDENTIALS_FILE=f"{w.home}/.aws/credentials"),
        "home", "warning", "HOME is not set", "export HOME="),
    Row("HOME missing", lambda w: w.set(HOME="/nowhere/home", AWS_REGION="us-east-1",
                                        AWS_SHARED_CREDENTIALS_FILE=f"{w.home}/.aws/credentials"),
        "home", "warning", "/nowhere/home does not exist", "export HOME="),
    Row("unknown key", lambda w: w.configure('mod = "enforce"'),
        "configuration", "problem", "unknown key 'mod'", "${EDITOR:-vi} "),
    Row("not TOML", lambda w: w.configure("mode ="),
        "configuration", "problem", "Invalid value", "${EDITOR:-vi} "),
    Row("configuration that others can write", lambda w: w.configure("").chmod(0o666),
        "configuration", "problem", "can be written by others", "chmod go-w "),
    Row("unknown variable", lambda w: w.set(SSMGATE_MOD="x"),
        "configuration", "problem", "unknown environment variable SSMGATE_MOD",
        "unset SSMGATE_MOD"),
    Row("invalid variable", lambda w: w.set(SSMGATE_CACHE_TTL="soon"),
        "configuration", "problem", "SSMGATE_CACHE_TTL", "unset SSMGATE_CACHE_TTL"),
    Row("permissive", lambda w: w.configure('mode = "permissive"'),
        "configuration", "warning", "sessions start although access is denied", "ssmgate config"),
    Row("login file missing",
        lambda w: w.configure_system('[login]\naws_config_file = "/none"\nhome = "/"'),
        "configuration", "warning", "login.aws_config_file: /none does not", "ssmgate config"),
    Row("no directory for records", lambda w: w.configure('[record]\nfile = "@/none/a.jsonl"'),
        "records", "warning", "/none: No such file", "sudo install -d -m 700"),
    Row("required record without a file", lambda w: w.configure("[record]\nrequired = true"),
        "records", "problem", "no session starts", "ssmgate config show --origin"),
    Row("required record into no directory",
        lambda w: w.configure('[record]\nrequired = true\nfile = "@/none/a.jsonl"'),
        "records", "problem", "no session starts", "sudo install -d"),
    Row("records that others can read", lambda w: (
        (w.directory / "records/a").touch(0o644), w.configure('[record]\nfile = "@/records/a"')),
        "records", "warning", "with mode 0600", "chmod 600 "),
    Row("record of a user without a name", lambda w: user_record(w, None),
        "records", "warning", "this user has no name", "id"),
    Row("no syslog", lambda w: w.configure('[record]\nsyslog = "@/log"'),
        "records", "warning", "No such file", "systemctl status"),
    Row("cache that others can read", lambda w: (w.home / ".cache/ssmgate/answers").mkdir(
        0o755, parents=True), "cache", "warning", "mode 0700", "chmod 700 "),
    Row("HOME that others can write", lambda w: w.home.chmod(0o777),
        "cache", "warning", "can be written by others", "chmod go-w "),
    Row("daemon that does not answer", lambda w: daemon(w, Broken()),
        "daemon", "warning", "does not answer", "ssmgate daemon stop"),
    Row("daemon that cannot be used", lambda w: (
        w.set(SSMGATE_DAEMON="auto"), daemon(w, Unproven("another namespace"))),
        "daemon", "warning", "cannot be used here: another namespace"),
    Row("HOME that cannot be written", lambda w: w.home.chmod(0o555),
        "cache", "warning", "cannot be written", "ls -ld ", unless_root=True),
]  # fmt: skip

USER = [
    Row("shim not on PATH", lambda w: w.set(PATH=f"{w.directory}/bin:/usr/bin:/bin"),
        "shim", "warning", "only ssm-start-session is checked", 'eval "$(ssmgate init bash)"'),
    Row("shim behind the real aws",
        lambda w: w.set(PATH=f"{w.directory}/bin:{ROOT}/bin:/usr/bin:/bin", SHELL="/bin/zsh"),
        "shim", "warning", "/bin/aws: only", 'eval "$(ssmgate init zsh)"'),
    Row("shim not installed", lambda w: setattr(w, "shims", None),
        "shim", "problem", "lacks its aws", "pipx reinstall ssmgate"),
    Row("no real aws", lambda w: (w.directory / "bin/aws").unlink(),
        "aws", "warning", "no AWS CLI on PATH"),
    Row("aws.path wrong", lambda w: w.set(SSMGATE_AWS_PATH="/none/aws"),
        "aws", "problem", "which is not an executable file", "ssmgate config show --origin"),
    Row("no completion", lambda w: w.write(".bashrc", "# ssmgate\n"),
        "completion", "warning", "bash does not load it", ">> "),
    Row("completions not installed", lambda w: setattr(w, "completions", None),
        "completion", "problem", "lacks the completions", "pipx reinstall ssmgate"),
    Row("ssh names a program that is gone",
        lambda w: w.write(".ssh/config", "Host i\nProxyCommand /none/ssm-start-session\n", 0o600),
        "ssh", "problem", "line 2: /none/ssm-start-session does not exist", "ssmgate ssh-config"),
    Row("ssh names a program not on PATH",
        lambda w: w.write(".ssh/config", "ProxyCommand=none ssm start-session x\n", 0o600),
        "ssh", "problem", "none is not on PATH", "ssmgate ssh-config"),
    Row("ssh configuration that others can write",
        lambda w: (w.home / ".ssh/config").chmod(0o666),
        "ssh", "problem", "can be written by others", "chmod 600 "),
    Row("no TERM", lambda w: w.set(TERM=None),
        "terminal", "warning", "TERM is not set", "export TERM="),
    Row("terminal without a size", lambda w: setattr(w, "terminal", Terminal(True, 0)),
        "terminal", "warning", "its size is not known", "stty rows 24 columns 80"),
    Row("locale of ASCII", lambda w: setattr(w, "terminal", Terminal(True, 80, "ascii")),
        "terminal", "warning", "encoding is ascii", "export LC_ALL=C.UTF-8"),
]  # fmt: skip

NETWORK = [
    Row("AWS file invalid", lambda w: w.write(".aws/config", "[default\n"),
        "AWS files", "problem", "/.aws/config: ", "${EDITOR:-vi} "),
    Row("AWS file unreadable", lambda w: (
        w.set(AWS_REGION="us-east-1"), (w.home / ".aws/config").chmod(0)),
        "AWS files", "warning", "Permission denied", "ls -l ", unless_root=True),
    Row("AWS file missing", lambda w: w.set(AWS_CONFIG_FILE="/none", AWS_REGION="us-east-1"),
        "AWS files", "warning", "AWS_CONFIG_FILE names /none", "unset AWS_CONFIG_FILE"),
    Row("credentials that others can read",
        lambda w: (w.home / ".aws/credentials").chmod(0o644),
        "AWS files", "warning", "other users can read", "chmod 600 "),
    Row("proxy of another kind", lambda w: w.set(HTTPS_PROXY="socks5://u:secret@127.0.0.1:1080"),
        "proxy", "problem", "socks5://127.0.0.1:1080: the AWS CLI supports http", "unset HTTPS"),
    Row("proxy that is not a URL", lambda w: w.set(https_proxy="http://a b:1"),
        "proxy", "problem", "https_proxy is not a URL", "unset https_proxy"),
    Row("CA bundle missing", lambda w: w.set(AWS_CA_BUNDLE="/none.pem"),
        "TLS", "problem", "/none.pem does not exist", "unset AWS_CA_BUNDLE"),
    Row("CA bundle without certificates",
        lambda w: w.set(AWS_CA_BUNDLE=str(w.write("ca.pem", "x"))),
        "TLS", "problem", "cannot be read", "unset AWS_CA_BUNDLE"),
    Row("TLS not verified", lambda w: w.words.append("--no-verify-ssl"),
        "TLS", "warning", "--no-verify-ssl"),
    Row("no region", lambda w: w.write(".aws/config", ""),
        "region", "problem", "no region is configured", "export AWS_REGION="),
    Row("availability zone", lambda w: w.set(AWS_REGION="eu-west-1a"),
        "region", "problem", "'eu-west-1a' is an availability zone", "export AWS_REGION=eu-west-1"),
    Row("not a region", lambda w: w.words.extend(["--region", "useast1"]),
        "region", "problem", "'useast1' is not a region", "export AWS_REGION=us-east-1"),
    Row("unknown region", lambda w: w.set(AWS_REGION="eu-centrl-1"),
        "region", "warning", "'eu-centrl-1' is not a region that",
        "export AWS_REGION=eu-central-1"),
    Row("profile missing", lambda w: w.set(AWS_PROFILE="none"),
        "credentials", "problem", "none", "aws configure list-profiles"),
    Row("no credentials", lambda w: (w.home / ".aws/credentials").unlink(),
        "credentials", "problem", "Unable to locate credentials", "aws configure"),
    Row("credential_process fails", lambda w: (
        (w.home / ".aws/credentials").unlink(),
        w.write(".aws/config", "[default]\nregion = us-east-1\ncredential_process = false\n")),
        "credentials", "problem", "custom-process", "aws configure"),
    Row("SSO session expired", lambda w: (
        (w.home / ".aws/credentials").unlink(),
        w.write(".aws/config",
                "[profile s]\nregion = us-east-1\nsso_start_url = https://x.example\n"
                f"sso_region = us-east-1\nsso_account_id = {ACCOUNT}\nsso_role_name = r\n"),
        w.set(AWS_PROFILE="s")),
        "credentials", "problem", "", "aws sso login --profile s"),
    Row("credentials expired",
        lambda w: w.aws.script("GetCallerIdentity", xml_error("ExpiredToken", "expired", 403)),
        "credentials", "problem", "ExpiredToken", "aws configure"),
    Row("credentials that expire soon", lambda w: expiring(w, 100),
        "credentials", "warning", "they expire at", "aws configure"),
    Row("credentials unknown to AWS", lambda w: w.aws.script(
        "GetCallerIdentity", xml_error("InvalidClientTokenId", "invalid", 403)),
        "credentials", "problem", "InvalidClientTokenId", "aws configure"),
    Row("root user", lambda w: w.aws.script(
        "GetCallerIdentity", identity(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)),
        "credentials", "problem", "root user", "aws configure"),
    Row("endpoint not allowed", lambda w: w.configure_system('locked = ["mode"]'),
        "endpoints", "problem", "not an https endpoint", ""),
    Row("clock behind", lambda w: w.aws.script(
        "GetCallerIdentity", at(4000, xml_error("SignatureDoesNotMatch", "expired", 403))),
        "clock", "problem", "behind AWS", "sudo timedatectl set-ntp true"),
    Row("clock ahead", lambda w: w.aws.script("GetCallerIdentity", at(-120, alice())),
        "clock", "warning", "ahead of AWS", "sudo timedatectl set-ntp true"),
    Row("IAM's endpoint is no URL", lambda w: w.set(AWS_ENDPOINT_URL_IAM="not a URL"),
        "endpoints", "problem", "Invalid endpoint: not a URL", "env | grep -i endpoint_url"),
    Row("no STS", lambda w: w.set(AWS_ENDPOINT_URL_STS=nowhere()),
        "STS", "problem", "Could not connect", "curl -sv"),
    Row("no IAM", lambda w: w.set(AWS_ENDPOINT_URL_IAM=nowhere()),
        "IAM", "problem", "Could not connect", "curl -sv"),
    Row("hint of a start", lambda w: w.set(AWS_ENDPOINT_URL_IAM=nowhere()),
        "IAM", "problem", "; AWS_ENDPOINT_URL_IAM is http://127.0.0.1:", "curl -sv"),
    Row("no IAM for a role", lambda w: (a_role(w), w.set(AWS_ENDPOINT_URL_IAM=nowhere())),
        "IAM", "problem", "Could not connect", "curl -sv"),
    Row("no SSM", lambda w: w.set(AWS_ENDPOINT_URL_SSM=nowhere()),
        "SSM", "problem", "Could not connect", "curl -sv"),
    Row("SSM resets connections", lambda w: w.aws.script("GetDocument", reset()),
        "SSM", "problem", "Connection was closed", "curl -sv"),
    Row("a web page instead of STS",
        lambda w: w.aws.script("GetCallerIdentity", text("<html>log in</html>")),
        "STS", "problem", "cannot be read", "curl -sv"),
    Row("a web page instead of IAM",
        lambda w: w.aws.script("SimulatePrincipalPolicy", text("<html>log in</html>")),
        "IAM", "problem", "cannot be read", "curl -sv"),
]  # fmt: skip

ACCESS = [
    Row("may not simulate", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", xml_error("AccessDenied", "no", 403)),
        "simulation", "problem", "not allowed to call iam:SimulatePrincipalPolicy",
        '"Action": ["iam:SimulatePrincipalPolicy"]'),
    Row("checker's role denied", lambda w: (
        w.configure(f'[checker]\nrole_arn = "{ROLE_ARN}"'),
        w.aws.script("AssumeRole", xml_error("AccessDenied", "no", 403))),
        "simulation", "problem", "credentials of the checker", "ssmgate config show --origin"),
    Row("checker's profile missing", lambda w: w.configure('[checker]\nprofile = "none"'),
        "simulation", "problem", "credentials of the checker", "ssmgate config show --origin"),
    Row("throttled", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", xml_error("Throttling", "Rate exceeded")),
        "simulation", "unknown", "throttles", "ssmgate doctor"),
    Row("role path not readable", lambda w: (a_role(w), w.aws.script(
        "GetRole", xml_error("AccessDenied", "no", 403))),
        "role path", "warning", "iam:GetRole is denied", '"Action": "iam:GetRole"'),
    Row("default document not readable", lambda w: w.aws.script(
        "GetDocument", json_error("AccessDeniedException", "no")),
        "default document", "warning", "ssm:GetDocument is denied", f"document/{SHELL}"),
    Row("default document invalid", lambda w: w.aws.script(
        "GetDocument", json_ok({"Content": "{"})),
        "default document", "warning", "not a valid session document", "aws ssm get-document"),
    Row("default document denied", lambda w: w.aws.script("SimulatePrincipalPolicy", simulated(
        lambda _, arn: "implicitDeny" if arn.endswith(SHELL) else "allowed")),
        "document access", "warning", f"{SHELL} is denied", "ssmgate documents"),
    Row("service does not check the document", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", simulated(checked=False)),
        "document check", "warning", "without checking the document", "BoolIfExists"),
    Row("service does not check the document of a node", lambda w: (
        w.words.extend(["--target", NODE]),
        w.aws.script("SimulatePrincipalPolicy", simulated(checked=False))),
        "document check", "warning", "without checking the document", "BoolIfExists"),
    Row("no node is allowed", lambda w: w.aws.script("SimulatePrincipalPolicy", simulated(
        lambda _, arn: "implicitDeny" if ":instance/" in arn else "allowed")),
        "document check", "unknown", "name one that you use", "ssmgate doctor --target"),
    Row("data channel denied", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", denied("ssmmessages:OpenDataChannel")),
        "data channel", "problem", "OpenDataChannel is denied", '"ssmmessages:OpenDataChannel"'),
    Row("data channel on sessions only", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", simulated(
            lambda action, arn: "implicitDeny"
            if action == "ssmmessages:OpenDataChannel" and arn == "*" else "allowed")),
        "data channel", "unknown", "allowed on sessions only", '"Resource": "*"'),
    Row("termination throttled", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", throttled("ssm:TerminateSession")),
        "termination", "unknown", "Throttling", "ssmgate doctor"),
    Row("answer about termination lacks a decision", lambda w: w.aws.script(
        "SimulatePrincipalPolicy",
        simulated(lambda action, _: "perhaps" if "Terminate" in action else "allowed")),
        "termination", "unknown", "'perhaps' is not a decision"),
    Row("termination denied", lambda w: w.aws.script(
        "SimulatePrincipalPolicy", denied("ssm:TerminateSession")),
        "termination", "warning", "leaves its session open",
        f"arn:aws:ssm:us-east-1:{ACCOUNT}:session/alice-*"),
]  # fmt: skip

ROWS = [*PROGRAM, *SETTINGS, *USER, *NETWORK, *ACCESS]


def test_finds_nothing_on_healthy_machine(machine: HealthyMachine) -> None:
    results = machine.results()

    assert {result.name: result for result in results.values() if result.state != "ok"} == {}
    assert "runs as ops" in results["default document"].text
    assert "user/alice (from shared-credentials-file); they do not" in results["credentials"].text


def test_finds_nothing_on_healthy_machine_with_role(machine: HealthyMachine) -> None:
    a_role(machine)
    expiring(machine, 7200)
    machine.words += ["--target", NODE]

    results = machine.results()

    assert {result.name: result for result in results.values() if result.state != "ok"} == {}
    assert ROLE_ARN in results["role path"].text


@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_reports_problem(row: Row, machine: HealthyMachine) -> None:
    if row.unless_root and os.geteuid() == 0:
        pytest.skip("root may do that")
    row.breaks(machine)

    results = machine.results()
    found = results.pop(row.line)

    assert (found.state.value, row.text in found.text, row.fix in found.fix) == (
        row.state, True, True), found  # fmt: skip
    because = f"not checked: see '{row.line}'"
    worse = [r for r in results.values() if r.state != "ok" and r.text != because]
    assert worse == []


def listening(machine: HealthyMachine) -> None:
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    machine.held.append(log)
    log.bind(f"{machine.directory}/log")
    machine.configure('[record]\nsyslog = "@/log"')


HEALTHY = [
    Row("a record can be appended", lambda w: (
        (w.directory / "records/a").touch(0o600), w.configure('[record]\nfile = "@/records/a"')),
        "records", "ok", "can be written: "),
    Row("a record can be created", lambda w: user_record(w, "alice"),
        "records", "ok", "/records/alice"),
    Row("syslog listens", listening, "records", "ok", "can be written: syslog ("),
    Row("the plugin gets the credentials", lambda w: w.set(SSMGATE_PLUGIN_PASS_CREDENTIALS="true"),
        "plugin credentials", "ok", "passes the checked credentials"),
    Row("no cache", lambda w: w.set(SSMGATE_CACHE_TTL="0"), "cache", "ok", "off: cache.ttl is 0"),
    Row("a cache", lambda w: (w.home / ".cache/ssmgate/answers").mkdir(0o700, parents=True),
        "cache", "ok", "0 entries"),
    Row("no daemon", lambda w: w.set(SSMGATE_DAEMON="off"), "daemon", "ok", "not used"),
    Row("function of the shell", lambda w: w.set(
        PATH=f"{w.directory}/bin:/usr/bin:/bin", _ssmgate_aws_in=str(os.getppid())),
        "shim", "ok", "aws is a function of this shell"),
    Row("a daemon", lambda w: daemon(w, None), "daemon", "ok", "running"),
    Row("another shell", lambda w: w.set(SHELL="/bin/dash"),
        "completion", "ok", "none for dash"),
    Row("no ssh", lambda w: (w.home / ".ssh/config").unlink(), "ssh", "ok", "does not exist"),
    Row("ssh runs a shell command", lambda w: w.write(
        ".ssh/config",
        "host i-*\nproxycommand sh -c \"aws ssm start-session --target %h\"\n", 0o600),
        "ssh", "ok", ", line 2"),
    Row("no terminal", lambda w: setattr(w, "terminal", Terminal(False)),
        "terminal", "ok", "not a terminal"),
    Row("no default document", lambda w: w.aws.script(
        "GetDocument", json_error("InvalidDocument", "none")),
        "default document", "ok", "does not exist: sessions get a plain shell"),
    Row("a node", lambda w: w.words.extend(["--target", NODE]),
        "document check", "ok", "AWS checks the document too"),
]  # fmt: skip


@pytest.mark.parametrize("row", HEALTHY, ids=[row.what for row in HEALTHY])
def test_reports_no_problem(row: Row, machine: HealthyMachine) -> None:
    row.breaks(machine)

    results = machine.results()

    assert row.text in results[row.line].text
    assert [result for result in results.values() if result.state != "ok"] == []


def test_fix_repeats_options_of_user(machine: HealthyMachine) -> None:
    machine.words += ["--profile", "other", "--region", "eu-west-1", "--target", NODE]
    machine.aws.script("SimulatePrincipalPolicy", denied("ssm:StartSession"))

    assert machine.results()["document access"].fix == (
        f"ssmgate check --request --target {NODE} --profile other --region eu-west-1"
    )


def test_starts_and_changes_nothing(machine: HealthyMachine) -> None:
    before = sorted(str(path) for path in machine.directory.rglob("*"))

    machine.results()

    assert set(machine.aws.operations) == {
        "GetCallerIdentity", "GetDocument", "SimulatePrincipalPolicy",
    }  # fmt: skip
    assert sorted(str(path) for path in machine.directory.rglob("*")) == before


def test_names_each_line_once(machine: HealthyMachine) -> None:
    assert len({row.line for row in ROWS}) >= 25
    assert {row.line for row in ROWS} <= machine.results().keys()
