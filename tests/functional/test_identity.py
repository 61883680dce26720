"""Which caller is simulated, about which document, in which context, and with which credentials."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import (
    ACCOUNT,
    Answer,
    context_keys,
    credentials,
    evaluation,
    identity,
    role,
    xml_error,
)

pytestmark = pytest.mark.starts

OTHER = "444455556666"
USER = f"arn:aws:iam::{ACCOUNT}:user"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
ASSUMED = f"arn:aws:sts::{ACCOUNT}:assumed-role"
SSO = "AWSReservedSSO_Ops_0123456789abcdef"
REFUSED = xml_error("AccessDenied", "not authorized to perform: iam:GetRole", 403)


def simulations(machine: Machine) -> list[dict[str, str]]:
    return [call.parameters for call in machine.aws.calls("SimulatePrincipalPolicy")]


@pytest.mark.parametrize(
    ("caller", "source"),
    [
        pytest.param(f"{USER}/alice", f"{USER}/alice", id="a user"),
        pytest.param(f"{USER}/a/b/alice", f"{USER}/a/b/alice", id="a user with a path"),
        pytest.param(f"{USER}/al+i=c,e.@-_", f"{USER}/al+i=c,e.@-_", id="a user's odd name"),
        pytest.param(f"{USER}/!x~/alice", f"{USER}/!x~/alice", id="a user's odd path"),
        pytest.param(
            f"arn:aws-cn:iam::{ACCOUNT}:user/alice",
            f"arn:aws-cn:iam::{ACCOUNT}:user/alice",
            id="a user of another partition",
        ),
    ],
)
def test_simulates_user_by_its_arn(machine: Machine, caller: str, source: str) -> None:
    machine.aws.script("GetCallerIdentity", identity(caller))

    assert machine.run("--target", TARGET).returncode == 0
    assert [a["PolicySourceArn"] for a in simulations(machine)] == [source]
    assert machine.aws.calls("GetRole") == []
    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context["aws:PrincipalArn"] == ("string", [source])
    assert context["aws:PrincipalType"] == ("string", ["User"])


PATHLESS = role(f"{ROLE}/Ops")


@pytest.mark.parametrize(
    ("session", "get_role", "source"),
    [
        pytest.param("Ops/alice", PATHLESS, f"{ROLE}/Ops", id="a role"),
        pytest.param("Ops/alice", role(f"{ROLE}/a/b/Ops"), f"{ROLE}/a/b/Ops", id="with a path"),
        pytest.param("Ops/alice", REFUSED, f"{ROLE}/Ops", id="with an unknown path"),
        pytest.param(
            "Ops/i-0123", role(f"{ROLE}/x/Ops"), f"{ROLE}/x/Ops", id="of an instance profile"
        ),
        pytest.param(
            f"{SSO}/alice@example.com",
            role(f"{ROLE}/aws-reserved/sso.amazonaws.com/eu-west-1/{SSO}"),
            f"{ROLE}/aws-reserved/sso.amazonaws.com/eu-west-1/{SSO}",
            id="a permission set, with a region",
        ),
        pytest.param(
            f"{SSO}/alice",
            role(f"{ROLE}/aws-reserved/sso.amazonaws.com/{SSO}"),
            f"{ROLE}/aws-reserved/sso.amazonaws.com/{SSO}",
            id="a permission set, without a region",
        ),
        pytest.param(
            f"{SSO}/alice", REFUSED, f"{ROLE}/{SSO}", id="a permission set, with an unknown path"
        ),
        pytest.param(
            "Ops/alice",
            role(f"arn:aws:iam::{OTHER}:role/x/Ops"),
            f"{ROLE}/Ops",
            id="a namesake of another account",
        ),
    ],
)
def test_simulates_session_as_its_role(
    machine: Machine, session: str, get_role: Answer, source: str
) -> None:
    machine.aws.script("GetCallerIdentity", identity(f"{ASSUMED}/{session}", "AROAX:alice"))
    machine.aws.script("GetRole", get_role)

    assert machine.run("--target", TARGET).returncode == 0
    assert [a["PolicySourceArn"] for a in simulations(machine)] == [source]
    name = session.partition("/")[0]
    assert [c.parameters["RoleName"] for c in machine.aws.calls("GetRole")] == [name]
    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    # Without the path it would be another role's: IAM fills it in.
    sent = {} if source == f"{ROLE}/{name}" and get_role is not PATHLESS else {source}
    assert set(context.get("aws:PrincipalArn", ("", []))[1]) == set(sent)
    assert context["aws:PrincipalType"] == ("string", ["AssumedRole"])
    assert context["aws:userid"] == ("string", ["AROAX:alice"])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(role(f"{ROLE}/Other"), id="another role"),
        pytest.param(role(f"{ROLE}/Ops/Other"), id="our name as a path"),
        pytest.param(role(f"{ROLE}/NotOps"), id="a longer name"),
    ],
)
def test_ignores_answer_about_another_role(machine: Machine, answer: Answer) -> None:
    machine.aws.script("GetCallerIdentity", identity(f"{ASSUMED}/Ops/alice"))
    machine.aws.script("GetRole", answer)

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert "GetRole returned another role" in ended.stderr
    assert simulations(machine) == []


@pytest.mark.parametrize(
    ("caller", "account", "words"),
    [
        pytest.param(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "the root user", id="root"),
        pytest.param(
            f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
            ACCOUNT,
            "a federated user",
            id="federated",
        ),
        pytest.param(f"{ROLE}/Ops", ACCOUNT, "neither an IAM user nor a role", id="a role's ARN"),
        pytest.param(f"{ASSUMED}/Ops", ACCOUNT, "neither", id="no session name"),
        pytest.param(f"{ASSUMED}/a/Ops/alice", ACCOUNT, "neither", id="a path in a session"),
        pytest.param(f"{USER}/", ACCOUNT, "neither", id="no name"),
        pytest.param(f"{USER}/alice ", ACCOUNT, "neither", id="a space"),
        pytest.param(f"{USER}/alice\n", ACCOUNT, "neither", id="a line break"),
        pytest.param(
            f"arn:aws:sts::{ACCOUNT}:self", ACCOUNT, "neither", id="an unknown kind of caller"
        ),
        pytest.param("arn:aws:iam::123:user/alice", "123", "neither", id="a short account"),
        pytest.param("alice", ACCOUNT, "contradicts itself", id="no ARN"),
        pytest.param(f"{USER}/alice", OTHER, "contradicts itself", id="another account"),
        pytest.param(f"{ASSUMED}/Ops/alice", OTHER, "contradicts itself", id="a role's, too"),
    ],
)
def test_unsupported_caller_is_unknown(
    machine: Machine, caller: str, account: str, words: str
) -> None:
    machine.aws.script("GetCallerIdentity", identity(caller, account=account))

    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stdout) == (254, "")
    assert "could not check access to session document " in ended.stderr
    assert words in ended.stderr
    assert "access denied" not in ended.stderr
    assert machine.aws.operations == ["GetCallerIdentity"]


# Chains of roles.

KEYS = "aws_access_key_id = {}\naws_secret_access_key = s\n"
CHAIN = (
    f"[profile base]\n{KEYS.format('AKIABASE')}"
    f"[profile one]\nrole_arn = {ROLE}/One\nsource_profile = base\n"
    f"[profile two]\nrole_arn = arn:aws:iam::{OTHER}:role/Two\nsource_profile = one\n"
)


def configure(machine: Machine, text: str) -> None:
    (machine.home / ".aws").mkdir()
    (machine.home / ".aws" / "config").write_text(text)


def test_chained_role_of_another_account_uses_own_credentials(machine: Machine) -> None:
    configure(machine, CHAIN)
    machine.aws.script("AssumeRole", credentials("ASIAONE"), credentials("ASIATWO"))
    two = f"arn:aws:iam::{OTHER}:role/deep/Two"
    machine.aws.script(
        "GetCallerIdentity",
        identity(f"arn:aws:sts::{OTHER}:assumed-role/Two/s", "AROAY:s", OTHER),
    )
    machine.aws.script("GetRole", role(two))

    ended = machine.run("--target", TARGET, "--profile", "two")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [(c.operation, c.access_key) for c in machine.aws.received] == [
        ("AssumeRole", "AKIABASE"),
        ("AssumeRole", "ASIAONE"),
        ("GetCallerIdentity", "ASIATWO"),
        ("GetRole", "ASIATWO"),
        ("SimulatePrincipalPolicy", "ASIATWO"),
        ("StartSession", "ASIATWO"),
    ]
    assert [(a["PolicySourceArn"], a["ResourceArns.member.1"]) for a in simulations(machine)] == [
        (two, f"arn:aws:ssm:us-east-1:{OTHER}:document/SSM-SessionManagerRunShell")
    ]


# The checker.

CHECKER = f"[profile checker]\n{KEYS.format('AKIACHECKER')}"


def test_checker_of_another_account_is_unknown(machine: Machine) -> None:
    configure(machine, CHECKER)
    machine.environ["SSMGATE_CHECKER_PROFILE"] = "checker"
    machine.aws.script(
        "SimulatePrincipalPolicy",
        xml_error(
            "InvalidInput",
            f"Invalid Policy Source Arn: caller's account {OTHER} does not have access to policies"
            f" in account {ACCOUNT}.",
        ),
    )

    ended = machine.run("--target", TARGET)

    assert ended.returncode == 254
    assert "could not check access to session document " in ended.stderr
    assert "ssmgate: hint: use credentials of the caller's own account as checker" in ended.stderr
    assert machine.aws.calls("StartSession") == []


def test_missing_checker_starts_nothing(machine: Machine) -> None:
    ended = machine.run("--target", TARGET, SSMGATE_CHECKER_PROFILE="missing")

    assert ended.returncode == 255
    assert "The config profile (missing) could not be found" in ended.stderr
    assert machine.aws.operations == []


# The document's ARN.

DEFAULT = "SSM-SessionManagerRunShell"
MINE = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document"
AWSS = "arn:aws:ssm:us-east-1::document"


@pytest.mark.parametrize(
    ("name", "arns"),
    [
        pytest.param(None, [f"{MINE}/{DEFAULT}"], id="the default, unnamed"),
        pytest.param(DEFAULT, [f"{MINE}/{DEFAULT}"], id="the default, named"),
        pytest.param("Shell", [f"{MINE}/Shell"], id="a customer's"),
        pytest.param("SSM-Other_1.2", [f"{MINE}/SSM-Other_1.2"], id="SSM- is not reserved"),
        pytest.param("AWS-StartSSHSession", [f"{AWSS}/AWS-StartSSHSession"], id="AWS's"),
        pytest.param("AmazonX", [f"{AWSS}/AmazonX"], id="Amazon's"),
        pytest.param("AWSSupport-X", [f"{AWSS}/AWSSupport-X"], id="AWSSupport's"),
        pytest.param(
            "aws-startsshsession",
            [f"{AWSS}/aws-startsshsession", f"{MINE}/aws-startsshsession"],
            id="reserved, spelled oddly",
        ),
        pytest.param("AWSome", [f"{AWSS}/AWSome", f"{MINE}/AWSome"], id="reserved, not AWS's"),
        pytest.param("amzn-x", [f"{AWSS}/amzn-x", f"{MINE}/amzn-x"], id="reserved, amzn"),
        pytest.param(
            f"arn:aws:ssm:us-east-1:{OTHER}:document/Shared",
            [f"arn:aws:ssm:us-east-1:{OTHER}:document/Shared"],
            id="another account's",
        ),
        pytest.param(
            f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/Shell",
            [f"arn:aws:ssm:eu-west-1:{ACCOUNT}:document/Shell"],
            id="another region's",
        ),
        pytest.param(
            f"{AWSS}/AWS-StartSSHSession", [f"{AWSS}/AWS-StartSSHSession"], id="AWS's in full"
        ),
        pytest.param(
            f"{MINE}/AWS-StartSSHSession",
            [f"{MINE}/AWS-StartSSHSession", f"{AWSS}/AWS-StartSSHSession"],
            id="AWS's, in an account",
        ),
        pytest.param(
            f"{AWSS}/Shell", [f"{AWSS}/Shell", f"{MINE}/Shell"], id="a customer's, in none"
        ),
    ],
)
def test_simulates_each_document_alone(machine: Machine, name: str | None, arns: list[str]) -> None:
    words = [] if name is None else ["--document-name", name]

    ended = machine.run("--target", TARGET, *words)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [a["ResourceArns.member.1"] for a in simulations(machine)] == arns
    assert [a for a in simulations(machine) if "ResourceArns.member.2" in a] == []
    assert {a["ActionNames.member.1"] for a in simulations(machine)} == {"ssm:StartSession"}
    sent = machine.aws.calls("StartSession")[0].parameters
    assert sent.get("DocumentName") == name


@pytest.mark.parametrize(
    ("name", "decisions"),
    [
        ("aws-x", ("allowed", "implicitDeny")),
        ("aws-x", ("implicitDeny", "allowed")),
        (f"{MINE}/AWS-StartSSHSession", ("allowed", "explicitDeny")),
        (f"{AWSS}/Shell", ("allowed", "implicitDeny")),
    ],
    ids=["the customer's denied", "AWS's denied", "AWS's, in an account", "a customer's, in none"],
)
def test_requires_both_documents(machine: Machine, name: str, decisions: tuple[str, str]) -> None:
    machine.aws.script("SimulatePrincipalPolicy", *map(evaluation, decisions))
    machine.aws.script("GetContextKeysForPrincipalPolicy", context_keys())

    ended = machine.run("--target", TARGET, "--document-name", name)

    assert ended.returncode == 254
    assert "access denied (AccessDeniedException): " in ended.stderr
    denied = simulations(machine)[0 if decisions[0] != "allowed" else 1]["ResourceArns.member.1"]
    assert f" {denied} for " in ended.stderr
    assert machine.aws.calls("StartSession") == []


@pytest.mark.parametrize(
    ("region", "partition", "name"),
    [
        ("eu-central-1", "aws", None),
        ("cn-north-1", "aws-cn", None),
        ("cn-north-1", "aws-cn", "AWS-StartSSHSession"),
        ("us-gov-west-1", "aws-us-gov", None),
        ("us-gov-west-1", "aws-us-gov", "AWS-StartSSHSession"),
        ("us-iso-east-1", "aws-iso", None),
        ("eusc-de-east-1", "aws-eusc", None),
    ],
)
def test_partition_follows_region(
    machine: Machine, region: str, partition: str, name: str | None
) -> None:
    machine.aws.script("GetCallerIdentity", identity(f"arn:{partition}:iam::{ACCOUNT}:user/alice"))
    words = [] if name is None else ["--document-name", name]

    ended = machine.run("--target", TARGET, "--region", region, *words)

    assert (ended.returncode, ended.stderr) == (0, "")
    account = ACCOUNT if name is None else ""
    document = f"arn:{partition}:ssm:{region}:{account}:document/{name or DEFAULT}"
    assert [a["ResourceArns.member.1"] for a in simulations(machine)] == [document]
    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context["aws:RequestedRegion"] == ("string", [region])


# The context.


def test_context_is_that_of_start_session(machine: Machine) -> None:
    assert machine.run("--target", TARGET).returncode == 0

    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    kind, (moment,) = context.pop("aws:CurrentTime")
    assert kind == "date"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment)
    kind, (seconds,) = context.pop("aws:EpochTime")
    assert kind == "numeric"
    assert abs(int(seconds) - time.time()) < 60
    assert context == {
        "ssm:SessionDocumentAccessCheck": ("boolean", ["true"]),
        "aws:RequestedRegion": ("string", ["us-east-1"]),
        "aws:userid": ("string", ["AIDAEXAMPLE"]),
        "aws:PrincipalArn": ("string", [f"{USER}/alice"]),
        "aws:PrincipalType": ("string", ["User"]),
        "aws:SecureTransport": ("boolean", ["false"]),
        "aws:ViaAWSService": ("boolean", ["false"]),
        "aws:ViaAWSMCPService": ("boolean", ["false"]),
        "aws:PrincipalIsAWSService": ("boolean", ["false"]),
        "aws:ResourceAccount": ("string", [ACCOUNT]),
    }


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        pytest.param("Shell", [ACCOUNT], id="the caller's"),
        pytest.param(f"arn:aws:ssm:us-east-1:{OTHER}:document/Shared", [OTHER], id="another's"),
        pytest.param("AWS-StartSSHSession", None, id="AWS's"),
    ],
)
def test_resource_account_is_that_of_owner(
    machine: Machine, name: str, owner: list[str] | None
) -> None:
    machine.run("--target", TARGET, "--document-name", name)

    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context.get("aws:ResourceAccount") == (owner and ("string", owner))


def test_secure_transport_follows_ssm_endpoint(machine: Machine) -> None:
    url = machine.aws.url.replace("http://", "https://")

    ended = machine.run("--target", TARGET, "--endpoint-url", url)

    assert ended.returncode == 255
    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context["aws:SecureTransport"] == ("boolean", ["true"])
    assert machine.aws.calls("StartSession") == []


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        pytest.param('"aws:SourceIp" = "203.0.113.7"', ("ip", ["203.0.113.7"]), id="an address"),
        pytest.param('"aws:SourceVpc" = "vpc-1"', ("string", ["vpc-1"]), id="a string"),
        pytest.param('"aws:MultiFactorAuthAge" = 30', ("numeric", ["30"]), id="a number"),
        pytest.param('"aws:MultiFactorAuthAge" = 1.5', ("numeric", ["1.5"]), id="a fraction"),
        pytest.param('"aws:MultiFactorAuthPresent" = true', ("boolean", ["true"]), id="a boolean"),
        pytest.param('"aws:PrincipalTag/team" = ""', ("string", [""]), id="an empty string"),
        pytest.param('"aws:PrincipalOrgPaths" = ["a", "b"]', ("stringList", ["a", "b"]), id="list"),
        pytest.param('"my:Flags" = [true, false]', ("booleanList", ["true", "false"]), id="flags"),
        pytest.param('"my:Numbers" = [1, 2]', ("numericList", ["1", "2"]), id="numbers"),
    ],
)
def test_adds_configured_context(machine: Machine, line: str, entry: tuple[str, list[str]]) -> None:
    directory = machine.home / ".config" / "ssmgate"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(f"[context]\n{line}\n")

    ended = machine.run("--target", TARGET)

    assert (ended.returncode, ended.stderr) == (0, "")
    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context[line.split('"')[1]] == entry


def test_environment_context_overrides_files(machine: Machine) -> None:
    directory = machine.home / ".config" / "ssmgate"
    directory.mkdir(parents=True)
    (directory / "config.toml").write_text(
        '[context]\n"aws:SourceIp" = "1.1.1.1"\n"my:Team" = "a"\n'
    )

    machine.run("--target", TARGET, SSMGATE_CONTEXT='{"AWS:sourceip": "2.2.2.2"}')

    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context["AWS:sourceip"] == ("ip", ["2.2.2.2"])
    assert "aws:SourceIp" not in context
    assert context["my:Team"] == ("string", ["a"])


@pytest.mark.parametrize(
    "key", ["ssm:SessionDocumentAccessCheck", "aws:userid", "AWS:PRINCIPALARN", "aws:CurrentTime"]
)
def test_rejects_configured_keys_that_ssmgate_sets(machine: Machine, key: str) -> None:
    ended = machine.run("--target", TARGET, SSMGATE_CONTEXT=json.dumps({key: "x"}))

    assert ended.returncode == 253
    assert machine.aws.operations == []


# MFA.

MFA_PROFILE = (
    f"[profile base]\n{KEYS.format('AKIABASE')}"
    f"[profile mfa]\nrole_arn = {ROLE}/Ops\nsource_profile = base\n"
    f"mfa_serial = arn:aws:iam::{ACCOUNT}:mfa/alice\n"
)


UNFOUND = (
    "ssmgate: [WARNING]: session-manager-plugin resolves credentials itself, and may not find"
    " those of a role that takes an MFA code\n"
    "ssmgate: hint: plugin.pass_credentials = true in ~/.config/ssmgate/config.toml passes them"
    " to it\n"
)


def on_a_terminal(
    machine: Machine, typed: bytes, document: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Run with a controlling terminal where `typed` is typed; return its status and what it
    printed elsewhere.
    """
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(
            # A session's leader gets the first terminal that it opens as its own.
            ["sh", "-c", 'exec 3<> "$0"; exec 3>&-; exec "$@"', os.ttyname(slave),
             sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET,
             "--profile", "mfa", *document],
            env=machine.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=machine.home,
            start_new_session=True,
        ) as process:  # fmt: skip
            shown = b""
            while b"code" not in shown:
                shown += os.read(master, 1000)
            os.write(master, typed)
            output, _ = process.communicate(timeout=30)
    finally:
        os.close(master)
        os.close(slave)
    return process.returncode, output.decode()


def test_sends_mfa_context_after_own_mfa(machine: Machine) -> None:
    configure(machine, MFA_PROFILE)
    machine.aws.script("AssumeRole", credentials("ASIAMFA"))
    machine.aws.script("GetCallerIdentity", identity(f"{ASSUMED}/Ops/alice", "AROAX:alice"))

    status, output = on_a_terminal(machine, b"123456\n")

    assert (status, output) == (0, UNFOUND)
    assumed = machine.aws.calls("AssumeRole")[0].parameters
    assert assumed["TokenCode"] == "123456"
    context = machine.aws.calls("SimulatePrincipalPolicy")[0].context
    assert context["aws:MultiFactorAuthPresent"] == ("boolean", ["true"])

    # The credentials are cached where the CLI caches them; how they were got is not known then.
    again = machine.run("--target", TARGET, "--profile", "mfa")

    assert (again.returncode, again.stderr) == (0, UNFOUND)
    assert len(machine.aws.calls("AssumeRole")) == 1
    context = machine.aws.calls("SimulatePrincipalPolicy")[1].context
    assert "aws:MultiFactorAuthPresent" not in context
    assert [path.name for path in (machine.home / ".aws" / "cli").iterdir()] == ["cache"]


@pytest.mark.parametrize(
    ("typed", "status", "problem"),
    [
        pytest.param(b"\x04", 253, "no MFA code was entered", id="Ctrl-D"),
        pytest.param(b"\n", 253, "no MFA code was entered", id="Enter"),
        pytest.param(b"\x03", 130, "", id="Ctrl-C"),
    ],
)
@pytest.mark.parametrize("document", [(), ("--document-name", "AWS-StartSSHSession")],
                         ids=["", "ProxyCommand"])  # fmt: skip
def test_prompt_for_mfa_code_can_be_cancelled(
    machine: Machine, typed: bytes, status: int, problem: str, document: tuple[str, ...]
) -> None:
    configure(machine, MFA_PROFILE)

    ended, output = on_a_terminal(machine, typed, document)

    assert ended == status
    assert problem in output
    assert "Traceback" not in output
    assert "EOFError" not in output
    assert machine.aws.operations == []


def without_terminal(machine: Machine, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run with no controlling terminal, and with `text` on standard input."""
    return subprocess.run(
        [sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET, "--profile", "mfa",
         *words],
        env=machine.variables(),
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=machine.home,
        start_new_session=True,
        check=False,
    )  # fmt: skip


def test_mfa_code_can_come_from_pipe(machine: Machine) -> None:
    """The rest of the pipe is the session's."""
    configure(machine, MFA_PROFILE)
    machine.aws.script("AssumeRole", credentials("ASIAMFA"))
    machine.aws.script("GetCallerIdentity", identity(f"{ASSUMED}/Ops/alice", "AROAX:alice"))

    machine.plugin.on_start('cat > "$FAKE_PLUGIN/stdin"')

    ended = without_terminal(machine, "123456\nfor the session\n")

    assert (ended.returncode, ended.stderr) == (0, UNFOUND)
    assert machine.aws.calls("AssumeRole")[0].parameters["TokenCode"] == "123456"
    assert (machine.plugin.directory / "stdin").read_text() == "for the session\n"


@pytest.mark.parametrize(
    ("words", "text", "problem"),
    [
        pytest.param(
            ("--document-name", "AWS-StartSSHSession"), "SSH-2.0-x\r\n",
            "there is no terminal to prompt on", id="ProxyCommand",
        ),
        pytest.param((), "", "no terminal to prompt on", id="no input"),
        pytest.param((), "\n", "no terminal to prompt on", id="an empty line"),
    ],
)  # fmt: skip
def test_mfa_without_code_is_configuration_error(
    machine: Machine, words: tuple[str, ...], text: str, problem: str
) -> None:
    configure(machine, MFA_PROFILE)

    ended = without_terminal(machine, text, *words)

    assert (ended.returncode, ended.stdout) == (253, "")
    assert problem in ended.stderr
    assert machine.aws.operations == []


@pytest.mark.parametrize(("typed", "status"), [(b"123456\n", 0), (b"\x04", 253)])
def test_mfa_code_can_come_from_terminal_on_stdin(
    machine: Machine, typed: bytes, status: int
) -> None:
    """Without a controlling terminal, for example under setsid. Ctrl-D cancels."""
    configure(machine, MFA_PROFILE)
    machine.aws.script("AssumeRole", credentials("ASIAMFA"))
    machine.aws.script("GetCallerIdentity", identity(f"{ASSUMED}/Ops/alice", "AROAX:alice"))
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "ssmgate", "start-session", "--target", TARGET,
             "--profile", "mfa"],
            env=machine.variables(), stdin=slave, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, cwd=machine.home, start_new_session=True,
        ) as process:  # fmt: skip
            assert process.stderr
            shown = b""
            while b"code" not in shown:
                shown += os.read(process.stderr.fileno(), 1000)
            os.write(master, typed)
            shown += process.communicate(timeout=30)[1]
    finally:
        os.close(master)
        os.close(slave)

    assert process.returncode == status, shown
    assert (b"no MFA code was entered" in shown) is (status == 253)
    assert b"Traceback" not in shown


# The plugin's credentials.


def plugins_credentials(machine: Machine) -> dict[str, str]:
    words = ("KEY", "TOKEN", "PROFILE")
    environ = machine.plugin.environ.items()
    return {k: v for k, v in environ if any(word in k for word in words)}


def test_plugin_finds_own_credentials_by_default(machine: Machine) -> None:
    configure(machine, f"[profile p]\n{KEYS.format('AKIAPROFILE')}")

    machine.run("--target", TARGET, "--profile", "p", AWS_PROFILE="other")

    assert machine.plugin.argv[3] == "p"
    assert plugins_credentials(machine) == {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret-of-example",
        "AWS_PROFILE": "other",
    }


@pytest.mark.parametrize("flag", [("--profile", "p"), ()], ids=["--profile", "AWS_PROFILE"])
@pytest.mark.parametrize("token", ["", "session-token"], ids=["for good", "temporary"])
def test_passes_checked_credentials_to_plugin(
    machine: Machine, flag: tuple[str, ...], token: str
) -> None:
    process = machine.home / "process"
    answer = {"Version": 1, "AccessKeyId": "AKIAPROCESS", "SecretAccessKey": "process-secret"}
    process.write_text(json.dumps({**answer, "SessionToken": token} if token else answer))
    configure(machine, f"[profile p]\ncredential_process = cat {process}\n")
    if not flag:
        machine.environ |= {"AWS_PROFILE": "p", "AWS_DEFAULT_PROFILE": "q"}
        del machine.environ["AWS_ACCESS_KEY_ID"], machine.environ["AWS_SECRET_ACCESS_KEY"]

    ended = machine.run(
        "--target", TARGET, *flag, SSMGATE_PLUGIN_PASS_CREDENTIALS="true", AWS_SECURITY_TOKEN="old"
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert {call.access_key for call in machine.aws.received} == {"AKIAPROCESS"}
    assert machine.plugin.argv[3] == ""
    expected = {"AWS_ACCESS_KEY_ID": "AKIAPROCESS", "AWS_SECRET_ACCESS_KEY": "process-secret"}
    assert plugins_credentials(machine) == expected | (
        {"AWS_SESSION_TOKEN": token} if token else {}
    )
    assert "process-secret" not in "".join(machine.plugin.argv)


@pytest.mark.parametrize(
    ("version", "setting", "warning"),
    [
        pytest.param("1.2.804.0", "false", UNFOUND, id="a plugin that signs"),
        pytest.param("1.2.764.0", "false", UNFOUND, id="the first that signs"),
        pytest.param("1.2.804.0", "true", "", id="passed"),
        pytest.param("odd", "false", "", id="a plugin of unknown age"),
    ],
)
def test_warns_of_credentials_that_plugin_cannot_find(
    machine: Machine, version: str, setting: str, warning: str
) -> None:
    configure(machine, MFA_PROFILE)
    machine.aws.script("AssumeRole", credentials("ASIAMFA"))
    machine.aws.script("GetCallerIdentity", identity(f"{ASSUMED}/Ops/alice", "AROAX:alice"))
    on_a_terminal(machine, b"123456\n")
    machine.plugin.version(version)

    ended = machine.run(
        "--target", TARGET, "--profile", "mfa", SSMGATE_PLUGIN_PASS_CREDENTIALS=setting
    )

    assert (ended.returncode, ended.stderr) == (0, warning)
