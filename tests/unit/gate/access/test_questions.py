"""The one place that builds questions: what they are about, and what they say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.question import Caller, ContextEntry, Question

ACCOUNT = "111122223333"
ALICE = f"arn:aws-cn:iam::{ACCOUNT}:user/alice"
CALLER = Caller(ACCOUNT, ALICE, ALICE, "AIDA", "User", "aws-cn")
TEAM = ContextEntry("aws:PrincipalTag/Team", "string", ("ops",))
BUILDER = QuestionBuilder(CALLER, "aws-cn", "cn-north-1", True, True, (TEAM,))


def about(arn: str, **known: Any) -> Question:
    return Question.about(
        CALLER,
        arn,
        region="cn-north-1",
        secure_transport=True,
        mfa_done=True,
        configured=(TEAM,),
        **known,
    )


def document(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws-cn:ssm:cn-north-1:{account}:document/{name}"


@pytest.mark.parametrize(
    ("name", "arns"),
    [
        (None, [document("SSM-SessionManagerRunShell")]),
        ("Dev-Shell", [document("Dev-Shell")]),
        ("AWS-StartSSHSession", [document("AWS-StartSSHSession", "")]),
        ("aws-x", [document("aws-x", ""), document("aws-x")]),
        (document("Shell", "999999999999"), [document("Shell", "999999999999")]),
    ],
)
def test_builds_question_for_each_document_that_name_may_mean(
    name: str | None, arns: list[str]
) -> None:
    assert BUILDER.documents(name) == tuple(about(arn) for arn in arns)


def test_rejects_invalid_document_name() -> None:
    with pytest.raises(InvalidRequest):
        BUILDER.documents("a b")


@pytest.mark.parametrize("check", [True, False])
def test_builds_question_about_target_unless_it_is_unsupported(check: bool) -> None:
    node = f"arn:aws-cn:ec2:cn-north-1:{ACCOUNT}:instance/i-1"

    assert BUILDER.target("i-1", document_access_check=check) == about(
        node, document_access_check=check
    )
    assert BUILDER.target("i-1") == about(node, document_access_check=True)
    assert BUILDER.target("rdp:i-1") is None


def test_question_about_data_channel_has_no_resource() -> None:
    assert BUILDER.data_channel() == about(
        "*", action="ssmmessages:OpenDataChannel", document_access_check=None
    )


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(("token", "kind"), [(None, "long-term"), ("t", "")])
def test_live_questions_describe_session_to_start(
    secure: bool, done: bool, token: str | None, kind: str
) -> None:
    invocation: Any = SimpleNamespace(mfa=SimpleNamespace(done=done))
    clients: Any = SimpleNamespace(
        partition="aws-cn",
        region="cn-north-1",
        secure_transport=secure,
        credentials=SimpleNamespace(session_token=token),
    )

    builder = QuestionBuilder.live(CALLER, invocation, clients, Config(context=(TEAM,)))

    assert builder == QuestionBuilder(CALLER, "aws-cn", "cn-north-1", secure, done, (TEAM,), kind)
    (question,) = builder.documents("Dev-Shell")
    assert question.credentials == kind
    values = {entry.key_name: entry.values for entry in question.context}
    assert values["aws:SecureTransport"] == ("true" if secure else "false",)
    assert values.get("aws:MultiFactorAuthPresent") == (("true",) if done else None)


def test_questions_have_no_configured_keys_by_default() -> None:
    builder = QuestionBuilder(CALLER, "aws-cn", "cn-north-1", True, False)

    assert not builder.data_channel().gives(TEAM.key_name)
