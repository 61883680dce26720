"""StartSession, ResumeSession and TerminateSession: the three models, then errors of AWS."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ssmgate.policy_language import Policies, PolicyKind, parse_policy
from ssmgate.policy_tools.personas import PERSONAS, Place, policy
from ssmgate.sandbox.enforcement import Caller
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.preferences import Preferences
from ssmgate.sandbox.session import ChannelDenied, Session
from ssmgate.sandbox.session_list import describe
from ssmgate.sandbox.sessions import Model, Node, Region, SessionDocument, Sessions

ACCOUNT = "111122223333"
DEFAULT = "SSM-SessionManagerRunShell"
SSH = "AWS-StartSSHSession"
NODES = "arn:aws:ec2:us-east-1:111122223333:instance/*"
DEFAULT_ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/{DEFAULT}"
SSH_ARN = f"arn:aws:ssm:us-east-1::document/{SSH}"
NODE = "i-0123456789abcdef0"

FLEET = {
    NODE: Node(NODE, {"Env": "dev"}, online=True),
    "i-0ff": Node("i-0ff", {}, online=False),
}
LIBRARY = {
    DEFAULT: SessionDocument(DEFAULT, "Session", ACCOUNT, {}),
    SSH: SessionDocument(SSH, "Session", "Amazon", {}),
    "AWS-RunShellScript": SessionDocument("AWS-RunShellScript", "Command", "Amazon", {}),
    "Tagged": SessionDocument("Tagged", "Session", ACCOUNT, {"Env": "dev"}),
}
REGION = Region("aws", "us-east-1", ACCOUNT, FLEET.get, LIBRARY.get)
CONDITION = {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}


def caller(*statements: dict[str, Any]) -> Caller:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    arn = f"arn:aws:iam::{ACCOUNT}:user/alice"
    layers = Policies((parse_policy(text, "p"),))
    return Caller("alice", arn, "AIDA", layers, {"aws:username": "alice", "aws:userid": "AIDA"})


def allow(*resources: str, action: str = "ssm:StartSession", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": list(resources), **more}


def sessions(model: Model = Model.Y2023) -> Sessions:
    return Sessions(model, "127.0.0.1:1")


def start(who: Caller | None, model: Model = Model.Y2023, target: str = NODE, **more: str) -> str:
    """Return `yes`, or the error's code and the end of the denied resource."""
    try:
        sessions(model).start({"Target": target, **more}, who, REGION, {})
    except ServiceFault as fault:
        refused = fault.message.partition("on resource: ")[2].partition(" ")[0]
        return f"{fault.code} {refused.rpartition('/')[2]}".strip()
    return "yes"


def restricted(*statements: dict[str, Any]) -> Caller:
    """Return the caller in an account with the policy of `ssmgate policy print check-scp`."""
    place = Place("aws", "us-east-1", ACCOUNT)
    full = {"Version": "2012-10-17", "Statement": [allow("*", action="*")]}
    level = tuple(
        parse_policy(json.dumps(one), str(number), PolicyKind.SERVICE_CONTROL)
        for number, one in enumerate((full, policy(PERSONAS["check-scp"], place)))
    )
    who = caller(*statements)
    layers = dataclasses.replace(who.layers, service_control=(level,))
    return dataclasses.replace(who, layers=layers)


def listed(open_sessions: Sessions, state: str) -> list[Any]:
    answer = describe(open_sessions.opened.values(), {"State": state}, ACCOUNT, "us-east-1")
    found = answer["Sessions"]
    assert isinstance(found, list)
    return found


DENIED_NODE = f"AccessDeniedException {NODE}"
DENIED_DEFAULT = f"AccessDeniedException {DEFAULT}"
NODES_ONLY = [allow(NODES)]
BOTH = [allow(NODES, DEFAULT_ARN)]
CHECKED = [allow(NODES, DEFAULT_ARN, Condition=CONDITION)]
CHECKED_NODES = [allow(NODES, Condition=CONDITION)]


@pytest.mark.parametrize(
    ("statements", "named", "y2021", "y2023", "y2025"),
    [
        pytest.param(NODES_ONLY, False, "yes", "yes", DENIED_DEFAULT, id="nodes only"),
        pytest.param(NODES_ONLY, True, "yes", DENIED_DEFAULT, DENIED_DEFAULT, id="and named"),
        pytest.param(BOTH, False, "yes", "yes", "yes", id="nodes and default"),
        pytest.param(BOTH, True, "yes", "yes", "yes", id="nodes and default, named"),
        pytest.param(CHECKED, False, DENIED_NODE, DENIED_NODE, "yes", id="under the condition"),
        pytest.param(CHECKED, True, "yes", "yes", "yes", id="under the condition, named"),
        pytest.param(
            CHECKED_NODES, True, "yes", DENIED_DEFAULT, DENIED_DEFAULT,
            id="nodes under the condition, named",
        ),
        pytest.param(
            [*CHECKED_NODES, *NODES_ONLY], False, "yes", "yes", DENIED_DEFAULT,
            id="a second statement without the condition lets through",
        ),
        pytest.param(
            [allow(DEFAULT_ARN)], False, DENIED_NODE, DENIED_NODE, DENIED_NODE,
            id="the document without the node",
        ),
    ],
)  # fmt: skip
def test_default_document_in_each_model(
    statements: list[Any], named: bool, y2021: str, y2023: str, y2025: str
) -> None:
    name = {"DocumentName": DEFAULT} if named else {}
    answers = [start(caller(*statements), model, **name) for model in Model]
    assert answers == [y2021, y2023, y2025]


TAGGED_ARN = f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Tagged"
DENIED_TAGGED, DENIED_SSH = "AccessDeniedException Tagged", f"AccessDeniedException {SSH}"


@pytest.mark.parametrize(
    ("statements", "name", "y2021", "y2023", "y2025"),
    [
        # Without the service control policy the first two start in 2021 and 2023.
        pytest.param(NODES_ONLY, None, DENIED_NODE, DENIED_NODE, DENIED_DEFAULT, id="nodes only"),
        pytest.param(BOTH, None, DENIED_NODE, DENIED_NODE, "yes", id="not named"),
        pytest.param(BOTH, DEFAULT, "yes", "yes", "yes", id="named"),
        # In 2021 the default document is never authorized.
        pytest.param(NODES_ONLY, DEFAULT, "yes", DENIED_DEFAULT, DENIED_DEFAULT, id="default"),
        pytest.param(NODES_ONLY, SSH, *[DENIED_SSH] * 3, id="a document of AWS"),
        pytest.param(NODES_ONLY, "Tagged", *[DENIED_TAGGED] * 3, id="a custom document"),
        pytest.param([allow(NODES, SSH_ARN)], SSH, *["yes"] * 3, id="granted, of AWS"),
        pytest.param([allow(NODES, TAGGED_ARN)], "Tagged", *["yes"] * 3, id="granted, custom"),
    ],
)
def test_service_control_policy_requires_check_in_each_model(
    statements: list[Any], name: str | None, y2021: str, y2023: str, y2025: str
) -> None:
    named = {} if name is None else {"DocumentName": name}
    answers = [start(restricted(*statements), model, **named) for model in Model]
    assert answers == [y2021, y2023, y2025]


@pytest.mark.parametrize("model", Model)
def test_named_custom_document_is_always_checked(model: Model) -> None:
    assert start(caller(*BOTH), model, DocumentName=SSH) == f"AccessDeniedException {SSH}"
    assert start(caller(allow(NODES, SSH_ARN)), model, DocumentName=SSH) == "yes"


@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize(
    ("name", "with_bool"),
    [
        pytest.param("Tagged", f"AccessDeniedException {NODE}", id="custom"),
        pytest.param(
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/Tagged",
            f"AccessDeniedException {NODE}",
            id="custom, by ARN",
        ),
        pytest.param(DEFAULT, "yes", id="default"),
        pytest.param(SSH, "yes", id="AWS's own"),
        pytest.param(SSH_ARN, "yes", id="AWS's own, by ARN"),
    ],
)
def test_access_check_key_is_absent_for_target_of_custom_document(
    model: Model, name: str, with_bool: str
) -> None:
    documents = allow("arn:aws:ssm:*:*:document/*")
    key = {"ssm:SessionDocumentAccessCheck": "true"}
    strict = caller(documents, allow(NODES, Condition={"Bool": key}))
    lenient = caller(documents, allow(NODES, Condition={"BoolIfExists": key}))

    assert start(strict, model, DocumentName=name) == with_bool
    assert start(lenient, model, DocumentName=name) == "yes"


def test_node_tags_do_not_apply_to_documents() -> None:
    by_tag = caller(
        allow("*", Condition={"StringEquals": {"ssm:resourceTag/Env": "dev"}}),
    )
    assert start(by_tag) == "yes"
    assert start(by_tag, DocumentName=SSH) == f"AccessDeniedException {SSH}"
    assert start(by_tag, DocumentName="Tagged") == "yes"


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"Target": "i-0ff"}, "TargetNotConnected", "i-0ff is not connected."),
        ({"Target": "i-0aa"}, "TargetNotConnected", "i-0aa is not connected."),
        ({"Target": "bastion"}, "TargetNotConnected", "bastion is not connected."),
        (
            {"Target": NODE, "DocumentName": "None-Such"},
            "InvalidDocument",
            "Document with name None-Such does not exist.",
        ),
        (
            {"Target": NODE, "DocumentName": f"arn:aws:ssm:us-east-1:{ACCOUNT}:document/{SSH}"},
            "InvalidDocument",
            f"Document with name arn:aws:ssm:us-east-1:{ACCOUNT}:document/{SSH} does not exist.",
        ),
        (
            {"Target": NODE, "DocumentName": "AWS-RunShellScript"},
            "InvalidDocument",
            "Document type: 'Command' is not supported. Only type: 'Session' is supported for"
            " Session Manager.",
        ),
        ({"Target": ""}, "ValidationException", "at 'target' failed"),
        ({"Target": NODE, "DocumentName": "a b"}, "ValidationException", "at 'documentName'"),
        ({"Target": NODE, "DocumentName": f"{DEFAULT}\n"}, "ValidationException", "documentName"),
    ],
)
def test_returns_errors_of_aws(members: dict[str, str], code: str, message: str) -> None:
    with pytest.raises(ServiceFault, match=message.partition("'")[0]) as raised:
        sessions().start(members, None, REGION, {})
    assert raised.value.code == code
    assert message in raised.value.message


def test_unnamed_default_document_need_not_exist() -> None:
    empty = Region("aws", "us-east-1", ACCOUNT, FLEET.get, lambda name: None)
    assert sessions().start({"Target": NODE}, None, empty, {})["SessionId"].startswith("root-")
    with pytest.raises(ServiceFault, match=f"{DEFAULT} does not exist"):
        sessions().start({"Target": NODE, "DocumentName": DEFAULT}, None, empty, {})


def test_denied_caller_does_not_learn_whether_document_exists() -> None:
    assert start(caller(*BOTH), target="i-0aa", DocumentName="None-Such") == (
        "AccessDeniedException None-Such"
    )


def test_own_session_can_be_terminated_once() -> None:
    own = "arn:aws:ssm:*:*:session/${aws:username}-*"
    who = caller(allow(NODES), allow(own, action="ssm:TerminateSession"))
    open_sessions = sessions()
    answer = open_sessions.start({"Target": NODE, "Reason": "r"}, who, REGION, {})
    session_id = answer["SessionId"]
    assert answer["StreamUrl"].startswith(f"ws://127.0.0.1:1/v1/data-channel/{session_id}")
    (shown,) = listed(open_sessions, "Active")
    assert (shown["SessionId"], shown["Reason"]) == (session_id, "r")

    asked = {"SessionId": session_id}
    assert open_sessions.terminate(asked, who, REGION, {}) == asked
    assert listed(open_sessions, "Active") == []
    assert [s["Status"] for s in listed(open_sessions, "History")] == ["Terminated"]
    with pytest.raises(ServiceFault, match="is not active") as raised:
        open_sessions.terminate(asked, who, REGION, {})
    assert raised.value.code == "ValidationException"


def test_session_tags_allow_termination_as_documented() -> None:
    tag = {"StringLike": {"ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}"}}
    who = caller(allow(NODES), allow("*", action="ssm:TerminateSession", Condition=tag))
    open_sessions = sessions()
    mine = open_sessions.start({"Target": NODE}, who, REGION, {})["SessionId"]
    others = open_sessions.start({"Target": NODE}, None, REGION, {})["SessionId"]
    open_sessions.terminate({"SessionId": mine}, who, REGION, {})
    with pytest.raises(ServiceFault, match="not authorized to perform: ssm:TerminateSession"):
        open_sessions.terminate({"SessionId": others}, who, REGION, {})


@pytest.mark.parametrize("action", ["ResumeSession", "TerminateSession"])
@pytest.mark.parametrize(
    ("resource", "session_id", "allowed"),
    [
        ("session/${aws:username}-*", "alice-0a1", True),
        ("session/${aws:username}-*", "bob-0a1", False),
        # A session ID begins with the user name, and for a role session with its session name.
        ("session/${aws:userid}-*", "alice-0a1", False),
        ("session/${aws:userid}-*", "AIDA-0a1", True),
        ("session/*", "bob-0a1", True),
        ("document/*", "alice-0a1", False),
    ],
)
def test_own_sessions_are_authorized_by_arn(
    action: str, resource: str, session_id: str, allowed: bool
) -> None:
    """The ARN is authorized whether or not there is such a session."""
    who = caller(allow(f"arn:aws:ssm:*:*:{resource}", action=f"ssm:{action}"))
    method = sessions().resume if action == "ResumeSession" else sessions().terminate
    with pytest.raises(ServiceFault) as raised:
        method({"SessionId": session_id}, who, REGION, {})
    missing = {"ResumeSession": "DoesNotExistException", "TerminateSession": "ValidationException"}
    assert raised.value.code == (missing[action] if allowed else "AccessDeniedException")


def test_resuming_replaces_token_of_open_session() -> None:
    tag = {"StringLike": {"ssm:resourceTag/aws:ssmmessages:session-id": "${aws:userid}"}}
    who = caller(
        allow(NODES),
        allow("*", action="ssm:ResumeSession", Condition=tag),
        allow("*", action="ssm:TerminateSession"),
    )
    open_sessions = sessions()
    first = open_sessions.start({"Target": NODE}, who, REGION, {})
    session_id = first["SessionId"]
    open_sessions.join(session_id, first["TokenValue"])
    open_sessions.lose(session_id)
    assert [s["Status"] for s in listed(open_sessions, "Active")] == ["Disconnected"]

    second = open_sessions.resume({"SessionId": session_id}, who, REGION, {})
    assert second["SessionId"] == session_id
    assert second["StreamUrl"] == first["StreamUrl"]
    with pytest.raises(ChannelDenied, match="the token is not this session's"):
        open_sessions.join(session_id, first["TokenValue"])
    open_sessions.join(session_id, second["TokenValue"])
    assert [s["Status"] for s in listed(open_sessions, "Active")] == ["Connected"]

    open_sessions.terminate({"SessionId": session_id}, who, REGION, {})
    with pytest.raises(ServiceFault, match="does not exist"):
        open_sessions.resume({"SessionId": session_id}, None, REGION, {})


def test_session_belongs_to_account_and_region() -> None:
    open_sessions = sessions()
    members = {"SessionId": open_sessions.start({"Target": NODE}, None, REGION, {})["SessionId"]}
    for other in (
        dataclasses.replace(REGION, account="444455556666"),
        dataclasses.replace(REGION, name="eu-west-1"),
    ):
        with pytest.raises(ServiceFault, match="does not exist"):
            open_sessions.resume(members, None, other, {})
        with pytest.raises(ServiceFault, match="is not active"):
            open_sessions.terminate(members, None, other, {})
    open_sessions.terminate(members, None, REGION, {})


def test_keeps_last_500_ended_sessions() -> None:
    open_sessions = sessions()
    first = open_sessions.start({"Target": NODE}, None, REGION, {})["SessionId"]
    for _ in range(600):
        open_sessions.leave(open_sessions.start({"Target": NODE}, None, REGION, {})["SessionId"])
    assert first in open_sessions.opened
    assert len(open_sessions.opened) == 502


PREFERENCES = {
    "idleSessionTimeout": "5",
    "maxSessionDuration": "60",
    "runAsEnabled": True,
    "runAsDefaultUser": "operator",
    "s3BucketName": "logs",
    "s3KeyPrefix": "prefix",
    "cloudWatchLogGroupName": "group",
    "kmsKeyId": "",
}


def started_with(
    inputs: dict[str, Any] | None, name: str | None = None, default: dict[str, Any] | None = None
) -> Session:
    """Return a session of the document `name` with `inputs`; `default` are the region's."""
    documents = {
        DEFAULT: SessionDocument(DEFAULT, "Session", ACCOUNT, {}, document(default)),
        "Own": SessionDocument("Own", "Session", ACCOUNT, {}, document(inputs)),
    }
    region = Region("aws", "us-east-1", ACCOUNT, FLEET.get, documents.get)
    open_sessions = sessions()
    named = {} if name is None else {"DocumentName": name}
    members = {"Target": NODE, "Parameters": {"minutes": ["7"]}, **named}
    return open_sessions.opened[open_sessions.start(members, None, region, {})["SessionId"]]


def document(inputs: dict[str, Any] | None) -> str:
    content: dict[str, Any] = {"schemaVersion": "1.0", "sessionType": "Standard_Stream"}
    return json.dumps(content if inputs is None else {**content, "inputs": inputs})


def test_preferences_are_those_of_document() -> None:
    whole = Preferences(5, "60", True, "operator", "logs", "prefix", "group")
    assert started_with(None, default=PREFERENCES).preferences == whole
    assert started_with(PREFERENCES, "Own").preferences == whole
    own = started_with({"idleSessionTimeout": "{{ minutes }}"}, "Own", default=PREFERENCES)
    assert own.preferences == Preferences(7)


def test_document_without_inputs_has_preferences_of_region() -> None:
    assert started_with(None, "Own", default=PREFERENCES).preferences.idle_minutes == 5
    assert started_with(None, "Own").preferences == Preferences(20)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"idleSessionTimeout": "0"}, "idleSessionTimeout of Own is '0', not a number of minutes"),
        ({"idleSessionTimeout": "61"}, "from 1 to 60"),
        ({"idleSessionTimeout": "{{ other }}"}, "idleSessionTimeout of Own"),
        ({"maxSessionDuration": "1441"}, "from 1 to 1440"),
        ({"kmsKeyId": "alias/sessions"}, "KMS key .* is not supported by the sandbox"),
    ],
)
def test_refuses_invalid_preferences(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceFault, match=message) as raised:
        started_with(inputs, "Own")
    assert raised.value.code == "ValidationException"
