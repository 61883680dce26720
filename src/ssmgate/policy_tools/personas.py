"""Policies for the usual people and programs, each proved by the evaluator before it is printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmgate.explain.changes import CHECK_CONDITION, CHECK_KEY
from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.policy_language import Context, Policies, PolicyKind, Request, parse_policy
from ssmgate.policy_language.decide import Certainty, decide
from ssmgate.policy_language.knowledge import Knowledge

Json = dict[str, Any]

START, CHANNEL = "ssm:StartSession", "ssmmessages:OpenDataChannel"
OWN_SESSIONS = ("ssm:TerminateSession", "ssm:ResumeSession")
SIMULATE = "iam:SimulatePrincipalPolicy"


@dataclass(frozen=True, slots=True)
class Place:
    """Where sessions are started. `documents` are the customer's; AWS's are in the personas.

    `role` is the name of the role whose policy it is, which only some personas need.
    """

    partition: str
    region: str
    account: str
    documents: tuple[str, ...] = ()
    role: str = ""

    def document(self, name: str) -> str:
        """Return the ARN of a document. Raises `InvalidRequest` for an invalid name."""
        (arn, *_) = document_arns(
            name, partition=self.partition, region=self.region, account=self.account
        )
        return arn

    @property
    def nodes(self) -> str:
        """Return a pattern for every EC2 instance."""
        return f"arn:{self.partition}:ec2:{self.region}:{self.account}:instance/*"

    @property
    def managed_nodes(self) -> str:
        """Return a pattern for every node outside EC2."""
        return f"arn:{self.partition}:ssm:{self.region}:{self.account}:managed-instance/mi-*"

    @property
    def role_arn(self) -> str:
        """Return the ARN of the role."""
        return f"arn:{self.partition}:iam::{self.account}:role/{self.role}"

    @property
    def node(self) -> str:
        """Return the ARN of one instance."""
        return self.nodes.replace("*", "i-0123456789abcdef0")


@dataclass(frozen=True, slots=True)
class Persona:
    """A kind of principal: what it may do, in a sentence, and its statements.

    With `service_control`, the statements are those of a service control policy instead, beside
    one that allows everything.
    """

    name: str
    summary: str
    statements: Callable[[Place], list[Json]]
    documents: tuple[str, ...] = ()
    starts: bool = True
    service_control: bool = False


def _sessions(place: Place, documents: Sequence[str]) -> list[Json]:
    return [
        {
            "Sid": "StartSession",
            "Effect": "Allow",
            "Action": START,
            "Resource": [*(place.document(name) for name in documents), place.nodes],
            "Condition": CHECK_CONDITION,
        },
        # For AWS's form of session ARNs there are two readings: one of these matches.
        {
            "Sid": "OwnSessions",
            "Effect": "Allow",
            "Action": list(OWN_SESSIONS),
            "Resource": [
                f"arn:{place.partition}:ssm:*:*:session/${{aws:userid}}-*",
                f"arn:{place.partition}:ssm:*:*:session/${{aws:username}}-*",
            ],
        },
        {"Sid": "DataChannel", "Effect": "Allow", "Action": CHANNEL, "Resource": "*"},
    ]


def _starting(documents: tuple[str, ...]) -> Callable[[Place], list[Json]]:
    return lambda place: _sessions(place, (*place.documents, *documents) or documents)


def _checker(place: Place) -> list[Json]:
    principals = [
        f"arn:{place.partition}:iam::{place.account}:{kind}/*" for kind in ("user", "role")
    ]
    return [
        {"Sid": "Simulate", "Effect": "Allow", "Action": SIMULATE, "Resource": principals},
    ]


def _break_glass(place: Place) -> list[Json]:
    statements = _sessions(place, (*place.documents, *_SHELL, *_SSH, *_FORWARD))
    statements[0]["Resource"].append(place.managed_nodes)
    return statements


def _bastion_person(place: Place) -> list[Json]:
    lists = {"Sid": "Menu", "Effect": "Allow", "Action": list(_MENU), "Resource": "*"}
    simulates = {
        "Sid": "SimulateOwnPolicies",
        "Effect": "Allow",
        "Action": [SIMULATE, "iam:GetRole"],
        "Resource": place.role_arn,
    }
    return [*_starting(_SHELL)(place), lists, simulates]


def _check_scp(place: Place) -> list[Json]:
    return [
        {
            "Sid": "RequireDocumentCheck",
            "Effect": "Deny",
            "Action": START,
            "Resource": [
                f"arn:{place.partition}:{node}"
                for node in ("ec2:*:*:instance/*", "ssm:*:*:managed-instance/*", "ecs:*:*:task/*")
            ],
            # Without the key, a document of the account is named: it is checked in any case.
            "Condition": {"Bool": {CHECK_KEY: "false"}},
        }
    ]


def _auditor(_place: Place) -> list[Json]:
    actions = [
        *("iam:GetAccountAuthorizationDetails", "ssm:ListDocuments"),
        "ssm:DescribeInstanceInformation",
    ]
    return [{"Sid": "Read", "Effect": "Allow", "Action": actions, "Resource": "*"}]


_MENU = ("ssm:DescribeInstanceInformation", "ssm:ListDocuments")
_SHELL = (DEFAULT_DOCUMENT_NAME,)
_SSH = ("AWS-StartSSHSession",)
_FORWARD = ("AWS-StartPortForwardingSession",)

PERSONAS: Mapping[str, Persona] = {
    one.name: one
    for one in (
        Persona("shell-user", "start a shell with the default document", _starting(_SHELL), _SHELL),
        Persona("ssh-user", "use ssh, scp and git through sessions", _starting(_SSH), _SSH),
        Persona("port-forward", "forward ports of a node", _starting(_FORWARD), _FORWARD),
        Persona(
            "break-glass", "use shell, ssh and port forwarding on all nodes in an incident",
            _break_glass, (*_SHELL, *_SSH, *_FORWARD),
        ),
        Persona(
            "bastion-person", "start a shell from a bastion host, and use its menu",
            _bastion_person, _SHELL,
        ),
        Persona("checker", "simulate the policies of all principals", _checker, starts=False),
        Persona("auditor", "read what `policy audit` needs", _auditor, starts=False),
        Persona(
            "check-scp", "a service control policy that makes the service check documents",
            _check_scp, service_control=True,
        ),
    )
}  # fmt: skip
"""The personas by their names."""


def policy(persona: Persona, place: Place) -> Json:
    """Return the policy document.

    Raises ValueError if the evaluator does not prove it: its sessions are allowed, and neither
    another document, nor its nodes without the check, nor other sessions.
    """
    document = {"Version": "2012-10-17", "Statement": persona.statements(place)}
    text = json.dumps(document)
    if persona.service_control:
        own = parse_policy(text, kind=PolicyKind.SERVICE_CONTROL)
        all_ = parse_policy(_EVERYTHING, kind=PolicyKind.SERVICE_CONTROL)
        held = Policies((parse_policy(_EVERYTHING),), None, ((all_, own),))
        rows = _proof_of_scp(place)
    else:
        held, rows = Policies((parse_policy(text),)), _proof(persona, place)
    for request, expected in rows:
        answer = decide(request, held, Knowledge(lambda _key: True)).answer
        if answer is not expected:
            raise ValueError(f"{persona.name}: {request} is {answer.value}")
    return document


_EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
    }
)


def _proof_of_scp(place: Place) -> list[tuple[Request, Certainty]]:
    """Return what the service asks in each documented version of its behaviour.

    The key is true for a document of AWS, absent for a named one of the account, and false where
    the service does not check a document.
    """
    where = f"{place.region}:{place.account}"
    nodes = [
        place.node,
        place.managed_nodes.replace("*", "0123456789abcdef0"),
        f"arn:{place.partition}:ecs:{where}:task/c/0123456789abcdef0123456789abcdef",
    ]
    true, false = Context({CHECK_KEY: "true"}), Context({CHECK_KEY: "false"})
    yes, no = Certainty.ALLOWED, Certainty.DENIED
    rows = [
        *((START, node, true, yes) for node in nodes),
        *((START, node, Context({}), yes) for node in nodes),
        *((START, node, false, no) for node in nodes),
        (START, place.document(DEFAULT_DOCUMENT_NAME), true, yes),
        (START, place.document("AWS-StartSSHSession"), true, yes),
        ("ssm:SendCommand", place.node, Context({}), yes),
        (CHANNEL, "*", Context({}), yes),
    ]
    return [(Request(action, arn, context), answer) for action, arn, context, answer in rows]


def _proof(persona: Persona, place: Place) -> list[tuple[Request, Certainty]]:
    checked = Context({CHECK_KEY: "true", "aws:userid": "AIDA1", "aws:username": "ann"})
    unchecked = Context({CHECK_KEY: "false", "aws:userid": "AIDA1", "aws:username": "ann"})
    session = f"arn:{place.partition}:ssm:{place.region}:{place.account}:session/"
    role = f"arn:{place.partition}:iam::{place.account}:role/path/Name"

    def only(*names: str) -> Certainty:
        return Certainty.ALLOWED if persona.name in names else Certainty.DENIED

    yes = Certainty.ALLOWED if persona.starts else Certainty.DENIED
    documents = (*place.documents, *persona.documents)
    rows = [
        *((START, place.document(name), checked, yes) for name in documents),
        (START, place.node, checked, yes),
        (START, place.node, unchecked, Certainty.DENIED),
        (START, place.document("no-such-document"), checked, Certainty.DENIED),
        (START, place.document("AWS-NoSuchDocument"), checked, Certainty.DENIED),
        (CHANNEL, "*", checked, yes),
        *((action, f"{session}AIDA1-0a", checked, yes) for action in OWN_SESSIONS),
        *((action, f"{session}ann-0a", checked, yes) for action in OWN_SESSIONS),
        *((action, f"{session}eve-0a", checked, Certainty.DENIED) for action in OWN_SESSIONS),
        (START, place.managed_nodes.replace("*", "0a"), checked, only("break-glass")),
        (SIMULATE, role, checked, only("checker")),
        ("ssm:DescribeInstanceInformation", "*", checked, only("auditor", "bastion-person")),
        ("iam:GetAccountAuthorizationDetails", "*", checked, only("auditor")),
        ("iam:PassRole", role, checked, Certainty.DENIED),
        ("ssm:SendCommand", place.node, checked, Certainty.DENIED),
        ("ssm:UpdateDocument", place.document(DEFAULT_DOCUMENT_NAME), checked, Certainty.DENIED),
    ]
    if place.role:
        rows.append((SIMULATE, place.role_arn, checked, only("checker", "bastion-person")))
        rows.append(("iam:GetRole", place.role_arn, checked, only("bastion-person")))
    return [(Request(action, arn, context), answer) for action, arn, context, answer in rows]


def as_terraform(persona: Persona, document: Json) -> str:
    """Return an aws_iam_policy resource with the policy, or an aws_organizations_policy."""
    name = persona.name.replace("-", "_")
    # In Terraform's strings `${` begins an expression, and `$${` is a literal one.
    text = json.dumps(document, indent=2).replace("${", "$${")
    if persona.service_control:
        return (
            f'resource "aws_organizations_policy" "{name}" {{\n  name    = "{persona.name}"\n'
            f'  type    = "SERVICE_CONTROL_POLICY"\n  content = <<-EOT\n{text}\nEOT\n}}\n'
        )
    return (
        f'resource "aws_iam_policy" "{name}" {{\n  name   = "{persona.name}"\n'
        f"  policy = <<-EOT\n{text}\nEOT\n}}\n"
    )
