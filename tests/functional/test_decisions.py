"""What the gate decides with real permissions: the sandbox, its users, roles and policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Machine, make_resident
from fakes.sandbox import ACCOUNT, NODE, OWNER, STOPPED, Server, serving, text

pytestmark = pytest.mark.starts

Resident = Callable[[str], Machine]

DEFAULT, SSH = "SSM-SessionManagerRunShell", "AWS-StartSSHSession"
MINE, AWSS = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document", "arn:aws:ssm:us-east-1::document"
SSO = "AWSReservedSSO_Ops_0123456789abcdef"
START = "ssm:StartSession"


def named(document: str) -> tuple[str, ...]:
    return ("--document-name", document)


SSH_WORDS = (*named(SSH), "--parameters", "portNumber=22")


def checked(machine: Machine) -> list[tuple[str, str]]:
    """Return each document that was simulated, and the decision."""
    lines = machine.aws.of("iam:SimulatePrincipalPolicy")
    decisions = [line.partition(f"; {START} on ")[2].rpartition(": ") for line in lines]
    return [(arn, decision) for arn, _, decision in decisions]


def assert_nothing_started(machine: Machine) -> None:
    assert machine.aws.of(START) == []
    assert machine.aws.sessions == []
    assert not machine.plugin.started


@pytest.mark.parametrize(
    ("name", "words", "arn"),
    [
        pytest.param("alice", (), f"{MINE}/{DEFAULT}", id="default, unnamed"),
        pytest.param("alice", named(DEFAULT), f"{MINE}/{DEFAULT}", id="default, named"),
        pytest.param("grace", named("Dev-Shell"), f"{MINE}/Dev-Shell", id="custom, a user's path"),
        pytest.param(
            "grace", named(f"{MINE}/Dev-Shell"), f"{MINE}/Dev-Shell", id="custom, by its ARN"
        ),
        pytest.param("carol", SSH_WORDS, f"{AWSS}/{SSH}", id="a document of AWS"),
        pytest.param("admin", SSH_WORDS, f"{AWSS}/{SSH}", id="a wildcard"),
        pytest.param("dave", (), f"{MINE}/{DEFAULT}", id="inside the boundary"),
        pytest.param("SessionUser", (), f"{MINE}/{DEFAULT}", id="a role with a path"),
        pytest.param(SSO, (), f"{MINE}/{DEFAULT}", id="a permission set"),
        pytest.param("PathUnknown", (), f"{MINE}/{DEFAULT}", id="a role with an unknown path"),
        pytest.param("Ops", named(DEFAULT), f"{MINE}/{DEFAULT}", id="under the condition, named"),
    ],
)
def test_allowed_caller_gets_session(
    resident: Resident, name: str, words: tuple[str, ...], arn: str
) -> None:
    machine = resident(name)

    ended = machine.run("--target", NODE, *words)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert checked(machine) == [(arn, "allowed")]
    assert machine.aws.of(START) == [f"{name} {START} allowed"]
    (session,) = machine.aws.sessions
    document = words[1] if words else DEFAULT
    assert (session["Target"], session["DocumentName"]) == (NODE, document)
    assert json.loads(machine.plugin.argv[4]).get("DocumentName") == (words[1] if words else None)
    response = json.loads(machine.plugin.environ["AWS_SSM_START_SESSION_RESPONSE"])
    assert sorted(response) == ["SessionId", "StreamUrl", "TokenValue"]
    assert response["SessionId"] == session["SessionId"]


@pytest.mark.parametrize(
    ("name", "words", "arn", "because"),
    [
        pytest.param(
            "bob", (), f"{MINE}/{DEFAULT}", "no identity-based policy allows",
            id="nodes only",
        ),
        pytest.param(
            "alice", SSH_WORDS, f"{AWSS}/{SSH}", "no identity-based policy allows",
            id="another document, of AWS",
        ),
        pytest.param(
            "alice", named("Dev-Shell"), f"{MINE}/Dev-Shell",
            "no identity-based policy allows", id="another document, custom",
        ),
        pytest.param(
            "grace", (), f"{MINE}/{DEFAULT}", "no identity-based policy allows",
            id="the default, with a custom one's grant",
        ),
        pytest.param(
            "alice", named(f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/{DEFAULT}"),
            f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/{DEFAULT}",
            "no identity-based policy allows", id="a document of another region",
        ),
        pytest.param(
            "dave", SSH_WORDS, f"{AWSS}/{SSH}", "no permissions boundary allows",
            id="outside the boundary",
        ),
        pytest.param(
            "SessionUser", SSH_WORDS, f"{AWSS}/{SSH}", "no identity-based policy allows",
            id="a role",
        ),
    ],
)  # fmt: skip
def test_denies_document_without_grant(
    resident: Resident, name: str, words: tuple[str, ...], arn: str, because: str
) -> None:
    machine = resident(name)

    ended = machine.run("--target", NODE, *words)

    assert (ended.returncode, ended.stdout) == (254, "")
    document = words[1] if words else DEFAULT
    what, why, hint = ended.stderr.splitlines()
    assert what == (
        f"ssmgate: [ERROR]: access denied (AccessDeniedException): {NODE}: session document"
        f" {document}"
    )
    assert why.startswith(f"ssmgate: reason: {because}")
    assert f" {arn} for " in why
    assert hint.startswith(f"ssmgate: hint: ssmgate check --explain --target {NODE}")
    assert checked(machine)[0][0] == arn
    assert "allowed" not in [decision for _, decision in checked(machine)]
    assert_nothing_started(machine)


def test_denies_long_term_keys_where_policy_requires_mfa(resident: Resident) -> None:
    machine = resident("frank")

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert "access denied (" in ended.stderr
    assert "an explicit deny in an identity-based policy" in ended.stderr
    assert_nothing_started(machine)


def test_deny_of_service_control_policy_is_unknown(resident: Resident) -> None:
    machine = resident("erin")

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stdout) == (254, "")
    what, why, hint = ended.stderr.splitlines()
    assert what == (
        f"ssmgate: [ERROR]: could not check access to session document {DEFAULT}: {NODE}"
    )
    assert why.startswith("ssmgate: reason: an explicit deny in a service control policy applies")
    assert "ask the owner of that service control policy" in hint
    assert_nothing_started(machine)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "heidi",
            "the caller is not allowed to call",
            id="may not simulate",
        ),
        pytest.param(
            "Plain",
            "the caller is not allowed to call",
            id="a role that may not simulate",
        ),
    ],
)
def test_unknown_is_denied_with_its_own_message(resident: Resident, name: str, words: str) -> None:
    machine = resident(name)

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert ended.stderr.startswith(
        "ssmgate: [ERROR]: could not check access to session document SSM-SessionManagerRunShell"
    )
    assert words in ended.stderr
    assert "access denied" not in ended.stderr
    assert_nothing_started(machine)


def test_configured_context_key_decides(resident: Resident) -> None:
    machine = resident("frank")
    context = json.dumps({"aws:MultiFactorAuthPresent": True})

    ended = machine.run("--target", NODE, SSMGATE_CONTEXT=context)

    # IAM allows; the service, which evaluates more policies, denies.
    assert ended.returncode == 254
    assert [decision for _, decision in checked(machine)] == ["allowed"]
    assert "with an explicit deny in an identity-based policy" in ended.stderr
    assert "access denied" not in ended.stderr
    assert not machine.plugin.started


@pytest.mark.parametrize("words", [("--target", NODE), ("--target", "")])
def test_json_errors_have_shape_of_v2(resident: Resident, words: tuple[str, str]) -> None:
    machine = resident("bob")

    shown = json.loads(machine.run(*words, "--cli-error-format", "json").stderr)
    as_text = machine.run(*words, "--cli-error-format", "text").stderr

    refused = words[1] == NODE
    assert shown["Code"] == ("AccessDeniedException" if refused else "ParamValidation")
    assert shown["Message"].startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/bob is not" if refused else "Parameter validation"
    )
    assert as_text.startswith(f"{shown['Code']}\t{shown['Message']}\n")


# What the service alone knows.


@pytest.mark.parametrize(
    ("target", "words", "code"),
    [
        pytest.param(STOPPED, (), "TargetNotConnected", id="offline"),
        pytest.param("i-0123456789abcdef1", (), "TargetNotConnected", id="unknown"),
        pytest.param(NODE, named("Nowhere"), "InvalidDocument", id="no such document"),
        pytest.param(
            NODE, named("AWS-RunShellScript"), "InvalidDocument", id="no session document"
        ),
    ],
)
def test_shows_error_of_service(
    resident: Resident, target: str, words: tuple[str, ...], code: str
) -> None:
    machine = resident("admin")

    ended = machine.run("--target", target, *words)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert ended.stderr.startswith(
        f"\nssmgate: [ERROR]: An error occurred ({code}) when calling the StartSession operation: "
    )
    assert machine.aws.sessions == []
    assert not machine.plugin.started


def test_session_policy_is_evaluated_by_service(resident: Resident, sandbox: Server) -> None:
    nothing = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
    assumed = sandbox.query(
        OWNER,
        "sts",
        "AssumeRole",
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/bastion/SessionUser",
        RoleSessionName="narrow",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [nothing]}),
    )
    machine = resident("SessionUser")

    ended = machine.run("--target", NODE, AWS_ACCESS_KEY_ID=str(text(assumed, "AccessKeyId")))

    assert ended.returncode == 254
    assert [decision for _, decision in checked(machine)] == ["allowed"]
    assert "no session policy allows" in ended.stderr
    assert not machine.plugin.started


# The default document's second spelling, and the models of the service.


@pytest.fixture(scope="session")
def models(seed: Path) -> Iterator[dict[str, Server]]:
    with (
        serving("--seed", str(seed), "--model", "2021", log=seed.with_name("2021")) as y2021,
        serving("--seed", str(seed), "--model", "2025", log=seed.with_name("2025")) as y2025,
    ):
        yield {"2021": y2021, "2025": y2025}


@pytest.fixture
def modelled(
    models: dict[str, Server], sandbox: Server, tmp_path: Path
) -> Callable[[str, str], Machine]:
    return lambda model, name: make_resident(
        sandbox if model == "2023" else models[model], name, tmp_path
    )


@pytest.mark.parametrize(
    ("model", "starts"), [("2021", ["denied", "allowed"]), ("2023", ["denied", "allowed"]),
                          ("2025", ["allowed"])],
)  # fmt: skip
def test_names_default_document_where_condition_requires_it(
    modelled: Callable[[str, str], Machine], model: str, starts: list[str]
) -> None:
    """The statement of the role requires ssm:SessionDocumentAccessCheck to be true."""
    machine = modelled(model, "Ops")

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert [
        "allowed" if line.endswith(" allowed") else "denied" for line in machine.aws.of(START)
    ] == starts
    assert checked(machine) == [(f"{MINE}/{DEFAULT}", "allowed")]
    assert len(machine.aws.sessions) == 1
    request = json.loads(machine.plugin.argv[4])
    assert request.get("DocumentName") == (DEFAULT if len(starts) == 2 else None)


@pytest.mark.parametrize("model", ["2021", "2023", "2025"])
def test_denies_under_each_service_model(
    modelled: Callable[[str, str], Machine], model: str
) -> None:
    machine = modelled(model, "bob")

    ended = machine.run("--target", NODE)

    assert ended.returncode == 254
    assert_nothing_started(machine)


# Permissive mode.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("bob", "access denied: session document", id="denied"),
        pytest.param("heidi", "could not check access to", id="unknown"),
    ],
)
@pytest.mark.parametrize("how", ["file", "environment"])
def test_permissive_warns_and_starts(resident: Resident, name: str, words: str, how: str) -> None:
    machine = resident(name)
    configure(machine, how, "", {"mode": "permissive"})

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "ssmgate: [WARNING]: " in ended.stderr
    assert words in ended.stderr
    assert ended.stderr.endswith("session started anyway, because mode is 'permissive'\n")
    assert len(machine.aws.sessions) == 1
    assert machine.plugin.started


def test_permissive_does_not_override_service(
    modelled: Callable[[str, str], Machine],
) -> None:
    machine = modelled("2025", "bob")

    ended = machine.run("--target", NODE, SSMGATE_MODE="permissive")

    assert ended.returncode == 254
    assert "(AccessDeniedException) when calling the StartSession operation" in ended.stderr
    assert machine.aws.sessions == []
    assert not machine.plugin.started


# The checker.


def configure(machine: Machine, how: str, table: str, keys: dict[str, str]) -> None:
    """Set `keys` of a table of the configuration in the user's file or by environment variables."""
    if how == "file":
        directory = machine.home / ".config" / "ssmgate"
        directory.mkdir(parents=True)
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in keys.items()]
        (directory / "config.toml").write_text(f"[{table}]\n" * bool(table) + "".join(lines))
        return
    for name, value in keys.items():
        machine.environ["_".join(["SSMGATE", *([table] if table else []), name]).upper()] = value


CHECKING_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Checker"


@pytest.mark.parametrize("how", ["file", "environment"])
@pytest.mark.parametrize("starter", ["heidi", "Plain"])
@pytest.mark.parametrize(
    ("keys", "assumed_by", "asks"),
    [
        pytest.param({"profile": "checks"}, None, "checker", id="a profile"),
        pytest.param({"role_arn": CHECKING_ROLE}, "starter", "Checker", id="a role"),
        pytest.param(
            {"profile": "checks", "role_arn": CHECKING_ROLE},
            "checker",
            "Checker",
            id="a role, by a profile",
        ),
    ],
)
def test_checker_simulates_caller(
    resident: Resident,
    sandbox: Server,
    how: str,
    starter: str,
    keys: dict[str, str],
    assumed_by: str | None,
    asks: str,
) -> None:
    """Neither may simulate itself. The checker may simulate the role by its whole path only."""
    machine = resident(starter)
    configure(machine, how, "checker", keys)
    signs = sandbox.principals["checker"]
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "config").write_text(
        f"[profile checks]\naws_access_key_id = {signs['access_key_id']}\n"
        f"aws_secret_access_key = {signs['secret_access_key']}\n"
    )

    ended = machine.run("--target", NODE)

    assert (ended.returncode, ended.stderr) == (0, "")
    who = [tuple(line.split()[:2]) for line in machine.aws.requests]
    expected = [
        (starter, "sts:GetCallerIdentity"),
        (asks, "iam:SimulatePrincipalPolicy"),
        (starter, START),
    ]
    if assumed_by is not None:
        expected.append((starter if assumed_by == "starter" else assumed_by, "sts:AssumeRole"))
    if starter == "Plain":
        expected.append((asks, "iam:GetRole"))
    assert sorted(who) == sorted(expected)
    assert checked(machine) == [(f"{MINE}/{DEFAULT}", "allowed")]


def test_checker_grants_no_access(resident: Resident, sandbox: Server) -> None:
    """The checker simulates the policies of the caller, not its own."""
    machine = resident("bob")
    configure(machine, "environment", "checker", {"role_arn": CHECKING_ROLE})

    ended = machine.run("--target", NODE)

    assert ended.returncode == 254
    assert "access denied" in ended.stderr
    assert " for user/bob\n" in ended.stderr
    assert_nothing_started(machine)
