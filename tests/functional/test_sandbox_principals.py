"""Each layer of policies against each kind of principal, in an organization of two accounts."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.sandbox import ACCOUNT, NODE, OWNER, Failed, Server, serving, text

MEMBER = "222233334444"
OPS, NEXT = (f"arn:aws:iam::{MEMBER}:role/a/{name}" for name in ("Ops", "Next"))
DIRECT = f"arn:aws:iam::{MEMBER}:role/Direct"

# Each layer denies the document that has its name. Everything else is allowed.
SEED = """
management = "{home}"

[[organizational_unit]]
name = "Outer"

[[organizational_unit]]
name = "Inner"
parent = "Outer"

[[user]]
name = "alice"
[user.policies]
All = '''{everything}'''

[[user]]
name = "assumer"
[user.policies]
Assume = '''{assume}'''

[[user]]
name = "bob"

[[member]]
account = "{member}"
name = "production"
unit = "Inner"

[[member.node]]
id = "{node}"

[[member.group]]
name = "all"
[member.group.policies]
Group = '''{no_group}'''

[[member.managed_policy]]
name = "Limits"
policy = '''{no_boundary}'''

[[member.managed_policy]]
name = "Rights"
policy = '''{rights}'''

[[member.managed_policy]]
name = "NoSession"
policy = '''{no_session}'''

[[member.user]]
name = "eve"
attached = ["Rights"]
boundary = "Limits"
groups = ["all"]

[[member.role]]
name = "Ops"
path = "/a/"
attached = ["Rights"]
boundary = "Limits"
tags = {{ Blocked = "no", Team = "ops" }}
trust = '''{trust}'''

[[member.user]]
name = "ann"

[[member.role]]
name = "Direct"
trust = '''{trust_direct}'''

[[member.role]]
name = "Web"
attached = ["Rights"]
trust = '''{trust_web}'''

[[member.role]]
name = "Next"
path = "/a/"
attached = ["Rights"]
trust = '''{trust_role}'''
"""


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def deny(name: str, **more: Any) -> dict[str, Any]:
    resource = f"arn:aws:ssm:*:*:document/{name}"
    return {"Effect": "Deny", "Action": "ssm:StartSession", "Resource": resource, **more}


def trust(*principals: str) -> str:
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    return policy({"Effect": "Allow", "Action": actions, "Principal": {"AWS": list(principals)}})


PROVIDER = "oidc.example.com/id/A"
TRUST_WEB = policy(
    {
        "Effect": "Allow",
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Principal": {"Federated": f"arn:aws:iam::{MEMBER}:oidc-provider/{PROVIDER}"},
        "Condition": {"StringEquals": {f"{PROVIDER}:sub": "pod"}},
    }
)
# It allows neither sts:TagSession nor sts:SetSourceIdentity.
TRUST_DIRECT = policy(
    {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {
            "AWS": [
                f"arn:aws:iam::{ACCOUNT}:user/alice",
                f"arn:aws:iam::{ACCOUNT}:user/bob",
                f"arn:aws:iam::{MEMBER}:user/ann",
                OPS,
            ]
        },
    }
)
NO_SESSION = policy(ALLOW, deny("Session"))
BLOCKED = {"StringEquals": {"aws:PrincipalTag/Blocked": "yes"}}
SOURCED = {"StringEquals": {"aws:SourceIdentity": "mallory"}}
RIGHTS = policy(
    ALLOW,
    deny("Identity"),
    deny("Tag", Condition=BLOCKED),
    deny("Source", Condition=SOURCED),
)


def seed(directory: Path) -> Path:
    content = SEED.format(
        home=ACCOUNT,
        member=MEMBER,
        node=NODE,
        everything=policy(ALLOW),
        assume=policy({"Effect": "Allow", "Action": "sts:*", "Resource": OPS}),
        no_group=policy(deny("Group")),
        no_boundary=policy(ALLOW, deny("Boundary")),
        no_session=NO_SESSION,
        rights=RIGHTS,
        trust=trust(ACCOUNT, MEMBER),
        trust_role=trust(OPS),
        trust_direct=TRUST_DIRECT,
        trust_web=TRUST_WEB,
    )
    for level in ("root", "Outer", "Inner", MEMBER):
        content += (
            f"[[service_control_policy]]\nname = 'No-{level}'\nattached = ['{level}']\n"
            f"policy = '{policy(ALLOW, deny(f'Level-{level}'))}'\n"
        )
    path = directory / "seed.toml"
    path.write_text(content)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("--seed", str(seed(tmp_path_factory.mktemp("seed")))) as running:
        yield running


def assume(server: Server, who: str, role: str, **members: Any) -> str:
    """Return the access key of a session of `role`."""
    answer = server.query(who, "sts", "AssumeRole", RoleArn=role, RoleSessionName="s1", **members)
    return str(text(answer, "AccessKeyId"))


TAGS = [{"Key": "blocked", "Value": "yes"}]


@pytest.fixture(scope="module")
def keys(server: Server) -> dict[str, str]:
    """Return the access key of each kind of principal."""
    tagged = assume(server, "alice", OPS, Tags=TAGS, TransitiveTagKeys=["blocked"],
                    SourceIdentity="mallory")  # fmt: skip
    limits = [{"arn": f"arn:aws:iam::{MEMBER}:policy/NoSession"}]
    federated = server.query(
        f"{MEMBER}/eve", "sts", "GetFederationToken", Name="fed", Policy=NO_SESSION, Tags=TAGS
    )
    return {
        "user": f"{MEMBER}/eve",
        "role": f"{MEMBER}/Ops",
        "role with session policy": assume(server, "alice", OPS, Policy=NO_SESSION),
        "role with managed session policy": assume(server, "alice", OPS, PolicyArns=limits),
        "tagged": tagged,
        "chained": assume(server, tagged, NEXT),
        "federated": str(text(federated, "AccessKeyId")),
        "session of user": str(
            text(server.query(f"{MEMBER}/eve", "sts", "GetSessionToken"), "AccessKeyId")
        ),
        "management account": "alice",
        "owner": OWNER,
    }


IDENTITY, BOUNDARY = "identity-based policy", "permissions boundary"
OWNER_OF_MEMBER = f"{MEMBER}/Ops"
SESSION, SCP = "session policy", "service control policy"
LEVELS = {f"Level-{level}": SCP for level in ("root", "Outer", "Inner", MEMBER)}
USER = {"Identity": IDENTITY, "Group": IDENTITY, "Boundary": BOUNDARY, **LEVELS}
ROLE = {"Identity": IDENTITY, "Boundary": BOUNDARY, **LEVELS}
TAGGED = {**ROLE, "Tag": IDENTITY, "Source": IDENTITY}
DOCUMENTS = ["Identity", "Group", "Boundary", "Session", "Tag", "Source", *LEVELS, "None"]


@pytest.mark.parametrize(
    ("who", "denied"),
    [
        ("user", USER),
        ("session of user", USER),
        ("role", ROLE),
        ("role with session policy", {**ROLE, "Session": SESSION}),
        ("role with managed session policy", {**ROLE, "Session": SESSION}),
        ("tagged", TAGGED),
        # Next has no boundary. The tag is transitive.
        ("chained", {key: layer for key, layer in TAGGED.items() if layer != BOUNDARY}),
        ("federated", {**USER, "Session": SESSION, "Tag": IDENTITY}),
        ("management account", {}),
        ("owner", {}),
    ],
)
def test_each_layer_restricts_its_principals(
    server: Server, keys: dict[str, str], who: str, denied: dict[str, str]
) -> None:
    found = {}
    for document in DOCUMENTS:
        with pytest.raises(Failed) as raised:
            server.ssm(keys[who], "StartSession", Target=NODE, DocumentName=document)
        if raised.value.code == "AccessDeniedException":
            found[document] = raised.value.message.rpartition("explicit deny in a")[2]
        else:
            assert raised.value.code == "InvalidDocument"
    assert {name: layer.removeprefix("n").strip() for name, layer in found.items()} == denied


@pytest.mark.parametrize(
    ("source", "denied"),
    [(f"arn:aws:iam::{MEMBER}:user/eve", USER), (OPS, ROLE)],
)
def test_simulator_knows_neither_session_tags_nor_session_policies(
    server: Server, keys: dict[str, str], source: str, denied: dict[str, str]
) -> None:
    """A tagged session simulates its role: its tags are not in the answer."""
    arns = [f"arn:aws:ssm:us-east-1:{MEMBER}:document/{name}" for name in DOCUMENTS]
    answer = server.simulate(keys["tagged"], source, *arns)
    decisions = [
        text(entry, "EvalResourceDecision")
        for entry in answer.findall(".//ResourceSpecificResults/member")
    ]
    assert decisions == ["explicitDeny" if name in denied else "allowed" for name in DOCUMENTS]


@pytest.mark.parametrize(
    ("excluded", "allowed"),
    [
        ({"PolicyType": "scp"}, set(LEVELS)),
        ({"PolicyType": "permission-boundary"}, {"Boundary"}),
        (
            {
                "InlinePolicyIdentifier": {
                    "PolicyName": "Group",
                    "AttachmentType": "group",
                    "AttachmentName": "all",
                }
            },
            {"Group"},
        ),
    ],
)
def test_simulates_without_excluded_policies(
    server: Server, excluded: dict[str, Any], allowed: set[str]
) -> None:
    answer = server.query(
        OWNER_OF_MEMBER,
        "iam",
        "SimulatePrincipalPolicy",
        PolicySourceArn=f"arn:aws:iam::{MEMBER}:user/eve",
        ActionNames=["ssm:StartSession"],
        ResourceArns=[f"arn:aws:ssm:us-east-1:{MEMBER}:document/{name}" for name in USER],
        PolicyExclusionList=[excluded],
    )
    entries = answer.findall(".//ResourceSpecificResults/member")
    found = dict(zip(USER, (text(e, "EvalResourceDecision") for e in entries), strict=True))
    assert {name for name, decision in found.items() if decision == "allowed"} == allowed
    assert text(answer, "AllowedByOrganizations") == (
        None if excluded == {"PolicyType": "scp"} else "false"
    )


def test_condition_keys_have_values_of_organization(server: Server) -> None:
    organization = server.organizations("alice", "DescribeOrganization")["Organization"]["Id"]

    def matches(**keys: str) -> bool:
        conditions = {"StringEquals": {key.replace("_", ":"): value for key, value in keys.items()}}
        answer = server.query(
            OWNER_OF_MEMBER,
            "iam",
            "SimulatePrincipalPolicy",
            PolicySourceArn=f"arn:aws:iam::{MEMBER}:role/Ops",
            ActionNames=["ssm:GetParameter"],
            PolicyInputList=[policy({**ALLOW, "Effect": "Deny", "Condition": conditions})],
        )
        return text(answer, "EvalDecision") == "explicitDeny"

    assert matches(aws_PrincipalOrgID=organization, aws_PrincipalOrgMasterAccountId=ACCOUNT)
    assert not matches(aws_PrincipalOrgID="o-other")


@pytest.mark.parametrize(
    ("who", "arn"),
    [
        ("user", f"arn:aws:iam::{MEMBER}:user/eve"),
        ("tagged", f"arn:aws:sts::{MEMBER}:assumed-role/Ops/s1"),
        ("chained", f"arn:aws:sts::{MEMBER}:assumed-role/Next/s1"),
        ("federated", f"arn:aws:sts::{MEMBER}:federated-user/fed"),
        ("management account", f"arn:aws:iam::{ACCOUNT}:user/alice"),
    ],
)
def test_caller_identity_names_account_of_credentials(
    server: Server, keys: dict[str, str], who: str, arn: str
) -> None:
    identity = server.query(keys[who], "sts", "GetCallerIdentity")
    assert (text(identity, "Arn"), text(identity, "Account")) == (arn, arn.split(":")[4])


@pytest.mark.parametrize(
    ("who", "role", "members", "message"),
    [
        pytest.param("alice", OPS, {}, None, id="trusted account, own permission"),
        pytest.param("assumer", OPS, {}, None, id="permission for this role"),
        pytest.param(
            "bob", OPS, {}, "because no identity-based policy allows the sts:AssumeRole action",
            id="no own permission",
        ),
        pytest.param(f"{MEMBER}/ann", DIRECT, {}, None, id="named user of same account"),
        pytest.param(
            "bob", DIRECT, {}, "because no identity-based policy allows the sts:AssumeRole action",
            id="named user of another account without own permission",
        ),
        pytest.param(
            "alice", DIRECT, {"Tags": TAGS},
            "because no role trust policy allows the sts:TagSession action", id="tags not trusted",
        ),
        pytest.param(
            "alice", DIRECT, {"SourceIdentity": "alice"},
            "because no role trust policy allows the sts:SetSourceIdentity action",
            id="source identity not trusted",
        ),
        pytest.param(
            "tagged", DIRECT, {}, "because no role trust policy allows the sts:TagSession action",
            id="inherited tags not trusted",
        ),
        pytest.param("role", DIRECT, {}, None, id="chained session without tags"),
        pytest.param(
            "alice", NEXT, {}, "because no role trust policy allows the sts:AssumeRole action",
            id="not trusted",
        ),
        pytest.param(OWNER, NEXT, {}, None, id="owner"),
        pytest.param("federated", OPS, {}, "Cannot call AssumeRole", id="federated user"),
        pytest.param(
            "tagged", NEXT, {"Tags": TAGS},
            "conflicts with a transitive tag key from the calling session", id="inherited tag",
        ),
        pytest.param(
            "tagged", NEXT, {"DurationSeconds": "7200"}, "exceeds the 1 hour session limit",
            id="long chained session",
        ),
        pytest.param(
            "alice", f"arn:aws:iam::{MEMBER}:role/OrganizationAccountAccessRole", {}, None,
            id="role that the organization has created",
        ),
        pytest.param(
            "alice", f"arn:aws:iam::{MEMBER}:role/OrganizationAccountAccessRole",
            {"DurationSeconds": "7200"}, "exceeds the MaxSessionDuration", id="long session",
        ),
    ],
)  # fmt: skip
def test_assumes_roles_across_accounts(
    server: Server,
    keys: dict[str, str],
    who: str,
    role: str,
    members: dict[str, Any],
    message: str | None,
) -> None:
    if message is None:
        assert assume(server, keys.get(who, who), role, **members).startswith("ASIA")
        return
    with pytest.raises(Failed) as raised:
        assume(server, keys.get(who, who), role, **members)
    assert message in raised.value.message


def token(**claims: Any) -> str:
    """Return a JWT without a valid signature."""
    payload = json.dumps({"iss": f"https://{PROVIDER}", **claims}).encode()
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.e30"


def test_web_identity_assumes_role_that_trusts_its_issuer(server: Server) -> None:
    def ask(web_token: str) -> str:
        answer = server.query(
            "",
            "sts",
            "AssumeRoleWithWebIdentity",
            RoleArn=f"arn:aws:iam::{MEMBER}:role/Web",
            RoleSessionName="s1",
            WebIdentityToken=web_token,
        )
        return str(text(answer, "AccessKeyId"))

    tags = {"https://aws.amazon.com/tags": {"principal_tags": {"Blocked": ["yes"]}}}
    key = ask(token(sub="pod", **tags))
    with pytest.raises(Failed, match="explicit deny in an identity-based policy"):
        server.ssm(key, "StartSession", Target=NODE, DocumentName="Tag")
    with pytest.raises(Failed, match="InvalidDocument"):
        server.ssm(ask(token(sub="pod")), "StartSession", Target=NODE, DocumentName="Tag")
    with pytest.raises(Failed, match="AccessDenied: Not authorized to perform sts:AssumeRoleWith"):
        ask(token(sub="other"))
    with pytest.raises(Failed, match="InvalidIdentityToken"):
        ask("x")


def test_owner_has_its_rights_in_session_but_not_as_federated_user(
    server: Server,
) -> None:
    session = server.query(OWNER, "sts", "GetSessionToken")
    server.query(str(text(session, "AccessKeyId")), "iam", "ListUsers")
    federated = server.query(OWNER, "sts", "GetFederationToken", Name="fed")
    key = str(text(federated, "AccessKeyId"))
    with pytest.raises(Failed, match="because no session policy allows the ssm:StartSession"):
        server.ssm(key, "StartSession", Target=NODE)
    with pytest.raises(Failed, match="InvalidClientTokenId"):
        server.query(key, "iam", "ListUsers")


def test_management_account_lists_accounts(server: Server, keys: dict[str, str]) -> None:
    accounts = server.organizations("alice", "ListAccounts")["Accounts"]
    assert {account["Id"]: account["Name"] for account in accounts} == {
        ACCOUNT: "master",
        MEMBER: "production",
    }
    with pytest.raises(Failed, match="AccessDeniedException: You don't have permissions"):
        server.organizations(keys["role"], "ListAccounts")
    with pytest.raises(Failed, match="not authorized to perform: organizations:ListAccounts"):
        server.organizations("bob", "ListAccounts")
    described = server.organizations(keys["role"], "DescribeOrganization")["Organization"]
    assert described["MasterAccountId"] == ACCOUNT


def test_accounts_do_not_share_nodes_and_documents(server: Server, keys: dict[str, str]) -> None:
    def nodes(who: str) -> list[str]:
        listed = server.ssm(who, "DescribeInstanceInformation")["InstanceInformationList"]
        return [node["InstanceId"] for node in listed]

    assert (nodes(keys["role"]), nodes("alice")) == ([NODE], [])
    with pytest.raises(Failed, match="TargetNotConnected"):
        server.ssm("alice", "StartSession", Target=NODE)
