"""Each change that `check` proposes, made in the sandbox: the session starts, and no other does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakes.sandbox import ACCOUNT, OWNER, Failed, Server
from functional.test_gallery import Run, gallery, run

__all__ = ["gallery", "run"]

HERE = f"us-east-1:{ACCOUNT}"
START = "ssm:StartSession"
NODE, OTHER_NODE = "i-0123456789abcdef0", "i-0fedcba9876543210"  # tagged Env=dev and Env=prod
NODES = f"arn:aws:ec2:{HERE}:instance/*"
NODE_ARN = f"arn:aws:ec2:{HERE}:instance/{NODE}"
SSH = "arn:aws:ssm:us-east-1::document/AWS-StartSSHSession"
SHELL = f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"
TEAM = f"arn:aws:ssm:{HERE}:document/Team-Shell"
CONTROL = f"arn:aws:ssm:{HERE}:document/Control-Shell"
DOCUMENTS = {"AWS-StartSSHSession": SSH, "SSM-SessionManagerRunShell": SHELL, "Team-Shell": TEAM}
CHECK = {"Condition": {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}}

# Each user of the table may also simulate, and read its policies, tags and lists.
OWN = [
    {
        "Effect": "Allow",
        "Action": ["iam:SimulatePrincipalPolicy", "iam:Get*", "iam:List*", "ec2:DescribeTags",
                   "ssm:List*", "ssm:Describe*", "ssm:GetDocument"],
        "Resource": "*",
    }
]  # fmt: skip


def allow(resource: Any = "*", action: Any = START, **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def deny(resource: Any = "*", action: Any = START, **elements: Any) -> dict[str, Any]:
    return allow(resource, action, Effect="Deny", **elements)


def dev(statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "Condition": {"StringEquals": {"ssm:resourceTag/Env": "dev"}}}


def cases(arn: str) -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]] | None]]:
    """Return policies that deny the document `arn`: identity-based, and the boundary."""
    name = arn.rpartition("/")[2]
    aws = "::" in arn
    other_account = arn.replace("::", f":{ACCOUNT}:") if aws else arn.replace(ACCOUNT, "")
    return {
        "no statement": ([allow("*", "s3:*")], None),
        "nodes only": ([allow(NODES)], None),
        "nodes and another document": ([allow([NODES, CONTROL])], None),
        "documents only": ([allow(arn)], None),
        "checked nodes": ([allow(NODES, **CHECK)], None),
        "nodes by tag": ([dev(allow(NODES))], None),
        "tag over documents": ([dev(allow())] if name != "Team-Shell" else [dev(allow(NODES))],
                               None),
        "account of the ARN": ([allow([NODES, other_account])], None),
        "another region": ([allow([NODES, arn.replace("us-east-1", "eu-west-1")])], None),
        "other case": ([allow([NODES, arn.replace(name, name.upper())])], None),
        "a version": ([allow([NODES, f"{arn}:1"])], None),
        "another type": ([allow([NODES, arn.replace("document/", "documents/")])], None),
        "misspelt action": ([allow([NODES, arn], "ssm:StartSessions")], None),
        "NotResource": ([{"Effect": "Allow", "Action": START, "NotResource": arn}], None),
        "deny by name": ([allow(), deny(arn)], None),
        "deny of two": ([allow(), deny([arn, CONTROL])], None),
        "deny everywhere": ([allow(), deny(arn.replace("us-east-1", "*"))], None),
        "deny of all documents": ([allow(), deny("arn:aws:ssm:*:*:document/*")], None),
        "deny of everything": ([allow(NODES), deny()], None),
        "deny of all but": (
            [allow(), {"Effect": "Deny", "Action": START, "NotResource": [CONTROL, NODES]}], None,
        ),
        "deny of a beginning": ([allow(), deny(f"arn:aws:ssm:*:*:document/{name[:4]}*")], None),
        "deny of two actions": ([allow("*", "ssm:*"), deny(arn, [START, "ssm:SendCommand"])],
                                None),
        "deny of all actions": ([allow("*", "*"), deny(arn, "ssm:*")], None),
        "boundary": ([allow()], [allow("*", "iam:*"), allow("*", "ssm:[LGD]*"), allow(NODES)]),
        "boundary that denies": ([allow()], [allow("*", "*"), deny(arn)]),
    }  # fmt: skip


def more_cases() -> dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]] | None]]:
    """Return other policies that deny `SHELL`, which need no variant for each kind of document."""
    everything = allow("*", "*")
    here = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    strict = {"Bool": {"ssm:SessionDocumentAccessCheck": "true"}}
    return {
        "another action of the service": ([allow("*", "ssm:DescribeSessions")], None),
        "resuming and ending only": (
            [allow("*", ["ssm:ResumeSession", "ssm:TerminateSession"])], None,
        ),
        "another service's action of the name": ([allow("*", "ssmmessages:StartSession")], None),
        "other case of the node": (
            [allow([NODE_ARN.replace("instance", "Instance"), SHELL])], None,
        ),
        "another node": ([allow([NODE_ARN.replace(NODE, OTHER_NODE), SHELL])], None),
        "nodes of another region": (
            [allow([NODES.replace("us-east-1", "eu-west-1"), SHELL])], None,
        ),
        "nodes of another account": (
            [allow([NODES.replace(ACCOUNT, "444455556666"), SHELL])], None,
        ),
        "managed nodes only": (
            [allow([f"arn:aws:ssm:{HERE}:managed-instance/*", SHELL])], None,
        ),
        "the node as one of the service's": (
            [allow([f"arn:aws:ssm:{HERE}:instance/{NODE}", SHELL])], None,
        ),
        "tasks only": ([allow([f"arn:aws:ecs:{HERE}:task/*", SHELL])], None),
        "document of another account": (
            [allow([NODES, SHELL.replace(ACCOUNT, "444455556666")])], None,
        ),
        "document of another partition": (
            [allow([NODES, SHELL.replace("arn:aws:", "arn:aws-cn:")])], None,
        ),
        "document with a path": ([allow([NODES, SHELL.replace("document/", "document/x/")])], None),
        "misspelt document": ([allow([NODES, SHELL.replace("Manager", "Manger")])], None),
        "documents that begin otherwise": (
            [allow([NODES, f"arn:aws:ssm:{HERE}:document/Team-*"])], None,
        ),
        "documents of one letter more": ([allow([NODES, f"{SHELL}?"])], None),
        "reading the document": ([allow(NODES), allow(SHELL, "ssm:GetDocument")], None),
        "region in a condition": ([allow(NODES, Condition=here)], None),
        "document only if checked": ([allow(SHELL, Condition=strict)], None),
        "two statements for nodes": (
            [dev(allow(NODES)), allow(NODE_ARN, "ssm:DescribeInstanceInformation")], None,
        ),
        "read only": ([allow("*", ["ssm:Describe*", "ssm:Get*", "ssm:List*"])], None),
        "all but sessions": (
            [{"Effect": "Allow", "NotAction": "ssm:StartSession", "Resource": "*"}], None,
        ),
        "all but the service": (
            [{"Effect": "Allow", "NotAction": "ssm:*", "Resource": "*"}], None,
        ),
        "NotResource of two": (
            [{"Effect": "Allow", "Action": START, "NotResource": [CONTROL, SHELL]}], None,
        ),
        "deny of two beginnings": (
            [allow(), deny([f"arn:aws:ssm:*:*:document/{name}-*" for name in ("SSM", "Other")])],
            None,
        ),
        "deny of one letter": ([allow(), deny(f"{SHELL[:-1]}?")], None),
        "deny of the region's documents": (
            [allow(), deny("arn:aws:ssm:us-east-1:*:document/*")], None,
        ),
        "deny of the service's actions": ([everything, deny(SHELL, "ssm:*")], None),
        "deny of many actions": (
            [everything, deny(SHELL, [START, "ssm:GetDocument", "ssm:SendCommand"])], None,
        ),
        "deny of all but another action": (
            [everything, {"Effect": "Deny", "NotAction": "ssm:GetDocument", "Resource": SHELL}],
            None,
        ),
        "deny, and no grant behind it": ([allow(NODES), deny(SHELL)], None),
        "two denies": ([allow(), deny(SHELL), deny("arn:aws:ssm:*:*:document/SSM-*")], None),
        "boundary without sessions": ([allow()], [allow("*", ["iam:*", "ssm:[LGD]*"])]),
        "boundary of another document": (
            [allow()], [allow("*", ["iam:*", "ec2:*"]), allow([NODES, CONTROL])],
        ),
        "boundary that denies all documents": (
            [allow()], [everything, deny("arn:aws:ssm:*:*:document/*")],
        ),
        "boundary that denies by NotResource": (
            [allow()],
            [everything, {"Effect": "Deny", "Action": START, "NotResource": [CONTROL, NODES]}],
        ),
        "boundary and policy": (
            [allow(NODES)], [allow("*", ["iam:*", "ssm:List*", "ssm:Get*"]), allow(NODES)],
        ),
    }  # fmt: skip


MORE = more_cases()
ROWS = [(name, case) for name, arn in DOCUMENTS.items() for case in cases(arn)]
ROWS += [("SSM-SessionManagerRunShell", case) for case in MORE]


class Person:
    """A new user of the sandbox. Its policies have a Sid in each statement."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.policies: dict[str, list[dict[str, Any]]] = {}
        self.boundary: list[dict[str, Any]] | None = None
        server.query(OWNER, "iam", "CreateUser", UserName=name)
        made = server.query(OWNER, "iam", "CreateAccessKey", UserName=name)
        key = made.find(".//AccessKeyId")
        assert key is not None
        signs = {"access_key_id": key.text, "session_token": None}
        server.principals[name] = signs

    def put(self, policy: str, statements: list[dict[str, Any]]) -> None:
        self.policies[policy] = statements
        whom = {"UserName": self.name, "PolicyName": policy}
        if not statements:
            self.server.query(OWNER, "iam", "DeleteUserPolicy", **whom)
            return
        text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)
        self.server.query(OWNER, "iam", "PutUserPolicy", PolicyDocument=text, **whom)

    def bound(self, statements: list[dict[str, Any]]) -> None:
        self.boundary = statements
        text = json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=1)
        name = f"{self.name}-{len(text)}"
        self.server.query(OWNER, "iam", "CreatePolicy", PolicyName=name, PolicyDocument=text)
        arn = f"arn:aws:iam::{ACCOUNT}:policy/{name}"
        self.server.query(OWNER, "iam", "PutUserPermissionsBoundary", UserName=self.name,
                          PermissionsBoundary=arn)  # fmt: skip

    def change(self, change: dict[str, Any]) -> None:
        """Make a change as `check --output json` has it."""
        statements = change["statements"]
        bounding = change["layer"] == "permissions boundary"
        if change["policy"] is None and not bounding:
            assert change["layer"] == "identity-based policy"
            self.put("Added", statements)
            return
        policy = change["policy"].rpartition("_")[2] if change["policy"] else ""
        old = (self.boundary if bounding else self.policies[policy]) or []
        at = next((n for n, s in enumerate(old) if s["Sid"] == change["sid"]), len(old))
        new = [*old[:at], *statements, *old[at + 1 :]]
        self.bound(new) if bounding else self.put(policy, new)

    def may_start(self, target: str, document: str) -> bool:
        try:
            self.server.ssm(self.name, "StartSession", Target=target, DocumentName=document)
        except Failed as failed:
            if failed.code != "AccessDeniedException":
                raise
            return False
        return True


@pytest.fixture(scope="module", autouse=True)
def _documents(gallery: Server) -> None:
    content = json.dumps({"schemaVersion": "1.0", "sessionType": "Standard_Stream"})
    gallery.ssm(OWNER, "CreateDocument", Name="Control-Shell", Content=content,
              DocumentType="Session", DocumentFormat="JSON")  # fmt: skip


@pytest.mark.parametrize(("document", "case"), ROWS)
def test_proposed_changes_start_session_and_no_other(
    document: str, case: str, gallery: Server, run: Run
) -> None:  # fmt: skip
    statements, boundary = (MORE | cases(DOCUMENTS[document]))[case]
    numbered = [{"Sid": f"S{number}", **s} for number, s in enumerate(statements)]
    person = Person(gallery, f"row-{ROWS.index((document, case))}")
    person.put("Own", OWN)
    person.put("Sessions", numbered)
    if boundary is not None:
        person.bound([{"Sid": f"B{number}", **s} for number, s in enumerate(boundary)])
    controls = [(NODE, "Control-Shell"), (OTHER_NODE, "Control-Shell"), (OTHER_NODE, document)]
    before = [person.may_start(*control) for control in controls[:2]]
    assert not person.may_start(NODE, document)

    words = ["check", "--target", NODE, "--document-name", document, "--output", "json"]
    answer = run(person.name, words, {})
    report = json.loads(answer["stdout"])

    assert answer["code"] == 3, answer
    assert report["obstacles"] == []
    for change in report["changes"]:
        person.change(change)
    assert person.may_start(NODE, document)
    assert [person.may_start(*control) for control in controls[:2]] == before
    closed = case in ("no statement", "documents only", "misspelt action", "deny of everything",
                      "nodes by tag", "tag over documents")  # fmt: skip
    if closed:
        assert not person.may_start(OTHER_NODE, document)


def test_table_has_at_least_60_kinds_of_denials() -> None:
    assert len({case for _, case in ROWS}) >= 60
