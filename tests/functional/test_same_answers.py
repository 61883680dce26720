"""Each part of ssmgate that decides decides each situation alike."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import (
    ACCOUNT,
    Answer,
    Received,
    ScriptedAws,
    credentials,
    document_tags,
    identity,
    json_error,
    json_ok,
    role,
    user,
    xml,
    xml_error,
)
from ssmgate.explain import documents, live
from ssmgate.explain.report import Verdict
from ssmgate.gate.access.authorize import authorize
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import session
from ssmgate.gate.aws.clients import open_clients
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Denial, Permit, Unknown
from ssmgate.gate.decision.question import ContextEntry
from ssmgate.login import menu
from ssmgate.policy_language import Policies, Policy, parse_policy
from ssmgate.sandbox import simulator

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
OPS = f"arn:aws:iam::{ACCOUNT}:role/Ops"
MINE = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document"
THEIRS = "arn:aws:ssm:us-east-1:444455556666:document/Dev-Shell"
AWSS = "arn:aws:ssm:us-east-1::document"
DEFAULT, DEV, OTHER, AWS_OWN = (
    "SSM-SessionManagerRunShell", "Dev-Shell", "Other-Shell", "AWS-StartInteractiveCommand",
)  # fmt: skip
ODD = "Aws-Dev-Shell"  # reserved for AWS, and not as AWS spells its own
NAMED = Config(allow_wildcard_grants=False)
ADDRESS = Config(context=(ContextEntry("aws:SourceIp", "ip", ("203.0.113.1",)),))


def allow(*resources: str, **condition: Any) -> dict[str, Any]:
    return _statement("Allow", resources, condition)


def deny(*resources: str, **condition: Any) -> dict[str, Any]:
    return _statement("Deny", resources, condition)


def _statement(
    effect: str, resources: tuple[str, ...], condition: dict[str, Any]
) -> dict[str, Any]:
    """Return a statement, without a Condition if `condition` is empty."""
    return {
        "Effect": effect,
        "Action": "ssm:StartSession",
        "Resource": list(resources),
        **({"Condition": condition} if condition else {}),
    }


def policy(name: str, *statements: dict[str, Any]) -> Policy:
    body = {"Version": "2012-10-17", "Statement": list(statements)}
    return parse_policy(json.dumps(body, indent=1), name)


@dataclass(frozen=True)
class Situation:
    """The permissions of the caller, and the `document`, None for the default document.

    `tags` are those of the document and `user_tags` those of the user or role, None where they may
    not be read. `trusted_to` are the actions in the trust policy of the role whose session the
    caller is, empty for a user.
    """

    identity: tuple[dict[str, Any], ...]
    expected: str
    document: str | None = DEV
    boundary: dict[str, Any] | None = None
    organization: dict[str, Any] | None = None
    tags: dict[str, str] | None = field(default_factory=dict)
    user_tags: dict[str, str] | None = field(default_factory=dict)
    mfa: bool = False
    trusted_to: tuple[str, ...] = ()
    config: Config = field(default_factory=Config)

    @property
    def policies(self) -> Policies:
        organization = self.organization
        return Policies(
            (policy("Team", *self.identity),),
            None if self.boundary is None else policy("Limit", self.boundary),
            () if organization is None else ((policy("Guard", organization),),),
        )


OPS_TAG = {"StringEquals": {"aws:ResourceTag/Team": "ops"}}
USER_TAG = {"StringEquals": {"aws:PrincipalTag/Team": "ops"}}
SAME_TAG = {"StringEquals": {"ssm:resourceTag/Team": "${aws:PrincipalTag/Team}"}}
WITH_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
FROM_OFFICE = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
TEAM = {"Team": "ops"}
ALL_MINE, ALL = f"{MINE}/*", "*"

SITUATIONS = {
    "granted by name": Situation((allow(f"{MINE}/{DEV}"),), "allowed"),
    "not granted": Situation((allow(f"{MINE}/{OTHER}"),), "implicit_deny"),
    "granted by a wildcard": Situation((allow(ALL_MINE),), "allowed"),
    "a wildcard, forbidden": Situation((allow(ALL_MINE),), "not_named", config=NAMED),
    "by name, wildcards forbidden": Situation(
        (allow(f"{MINE}/{DEV}"), allow(ALL_MINE)), "allowed", config=NAMED
    ),
    "by name behind a boundary, wildcards forbidden": Situation(
        (allow(f"{MINE}/{DEV}"),), "allowed", boundary=allow(f"{MINE}/{DEV}", f"{MINE}/{OTHER}"),
        config=NAMED,
    ),
    "AWS's own by a wildcard, forbidden": Situation(
        (allow(f"{AWSS}/*"), allow(f"{MINE}/{DEV}")), "not_named", AWS_OWN, config=NAMED
    ),
    "the document's tag": Situation((allow(ALL, **OPS_TAG),), "allowed", tags=TEAM),
    "the document's tag, wildcards forbidden": Situation(
        (allow(f"{MINE}/{DEV}", **OPS_TAG),), "allowed", tags=TEAM, config=NAMED
    ),
    "another tag": Situation((allow(ALL, **OPS_TAG),), "implicit_deny", tags={"Team": "dev"}),
    "tags that may not be read": Situation((allow(ALL, **OPS_TAG),), "tags_unknown", tags=None),
    "a denied tag": Situation((allow(ALL), deny(ALL, **OPS_TAG)), "allowed", tags=TEAM),
    "the user's tag": Situation((allow(ALL, **USER_TAG),), "allowed", user_tags=TEAM),
    "the user's tag, not readable": Situation(
        (allow(ALL, **USER_TAG),), "tags_unknown", user_tags=None
    ),
    "tag equals tag": Situation((allow(ALL, **SAME_TAG),), "allowed", tags=TEAM, user_tags=TEAM),
    "tag is another tag": Situation(
        (allow(ALL, **SAME_TAG),), "implicit_deny", tags={"Team": "dev"}, user_tags=TEAM
    ),
    "MFA in this process": Situation((allow(ALL, **WITH_MFA),), "allowed", mfa=True),
    "MFA, which long-term keys do not have": Situation(
        (allow(ALL, **WITH_MFA),), "implicit_deny"
    ),
    "an address, not known": Situation((allow(ALL, **FROM_OFFICE),), "live_context"),
    "an address, configured": Situation((allow(ALL, **FROM_OFFICE),), "allowed", config=ADDRESS),
    "a deny by address": Situation(
        (allow(ALL), deny(ALL, **FROM_OFFICE)), "explicit_deny", config=ADDRESS
    ),
    "a boundary": Situation((allow(ALL),), "implicit_deny", boundary=allow(f"{MINE}/{OTHER}")),
    "an organization's deny": Situation(
        (allow(f"{MINE}/{DEV}"),), "keys_not_listable", organization=deny(f"{MINE}/{DEV}")
    ),
    "an organization's deny of others": Situation(
        (allow(f"{MINE}/{OTHER}"),), "implicit_deny", organization=deny(f"{MINE}/{OTHER}")
    ),
    "an organization that allows less": Situation(
        (allow(ALL),), "implicit_deny", organization=allow(f"{MINE}/{OTHER}")
    ),
    "an organization that allows a document, wildcards forbidden": Situation(
        (allow(f"{MINE}/{DEV}"),), "grant_unknown", organization=allow(f"{MINE}/{DEV}"),
        config=NAMED,
    ),
    "an explicit deny": Situation((allow(ALL), deny(f"{MINE}/{DEV}")), "explicit_deny"),
    "the default document": Situation((allow(f"{MINE}/{DEFAULT}"),), "allowed", None),
    "the default document, not granted": Situation(
        (allow(f"{MINE}/{DEV}"),), "implicit_deny", None
    ),
    "a complete ARN": Situation((allow(f"{MINE}/{DEV}"),), "allowed", f"{MINE}/{DEV}"),
    "another account's ARN": Situation((allow(THEIRS),), "allowed", THEIRS),
    "another account's, not granted": Situation((allow(ALL_MINE),), "implicit_deny", THEIRS),
    "both of two ARNs": Situation((allow(f"{MINE}/{ODD}", f"{AWSS}/{ODD}"),), "allowed", ODD),
    "the first of two ARNs": Situation((allow(f"{AWSS}/{ODD}"),), "implicit_deny", ODD),
    "the second of two ARNs": Situation((allow(f"{MINE}/{ODD}"),), "implicit_deny", ODD),
    "two ARNs by a tag": Situation(
        (allow(f"{AWSS}/{ODD}"), allow(f"{MINE}/{ODD}", **OPS_TAG)), "allowed", ODD, tags=TEAM
    ),
}  # fmt: skip

# Every form of a policy by tags, for each kind of caller. Sessions of the first role
# cannot be tagged. Those of the second one can, as by identity providers.
CALLERS = {
    "a user": (),
    "a role": ("sts:AssumeRole",),
    "a session that may be tagged": ("sts:AssumeRoleWithSAML", "sts:TagSession"),
}
NOT_MINE = {"StringNotEquals": {"aws:PrincipalTag/Team": "ops"}}
NOT_THEIRS = {"StringNotEquals": {"ssm:resourceTag/Team": "ops"}}
NOT_SAME = {"StringNotEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}
NOT_SAME_IF = {"StringNotEqualsIfExists": {"ssm:resourceTag/Team": "${aws:PrincipalTag/Team}"}}
BY_TAGS = {
    "equal": ((allow(ALL, **SAME_TAG),), "implicit_deny", "live_context"),
    "mine": ((allow(ALL, **USER_TAG),), "implicit_deny", "live_context"),
    "unless equal": ((allow(ALL), deny(ALL, **NOT_SAME)), "explicit_deny", "live_deny"),
    "unless equal, if it exists": (
        (allow(ALL), deny(ALL, **NOT_SAME_IF)),
        "explicit_deny",
        "live_deny",
    ),
    "unless mine": ((allow(ALL), deny(ALL, **NOT_MINE)), "explicit_deny", "live_deny"),
}
DEV_TAG = {"Team": "dev"}
for _how, (_statements, _denied, _unknown) in BY_TAGS.items():
    for _who, _trust in CALLERS.items():
        _open = "sts:TagSession" in _trust
        SITUATIONS[f"{_how}: {_who}"] = Situation(
            _statements, _unknown if _open else "allowed", tags=TEAM, user_tags=TEAM,
            trusted_to=_trust,
        )  # fmt: skip
        SITUATIONS[f"{_how}, not: {_who}"] = Situation(
            _statements, _unknown if _open else _denied, tags=TEAM, user_tags=DEV_TAG,
            trusted_to=_trust,
        )  # fmt: skip
for _who, _trust in CALLERS.items():
    # The tags of the caller make no difference.
    for _name, _tags, _expected in (("", TEAM, "allowed"), (", not", DEV_TAG, "explicit_deny")):
        SITUATIONS[f"unless the document's{_name}: {_who}"] = Situation(
            (allow(ALL), deny(ALL, **NOT_THEIRS)), _expected, tags=_tags, trusted_to=_trust
        )
SITUATIONS |= {
    f"{name}: {who}": Situation((allow(ALL, StringEquals={key: "x"}),), expected, trusted_to=trust)
    for name, key, of_user, of_role in (
        ("an organization's resource", "aws:ResourceOrgID", "live_context", "live_context"),
        ("an identity provider", "aws:FederatedProvider", "implicit_deny", "live_context"),
        ("an identity provider's key", "saml:sub", "implicit_deny", "live_context"),
        ("MFA", "aws:MultiFactorAuthPresent", "implicit_deny", "live_context"),
        ("just-in-time access", "ssm:AccessRequestId", "implicit_deny", "live_context"),
        ("another service's key", "s3:prefix", "implicit_deny", "implicit_deny"),
    )
    for who, trust, expected in (("a user", (), of_user), ("a role", ("sts:AssumeRole",), of_role))
}


def rendered(value: object) -> str:
    """Return a part of an answer in XML, as IAM writes it."""
    if isinstance(value, dict):
        return "".join(f"<{name}>{rendered(one)}</{name}>" for name, one in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{rendered(one)}</member>" for one in value)
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


def simulated(layers: Policies) -> Answer:
    """Return an answer of SimulatePrincipalPolicy by the sandbox's simulator."""

    def answer(handler: BaseHTTPRequestHandler, received: Received) -> None:
        def members(of: str) -> list[str]:
            names = (f"{of}.member.{number}" for number in itertools.count(1))
            return [
                received.parameters[name]
                for name in itertools.takewhile(received.parameters.__contains__, names)
            ]

        asked: dict[str, Any] = {
            "ContextEntries": [
                {"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": values}
                for name, (kind, values) in received.context.items()
            ],
            **{
                name: members(name)
                for name in ("ActionNames", "ResourceArns", "PermissionsBoundaryPolicyInputList")
                if members(name)
            },
        }
        xml(rendered(simulator.simulate(asked, layers, {}, ACCOUNT)))(handler, received)

    return answer


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedAws]:
    with ScriptedAws() as server:
        yield server


def play(aws: ScriptedAws, situation: Situation) -> None:
    aws.received.clear()
    layers = situation.policies
    aws.script("SimulatePrincipalPolicy", simulated(layers))
    policies_in_force = [one for one in (*layers.identity, layers.boundary) if one is not None]
    keys = simulator.context_keys(policies_in_force)
    aws.script(
        "GetContextKeysForPrincipalPolicy",
        xml(f"<ContextKeyNames>{rendered(list(keys))}</ContextKeyNames>"),
    )
    not_authorized = json_error("AccessDeniedException", "not authorized")
    tags, user_tags = situation.tags, situation.user_tags
    aws.script("ListTagsForResource", not_authorized if tags is None else document_tags(**tags))
    aws.script("GetUser", not_authorized if user_tags is None else user(ALICE, **user_tags))
    aws.script("AssumeRole", credentials("ASIAOPS"))
    tagged = role(OPS, *situation.trusted_to, **(user_tags or {}))
    aws.script("GetRole", xml_error("AccessDenied", "no", 403) if user_tags is None else tagged)
    aws.script(
        "GetCallerIdentity",
        identity(OPS.replace("iam", "sts").replace("role", "assumed-role") + "/alice", "AROAX:a")
        if situation.mfa or situation.trusted_to
        else identity(ALICE),
    )
    # With company, so that an answer about several documents is read.
    names = dict.fromkeys([situation.document or DEFAULT, DEV, OTHER])
    listed = {"DocumentIdentifiers": [{"Name": name} for name in names if name != AWS_OWN]}
    own = {"DocumentIdentifiers": [{"Name": AWS_OWN}]}
    aws.script("ListDocuments", json_ok(listed), json_ok(own))
    aws.script("GetDocument", not_authorized)


@pytest.fixture(scope="module", autouse=True)
def _read_models_once() -> Iterator[None]:
    """Read the service models once: for each session anew it would take half the time."""
    from botocore.loaders import JSONFileLoader

    known: dict[str, Any] = {}
    load = JSONFileLoader.load_file

    def once(self: Any, path: str) -> Any:
        if path not in known:
            known[path] = load(self, path)
        return known[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", once)
        yield


@pytest.fixture
def _as_alice(server: ScriptedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[profile ops]\nregion = us-east-1\nsource_profile = alice\n"
        f"role_arn = {OPS}\nmfa_serial = arn:aws:iam::{ACCOUNT}:mfa/alice\n"
        "[profile alice]\nregion = us-east-1\naws_access_key_id = A\naws_secret_access_key = S\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(session.MfaPrompt, "ask", staticmethod(lambda _prompt: "123456"))


def invocation(document: str | None) -> Invocation:
    words = ["ssm", "start-session", "--target", "i-0123456789abcdef0"]
    read = parse.read([*words, *(("--document-name", document) if document else ())])
    assert isinstance(read, Invocation)
    return read


def started(situation: Situation) -> tuple[str, str, str | None]:
    """Return the decision of `start-session`."""
    line = invocation(situation.document)
    clients = open_clients(line.session, line.options, situation.config)
    decision = authorize(line, clients, situation.config).decision
    match decision:
        case Permit():
            return "allowed", "allowed", None
        case Denial():
            return "denied", decision.reason_code, decision.layer.value
        case Unknown():
            return "unknown", decision.reason_code, None


def response(answer: Any) -> tuple[str, str, str | None]:
    layer = answer.layer if answer.verdict is Verdict.DENIED else None
    return answer.verdict.value, answer.reason_code, layer


@pytest.mark.usefixtures("_as_alice")
@pytest.mark.parametrize("name", SITUATIONS)
def test_all_commands_give_same_decision(
    server: ScriptedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    situation = SITUATIONS[name]
    monkeypatch.setenv("AWS_PROFILE", "ops" if situation.mfa else "alice")
    document = situation.document or DEFAULT

    def prepared(way: str) -> Situation:
        play(server, situation)
        # Each way is a process of its own: none finds another's credentials.
        monkeypatch.setattr(session, "CACHE_DIR", str(tmp_path / way))
        return situation

    start = started(prepared("start"))
    prepared("check")
    report = live.check(invocation(situation.document), situation.config, explain=False)
    assert response(report.document) == start, "check"
    prepared("documents")
    listing = documents.list_and_simulate(invocation(None), situation.config, target=None)
    (entry,) = (entry for entry in listing.documents if entry.name == document)
    assert response(entry.answer) == start, "documents"
    prepared("menu")
    offered = menu._permitted(situation.config, menu._shells([document, DEV, OTHER, AWS_OWN]))
    assert (document in offered) == (start[0] == "allowed"), "the menu"
    assert start[1] == situation.expected


@pytest.mark.usefixtures("_as_alice")
def test_menu_simulates_documents_of_one_owner_in_one_call(
    server: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "alice")
    play(server, SITUATIONS["a wildcard, forbidden"])

    assert menu._permitted(Config(), menu._shells([DEV, OTHER, AWS_OWN])) == [DEFAULT, DEV, OTHER]
    own, awss = server.calls("SimulatePrincipalPolicy")
    # They differ in aws:ResourceAccount, and resources of one call share their context.
    assert own.parameters["ResourceArns.member.3"] == f"{MINE}/{OTHER}"
    assert "aws:ResourceAccount" in own.context
    assert awss.parameters["ResourceArns.member.1"] == f"{AWSS}/{AWS_OWN}"
    assert "aws:ResourceAccount" not in awss.context
    server.received.clear()
    assert menu._permitted(NAMED, menu._shells([DEV, OTHER, AWS_OWN])) == []
    assert len(server.calls("SimulatePrincipalPolicy")) == 3, "all the controls in one"


@pytest.mark.usefixtures("_as_alice")
def test_invalid_document_name_does_not_affect_others(
    server: ScriptedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "alice")
    play(server, SITUATIONS["granted by name"])
    odd = "Dev-Shell:1"

    assert menu._permitted(Config(), menu._shells([odd, DEV])) == [DEV]
    odd_ones = [{"Name": odd}, {}, {"Name": ""}, {"Name": 5}, {"Name": None}, None]
    names = {"DocumentIdentifiers": [*odd_ones, {"Name": DEV}]}
    server.script("ListDocuments", json_ok(names), json_ok({"DocumentIdentifiers": []}))
    listing = documents.list_and_simulate(invocation(None), Config(), target=None)
    answers = {entry.name: entry.answer.verdict for entry in listing.documents}
    assert answers == {odd: Verdict.UNKNOWN, DEV: Verdict.ALLOWED, DEFAULT: Verdict.DENIED}
