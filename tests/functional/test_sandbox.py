"""The sandbox as users run it: its HTTP server, its options, the gate and bare aws in it."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import FAKES, FakePlugin
from fakes.sandbox import ACCOUNT, NODE, OWNER, STOPPED, Failed, Server, serving, text
from fakes.waiting import until

DEFAULT = "SSM-SessionManagerRunShell"
SSH = "AWS-StartSSHSession"
DEFAULT_ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/{DEFAULT}"
SSH_ARN = f"arn:aws:ssm:us-east-1::document/{SSH}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("--model", "2023") as running:
        yield running


def user(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


# The server


def test_allow_names_its_statement(server: Server) -> None:
    answer = server.simulate("alice", user("alice"), DEFAULT_ARN)
    entry = answer.find(".//ResourceSpecificResults/member")
    assert entry is not None
    assert text(entry, "EvalResourceDecision") == "allowed"
    assert text(entry, "SourcePolicyId") == "user_alice_Sessions"
    # Where the token before the statement ends: on the line above it.
    assert text(entry, "StartPosition/Line") == "3"
    assert text(entry, "EndPosition/Line") == "11"


@pytest.mark.parametrize(
    ("who", "source", "arn", "decision", "organizations", "boundary"),
    [
        ("bob", user("bob"), DEFAULT_ARN, "implicitDeny", "true", None),
        ("admin", user("dave"), SSH_ARN, "implicitDeny", "true", "false"),
        ("admin", user("dave"), DEFAULT_ARN, "allowed", "true", "true"),
        ("admin", user("erin"), DEFAULT_ARN, "explicitDeny", "false", None),
        ("admin", f"arn:aws:iam::{ACCOUNT}:role/SessionUser", DEFAULT_ARN, "allowed", "true", None),
        ("admin", user("no/such/path/alice"), DEFAULT_ARN, "allowed", "true", None),
    ],
)
def test_each_policy_layer_decides(
    server: Server,
    who: str,
    source: str,
    arn: str,
    decision: str,
    organizations: str,
    boundary: str | None,
) -> None:
    answer = server.simulate(who, source, arn)
    assert text(answer, "EvalResourceDecision") == decision
    assert text(answer, "AllowedByOrganizations") == organizations
    assert text(answer, "AllowedByPermissionsBoundary") == boundary
    assert (answer.find(".//MatchedStatements/member") is None) is (decision != "allowed")


@pytest.mark.parametrize(
    ("source", "code", "status", "message"),
    [
        (
            f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/sandbox", "InvalidInput", 400,
            "Invalid ARN provided in the request: "
            f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/sandbox",
        ),
        (
            f"arn:aws:iam::{ACCOUNT}:root", "InvalidInput", 400,
            f"Invalid ARN provided in the request: arn:aws:iam::{ACCOUNT}:root",
        ),
        (
            "arn:aws:iam::999999999999:user/x", "InvalidInput", 400,
            f"Invalid Policy Source Arn: caller's account {ACCOUNT} does not have access to"
            " policies in account 999999999999.",
        ),
        (user("missing"), "NoSuchEntity", 404, "Unable to retrieve specified IAM entity."),
    ],
)  # fmt: skip
def test_rejects_simulation_of_unsupported_principals(
    server: Server, source: str, code: str, status: int, message: str
) -> None:
    with pytest.raises(Failed, match=code) as raised:
        server.simulate("admin", source, DEFAULT_ARN)
    assert (raised.value.code, raised.value.status) == (code, status)
    assert raised.value.message == message


def test_simulating_another_principal_requires_permission(server: Server) -> None:
    with pytest.raises(Failed, match="AccessDenied") as raised:
        server.simulate("alice", user("bob"), DEFAULT_ARN)
    assert raised.value.status == 403
    assert raised.value.message == (
        f"User: {user('alice')} is not authorized to perform: iam:SimulatePrincipalPolicy on"
        f" resource: {user('bob')} because no identity-based policy allows the"
        " iam:SimulatePrincipalPolicy action"
    )


def test_simulates_custom_policies_and_lists_context_keys(server: Server) -> None:
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:PrincipalTag/Team": "ops"}},
            },
        }
    )
    answer = server.query(
        "admin",
        "iam",
        "SimulateCustomPolicy",
        PolicyInputList=[policy],
        ActionNames=["ssm:StartSession"],
    )
    assert text(answer, "EvalResourceName") == "*"
    assert text(answer, "MissingContextValues/member") == "aws:PrincipalTag/Team"
    assert answer.find(".//ResourceSpecificResults") is None
    keys = server.query("admin", "iam", "GetContextKeysForCustomPolicy", PolicyInputList=[policy])
    assert text(keys, "ContextKeyNames/member") == "aws:PrincipalTag/Team"
    keys = server.query(
        "admin", "iam", "GetContextKeysForPrincipalPolicy", PolicySourceArn=user("frank")
    )
    assert [m.text for m in keys.findall(".//member")] == ["aws:MultiFactorAuthPresent"]


def test_simulates_given_caller(server: Server) -> None:
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:username": "mallory"}},
            },
        }
    )

    def ask(**members: Any) -> ET.Element:
        return server.query(
            "admin",
            "iam",
            "SimulateCustomPolicy",
            PolicyInputList=[policy],
            ActionNames=["ssm:StartSession"],
            ResourceArns=[DEFAULT_ARN],
            **members,
        )

    denied = ask()
    assert text(denied, "EvalDecision") == "implicitDeny"
    # There and empty.
    assert denied.find(".//MatchedStatements") is not None
    assert denied.find(".//MatchedStatements/member") is None
    assert denied.find(".//ResourceSpecificResults/member/MatchedStatements") is None
    assert text(ask(CallerArn=user("x/mallory")), "EvalDecision") == "allowed"
    with pytest.raises(Failed, match="InvalidInput: Invalid ARN provided in the request: 1111"):
        ask(ResourceOwner=ACCOUNT)


@pytest.mark.parametrize(
    ("service", "operation", "members", "code"),
    [
        ("iam", "GetRole", {"RoleName": "Ops"}, "AccessDenied"),
        ("iam", "GetUser", {"UserName": "alice"}, "AccessDenied"),
        ("iam", "ListRoleTags", {"RoleName": "Ops"}, "AccessDenied"),
        ("ec2", "DescribeInstances", {}, "UnauthorizedOperation"),
        ("ec2", "DescribeTags", {}, "UnauthorizedOperation"),
        ("ssm", "GetDocument", {"Name": DEFAULT}, "AccessDeniedException"),
        ("ssm", "DescribeDocument", {"Name": SSH}, "AccessDeniedException"),
        ("ssm", "ListDocuments", {}, "AccessDeniedException"),
        ("ssm", "DescribeInstanceInformation", {}, "AccessDeniedException"),
        (
            "ssm", "ListTagsForResource",
            {"ResourceType": "Document", "ResourceId": DEFAULT}, "AccessDeniedException",
        ),
    ],
)  # fmt: skip
def test_reads_require_permission(
    server: Server, service: str, operation: str, members: dict[str, str], code: str
) -> None:
    def call(who: str) -> object:
        if service == "ssm":
            return server.ssm(who, operation, **members)
        return server.query(who, service, operation, **members)

    with pytest.raises(Failed, match="not authorized to perform") as raised:
        call("bob")
    assert raised.value.code == code
    call("admin")
    call(OWNER)


def test_aws_documents_belong_to_amazon_in_each_region(server: Server) -> None:
    for region in ("us-east-1", "eu-west-1"):
        document = server.ssm("admin", "DescribeDocument", region, Name=SSH)["Document"]
        assert (document["Owner"], document["DocumentType"]) == ("Amazon", "Session")


def test_running_nodes_are_online(server: Server) -> None:
    listed = server.ssm("admin", "DescribeInstanceInformation")["InstanceInformationList"]
    status = {node["InstanceId"]: node["PingStatus"] for node in listed}
    assert (status[NODE], status[STOPPED]) == ("Online", "ConnectionLost")


def test_session_starts_and_ends(server: Server) -> None:
    started = server.ssm("alice", "StartSession", Target=NODE)
    assert sorted(started) == ["SessionId", "StreamUrl", "TokenValue"]
    with pytest.raises(Failed, match="AccessDeniedException"):
        server.ssm("bob", "TerminateSession", SessionId=started["SessionId"])
    ended = server.ssm("alice", "TerminateSession", SessionId=started["SessionId"])
    assert ended == {"SessionId": started["SessionId"]}
    with pytest.raises(Failed, match="TargetNotConnected"):
        server.ssm("alice", "StartSession", Target=STOPPED)


def test_changes_take_effect_at_once(server: Server) -> None:
    """The administrator creates a user, a group and a boundary as aws or Terraform would."""

    def own(operation: str, **members: Any) -> ET.Element:
        return server.query(OWNER, "iam", operation, **members)

    own("CreateUser", UserName="zoe", Path="/x/")
    own("CreateGroup", GroupName="all")
    own("AddUserToGroup", GroupName="all", UserName="zoe")
    own(
        "AttachGroupPolicy",
        GroupName="all",
        PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess",
    )
    key = str(text(own("CreateAccessKey", UserName="zoe"), "AccessKeyId"))
    answer = server.simulate(key, user("x/zoe"), SSH_ARN)
    assert text(answer, "SourcePolicyId") == "AdministratorAccess"
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/NoSshDocument"
    own("PutUserPermissionsBoundary", UserName="zoe", PermissionsBoundary=boundary)
    shown = own("GetUser", UserName="zoe")
    assert text(shown, "PermissionsBoundaryArn") == boundary
    with pytest.raises(Failed, match="because no permissions boundary allows"):
        server.ssm(key, "StartSession", Target=NODE, DocumentName=SSH)
    own("DeleteUserPermissionsBoundary", UserName="zoe")
    server.ssm(key, "StartSession", Target=NODE, DocumentName=SSH)


def test_temporary_credentials_belong_to_their_requester(server: Server) -> None:
    token = server.query("frank", "sts", "GetSessionToken")
    key = str(text(token, "AccessKeyId"))
    identity = server.query(key, "sts", "GetCallerIdentity")
    assert text(identity, "Arn") == user("frank")
    with pytest.raises(Failed, match="explicit deny in an identity-based policy"):
        server.ssm(key, "StartSession", Target=NODE)
    token = server.query("frank", "sts", "GetSessionToken", SerialNumber="mfa", TokenCode="123456")
    server.ssm(str(text(token, "AccessKeyId")), "StartSession", Target=NODE)


def test_deleted_access_key_is_invalid(server: Server) -> None:
    def own(operation: str, **members: Any) -> ET.Element:
        return server.query(OWNER, "iam", operation, **members)

    own("CreateUser", UserName="gone")
    key = str(text(own("CreateAccessKey", UserName="gone"), "AccessKeyId"))
    token = str(text(server.query(key, "sts", "GetSessionToken"), "AccessKeyId"))
    own("UpdateAccessKey", UserName="gone", AccessKeyId=key, Status="Inactive")
    with pytest.raises(Failed, match="InvalidClientTokenId: The security token included"):
        server.query(key, "sts", "GetCallerIdentity")
    own("DeleteAccessKey", UserName="gone", AccessKeyId=key)
    own("DeleteUser", UserName="gone")
    for lost in (key, token):
        with pytest.raises(Failed, match="UnrecognizedClientException"):
            server.ssm(lost, "StartSession", Target=NODE)
        with pytest.raises(Failed, match="AuthFailure"):
            server.query(lost, "ec2", "DescribeInstances")


def test_session_policy_restricts_role(server: Server) -> None:
    nothing = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    assumed = server.query(
        OWNER,
        "sts",
        "AssumeRole",
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/bastion/SessionUser",
        RoleSessionName="narrow",
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [nothing]}),
    )
    with pytest.raises(Failed, match="because no session policy allows") as raised:
        server.ssm(str(text(assumed, "AccessKeyId")), "StartSession", Target=NODE)
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/SessionUser/narrow" in raised.value.message


@pytest.mark.parametrize(
    "role", ["arn:aws:iam::999999999999:role/x", f"arn:aws:iam::{ACCOUNT}:role/SessionUser"]
)
def test_assumes_existing_roles_only(server: Server, role: str) -> None:
    """The second role has a path, which the ARN must contain."""
    with pytest.raises(Failed, match="not authorized to perform: sts:AssumeRole") as raised:
        server.query("bob", "sts", "AssumeRole", RoleArn=role, RoleSessionName="s")
    assert (raised.value.code, raised.value.status) == ("AccessDenied", 403)


def test_serves_hundred_concurrent_requests(server: Server) -> None:
    def start(_: int) -> str:
        server.simulate("alice", user("alice"), DEFAULT_ARN)
        return str(server.ssm("alice", "StartSession", "eu-central-1", Target=NODE))

    def attempt(number: int) -> str:
        with pytest.raises(Failed, match="not authorized") as raised:
            start(number)
        return raised.value.code

    with ThreadPoolExecutor(100) as pool:
        codes = list(pool.map(attempt, range(100)))
    assert codes == ["AccessDeniedException"] * 100


def test_offers_no_unrestricted_credentials(server: Server) -> None:
    with pytest.raises(Failed, match="AssumeRoleWithSAML is not supported"):
        server.query("bob", "sts", "AssumeRoleWithSAML", RoleArn="r")


def test_model_2025_requires_grant_of_default_document() -> None:
    with serving("--model", "2025") as server:
        with pytest.raises(Failed, match=f"on resource: {DEFAULT_ARN} because no identity-based"):
            server.ssm("bob", "StartSession", Target=NODE)
        server.ssm("alice", "StartSession", Target=NODE)


def test_logs_each_request_as_one_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log=log) as server:
        server.simulate("alice", user("alice"), DEFAULT_ARN)
        server.query(OWNER, "iam", "ListUsers")
        with pytest.raises(Failed, match="AccessDenied"):
            server.query("bob", "iam", "GetRole", RoleName="Ops")
    assert log.read_text().splitlines() == [
        f"alice iam:SimulatePrincipalPolicy allowed; ssm:StartSession on {DEFAULT_ARN}: allowed",
        "owner iam:ListUsers not restricted",
        f"bob iam:GetRole AccessDenied: User: {user('bob')} is not authorized to perform:"
        f" iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/Ops because no identity-based"
        " policy allows the iam:GetRole action",
    ]


# The command line


@dataclass(frozen=True)
class Shell:
    """The shell of a user with ssmgate, aws and the recording plugin on its PATH."""

    home: Path
    plugin: FakePlugin

    @property
    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.pathsep.join(
                [str(FAKES), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "FAKE_PLUGIN": str(self.plugin.directory),
            "AWS_PROFILE": "of-the-users-own",
            "AWS_SESSION_TOKEN": "of-the-users-own",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ssmgate", "sandbox", *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.home,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    records, home = tmp_path / "plugin", tmp_path / "home"
    records.mkdir()
    home.mkdir(exist_ok=True)
    return Shell(home, FakePlugin(records))


START = ("ssm-start-session", "--target", NODE)
NAMED = ("--document-name", SSH, "--parameters", "portNumber=22")


def test_bare_aws_of_2023_starts_session_that_gate_denies(shell: Shell) -> None:
    ended = shell.run(
        "--session-document-model", "2023", "--as", "bob", "--",
        "aws", "ssm", "start-session", "--target", NODE,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, "")
    assert shell.plugin.started


def test_newest_model_is_default_and_denies_bare_aws(shell: Shell) -> None:
    ended = shell.run("--as", "bob", "--", "aws", "ssm", "start-session", "--target", NODE)

    assert ended.returncode != 0
    assert f"ssm:StartSession on resource: {DEFAULT_ARN} because no identity" in ended.stderr
    assert not shell.plugin.started


@pytest.mark.parametrize(("demanded", "let_in"), [("true", False), ("false", True)])
def test_gate_and_service_see_same_transport(shell: Shell, demanded: str, let_in: bool) -> None:
    """Plain HTTP. The second policy proves that the key is present, and false."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": "ssm:StartSession",
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": demanded}},
            },
        ],
    }
    (shell.home / "tls.toml").write_text(
        f'[[node]]\nid = "{NODE}"\n[[document]]\nname = "{DEFAULT}"\n'
        f"[[user]]\nname = \"u\"\n[user.policies]\nSessions = '{json.dumps(policy)}'\n"
    )
    ended = shell.run(
        "--seed", "tls.toml", "--", "sh", "-c",
        f"ssm-start-session --target {NODE}; echo gate $?;"
        f" aws ssm start-session --target {NODE}; echo aws $?",
    )  # fmt: skip

    gate, aws = (line.split() for line in ended.stdout.splitlines())
    assert (gate[0], gate[1] == "0") == ("gate", let_in), ended.stderr
    assert (aws[0], aws[1] == "0") == ("aws", let_in), ended.stderr
    denials = ended.stderr.count("no identity-based policy allows")
    assert denials == 2 * (not let_in), ended.stderr


def test_command_gets_endpoint_and_identity_only(shell: Shell) -> None:
    ended = shell.run("--", "env")

    variables = dict(line.split("=", 1) for line in ended.stdout.splitlines() if "=" in line)
    assert variables["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert (variables["AWS_REGION"], variables["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")
    assert variables["AWS_ACCESS_KEY_ID"].startswith("AKIA")
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(variables)
    assert variables["NO_PROXY"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -TERM $$"), 143),
        (("no-such-program",), 127),
    ],
)
def test_returns_status_of_command(shell: Shell, command: tuple[str, ...], status: int) -> None:
    assert shell.run("--", *command).returncode == status


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--as", "missing", "--", "true"), 253, "there is no user or role 'missing' here, only"),
        (("--seed", "none.toml", "--", "true"), 253, "none.toml: No such file or directory"),
        (("--seed", "bad.toml", "--", "true"), 253, "user 1 (u): 'color' is an unknown key"),
        (
            ("--seed", "aws.toml", "--", "true"),
            253,
            "is not a managed policy of AWS that moto knows",
        ),
        (("aws", "s3", "ls"), 252, "write 'sandbox env NAME' or 'sandbox -- COMMAND...'"),
        (("--",), 252, "missing command after --"),
        (("env", "alice"), 253, "no sandbox is running: start one with 'ssmgate sandbox'"),
    ],
)
def test_reports_impossible_requests(
    shell: Shell, words: tuple[str, ...], status: int, message: str
) -> None:
    user = '[[user]]\nname = "u"\n'
    (shell.home / "bad.toml").write_text(user + "color = 1")
    policy = "arn:aws:iam::aws:policy/NoSuchPolicy"
    (shell.home / "aws.toml").write_text(user + f'attached = ["{policy}"]')

    ended = shell.run(*words)

    assert ended.returncode == status
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_loads_another_seed(shell: Shell) -> None:
    (shell.home / "seed.toml").write_text(
        'account = "999988887777"\nregion = "eu-west-1"\n'
        '[[role]]\nname = "r"\npath = "/p/"\n'
        'attached = ["arn:aws:iam::aws:policy/ReadOnlyAccess"]\n'
    )
    ended = shell.run(
        "--seed", "seed.toml", "--",
        "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text",
    )  # fmt: skip
    assert ended.stdout == "arn:aws:sts::999988887777:assumed-role/r/sandbox\n"


def test_warns_of_seed_without_default_document(shell: Shell) -> None:
    (shell.home / "seed.toml").write_text('[[user]]\nname = "u"\n')
    (shell.home / "old.toml").write_text(
        '[[user]]\nname = "u"\n[user.policies]\np = \'{"Version": "2008-10-17", "Statement":'
        ' {"Effect": "Allow", "Action": "*", "Resource": "*"}}\'\n'
    )
    ended = shell.run("--seed", "seed.toml", "--", "true")
    assert ended.returncode == 0
    assert ended.stderr.startswith(
        f"ssmgate: sandbox: note: account {ACCOUNT} has no document {DEFAULT}: "
    )
    assert shell.run("--", "true").stderr == ""
    ended = shell.run("--seed", "old.toml", "--", "true")
    assert ended.returncode == 253
    assert "old.toml: IAM refuses a policy of account" in ended.stderr


def test_env_inside_sandbox_names_this_sandbox(shell: Shell) -> None:
    words = (sys.executable, "-m", "ssmgate", "sandbox", "env", "bob")
    ended = shell.run("--", "sh", "-c", f"echo $AWS_ENDPOINT_URL; {shlex.join(words)}")
    url, *exports = ended.stdout.splitlines()
    assert (ended.stderr, ended.returncode) == ("", 0)
    assert f"export AWS_ENDPOINT_URL={url}" in exports


def test_boto3_seeds_sandbox_and_reads_answers(shell: Shell) -> None:
    code = """
import boto3, json
iam, ssm, sts = boto3.client("iam"), boto3.client("ssm"), boto3.client("sts")
grant = {"Effect": "Allow", "Action": "ssm:StartSession", "Resource": "*"}
iam.put_role_policy(RoleName="Ops", PolicyName="More", PolicyDocument=json.dumps(
    {"Version": "2012-10-17", "Statement": [grant]}))
answer = iam.simulate_principal_policy(
    PolicySourceArn="arn:aws:iam::111122223333:role/Ops", ActionNames=["ssm:StartSession"],
    ResourceArns=["arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"])
(result,) = answer["EvaluationResults"]
print(answer["IsTruncated"], result["EvalDecision"], result["MatchedStatements"][0])
answer = iam.simulate_custom_policy(
    PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": [grant]})],
    OrderedOrganizationPolicyInputList=[{"ServiceControlPolicyInputList": [json.dumps(
        {"Version": "2012-10-17", "Statement": [{**grant, "Effect": "Deny"}]})]}],
    ActionNames=["ssm:StartSession"])
print(answer["EvaluationResults"][0]["OrganizationsDecisionDetail"])
answer = iam.simulate_principal_policy(
    PolicySourceArn="arn:aws:iam::111122223333:role/Ops", ActionNames=["ssm:StartSession"],
    PolicyExclusionList=[{"PolicyType": "inline"}])
print(answer["EvaluationResults"][0]["EvalDecision"])
session = sts.assume_role(
    RoleArn="arn:aws:iam::111122223333:role/Ops", RoleSessionName="s1", SourceIdentity="admin",
    Tags=[{"Key": "Team", "Value": "x"}], TransitiveTagKeys=["Team"])
print(session["SourceIdentity"], session["AssumedRoleUser"]["Arn"])
federated = sts.get_federation_token(Name="fed", Policy=json.dumps(
    {"Version": "2012-10-17", "Statement": [grant]}))
print(federated["FederatedUser"]["Arn"], federated["Credentials"]["Expiration"].year > 2000)
try:
    ssm.start_session(Target="i-0aa")
except ssm.exceptions.TargetNotConnected as error:
    print(error.response["Error"]["Message"])
"""
    ended = shell.run("--as", "admin", "--", sys.executable, "-c", code)

    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "False allowed {'SourcePolicyId': 'role_Ops_More', 'SourcePolicyType': 'IAM Policy',"
        " 'StartPosition': {'Line': 1, 'Column': 41}, 'EndPosition': {'Line': 1, 'Column': 107}}",
        "{'AllowedByOrganizations': False}",
        "implicitDeny",
        f"admin arn:aws:sts::{ACCOUNT}:assumed-role/Ops/s1",
        f"arn:aws:sts::{ACCOUNT}:federated-user/fed True",
        "i-0aa is not connected.",
    ]


# moto alone would store each of them.
UNREADABLE = {
    "Effect": "Allow",
    "Action": "*",
    "Resource": "*",
    "Condition": {"NumericEquals": {"aws:MultiFactorAuthAge": "young"}},
}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("PutUserPolicy", {"UserName": "carol", "PolicyName": "p", "PolicyDocument": UNREADABLE}),
        ("PutRolePolicy", {"RoleName": "Ops", "PolicyName": "p", "PolicyDocument": UNREADABLE}),
        ("CreatePolicy", {"PolicyName": "p", "PolicyDocument": UNREADABLE}),
        (
            "CreatePolicyVersion",
            {
                "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/NoSshDocument",
                "PolicyDocument": UNREADABLE,
            },
        ),
        (
            "CreateRole",
            {"RoleName": "r", "AssumeRolePolicyDocument": {**TRUST, "Effect": "Maybe"}},
        ),
        (
            "UpdateAssumeRolePolicy",
            {"RoleName": "Ops", "PolicyDocument": {**TRUST, "Principal": "everyone"}},
        ),
    ],
)
def test_rejects_unreadable_policy(server: Server, operation: str, members: dict[str, Any]) -> None:
    given = {
        name: document(value) if isinstance(value, dict) else value
        for name, value in members.items()
    }
    with pytest.raises(Failed, match="MalformedPolicyDocument: ") as raised:
        server.query(OWNER, "iam", operation, **given)
    assert raised.value.status == 400


def test_rejects_unreadable_service_control_policy(server: Server) -> None:
    with pytest.raises(Failed, match="MalformedPolicyDocumentException: "):
        server.organizations(
            OWNER,
            "CreatePolicy",
            Name="p",
            Description="",
            Type="SERVICE_CONTROL_POLICY",
            Content=document(UNREADABLE),
        )


def test_accepts_numbers_in_conditions(server: Server) -> None:
    old = {**UNREADABLE, "Condition": {"NumericLessThan": {"aws:EpochTime": [1, 2.5]}}}
    new = {**UNREADABLE, "Condition": {"NumericGreaterThan": {"aws:EpochTime": 1700000000}}}

    def own(operation: str, **members: Any) -> ET.Element:
        return server.query(OWNER, "iam", operation, **members)

    own("CreateUser", UserName="numbers")
    key = str(text(own("CreateAccessKey", UserName="numbers"), "AccessKeyId"))
    own("PutUserPolicy", UserName="numbers", PolicyName="p", PolicyDocument=document(old))
    with pytest.raises(Failed, match="no identity-based policy allows"):
        server.ssm(key, "StartSession", Target=NODE)
    own("PutUserPolicy", UserName="numbers", PolicyName="p", PolicyDocument=document(new))
    server.ssm(key, "StartSession", Target=NODE)


def test_does_not_delete_policy_in_use(server: Server) -> None:
    def own(operation: str, **members: Any) -> ET.Element:
        return server.query(OWNER, "iam", operation, **members)

    grant = document({**UNREADABLE, "Condition": {}})
    arn = str(text(own("CreatePolicy", PolicyName="used", PolicyDocument=grant), "Arn"))
    own("CreateUser", UserName="holder")
    own("AttachUserPolicy", UserName="holder", PolicyArn=arn)
    own("AttachUserPolicy", UserName="holder", PolicyArn=arn)
    with pytest.raises(Failed, match="DeleteConflict: Cannot delete a policy attached") as raised:
        own("DeletePolicy", PolicyArn=arn)
    assert raised.value.status == 409
    own("DetachUserPolicy", UserName="holder", PolicyArn=arn)
    own("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=grant)
    with pytest.raises(Failed, match="DeleteConflict: This policy has more than one version"):
        own("DeletePolicy", PolicyArn=arn)
    own("DeletePolicyVersion", PolicyArn=arn, VersionId="v2")
    own("DeletePolicy", PolicyArn=arn)
    own("DeleteUser", UserName="holder")


@pytest.fixture
def staying(shell: Shell) -> Iterator[subprocess.Popen[str]]:
    with start_staying(shell) as process:
        yield process


@contextmanager
def start_staying(shell: Shell) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ssmgate", "sandbox"],
        env=shell.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def usage(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            break
    return "".join(lines)


def test_runs_until_interrupted(shell: Shell, staying: subprocess.Popen[str]) -> None:
    help_text = usage(staying)
    assert 'eval "$(ssmgate sandbox env alice)"' in help_text
    url = help_text.split()[5].rstrip(",")

    exports = shell.run("env", "Ops")
    assert exports.returncode == 0
    assert f"export AWS_ENDPOINT_URL={url}" in exports.stdout
    assert "unset AWS_PROFILE" in exports.stdout
    identity = subprocess.run(
        ["sh", "-c", exports.stdout + "\naws sts get-caller-identity --output text --query Arn"],
        env=shell.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert identity.stdout == f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/sandbox\n"

    staying.send_signal(signal.SIGINT)
    _, errors = staying.communicate(timeout=20)
    assert staying.returncode == 0
    assert errors == "Ops sts:GetCallerIdentity not restricted\n"
    assert not (shell.home / ".cache/ssmgate/sandbox.json").exists()
    wait_until(lambda: not answers(url))


def test_forwards_signal_to_command(shell: Shell) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ssmgate", "sandbox", "--", "sh", "-c",
         'trap "exit 9" TERM; echo "$AWS_ENDPOINT_URL"; while :; do sleep 0.05; done'],
        env=shell.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 9
    assert not answers(url)


def test_reports_port_in_use(shell: Shell, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    ended = shell.run("--port", port, "--", "true")
    assert (ended.returncode, ended.stdout) == (253, "")
    assert f"port {port}: Address already in use" in ended.stderr


def test_starts_within_two_seconds_of_cpu_time(shell: Shell) -> None:
    """Processor time of all its processes: other load on the machine has no influence."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert shell.run("--", "true").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The server is counted: it alone takes a third of a second at the least.
    assert 0.3 < cost < 2


def test_killed_sandbox_leaves_no_process(shell: Shell, staying: subprocess.Popen[str]) -> None:
    url = usage(staying).split()[5].rstrip(",")
    assert answers(url)
    staying.kill()
    wait_until(lambda: not answers(url))


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_until(held: Callable[[], bool], seconds: float = 10) -> None:
    until(held, seconds)
