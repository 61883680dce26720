"""Check whether the caller may open a session's data channel, in both forms that AWS documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ssmgate.explain.report import Answer, Verdict
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason


def questions(builder: QuestionBuilder, user_id: str) -> tuple[Question, Question]:
    """Return the question about `*`, and the one about a session of the caller, `user_id`.

    The Service Authorization Reference lists no resource for ssmmessages:OpenDataChannel, so that
    only `*` would match. AWS's quickstart policies grant it on session ARNs.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonmessagegatewayservice.html
    https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-restrict-access-quickstart.html
    """
    question = builder.data_channel()
    place = f"{builder.partition}:ssm:{builder.region}:{builder.caller.account}"
    arn = f"arn:{place}:session/{user_id}-0123456789abcdef0"
    return question, replace(question, resource_arn=arn)


def combined(
    asked: Sequence[Question],
    answer_to: Callable[[Question], Answer],
    placeable: Callable[[Question], bool] = lambda _question: True,
) -> Answer:
    """Return one answer about both of `asked`, the result of `questions`.

    What `*` is granted covers every session, unless that is denied explicitly. Where only the
    session is granted, AWS's pages contradict each other, and the answer is unknown. `placeable`
    returns whether IAM can allow a question at all: its simulation does not allow an action on a
    type of resource that is not listed for it.
    """
    everything, session = (answer_to(question) for question in asked)
    if everything.verdict is Verdict.ALLOWED:
        if session.reason_code != Reason.EXPLICIT_DENY:
            return everything
    elif session.verdict is Verdict.ALLOWED:
        pass
    elif Verdict.UNKNOWN in (everything.verdict, session.verdict):
        return everything if everything.verdict is Verdict.UNKNOWN else session
    elif session.reason_code == Reason.EXPLICIT_DENY or placeable(asked[1]):
        return everything
    else:
        return _unknown(
            everything,
            "it is not allowed on *, and IAM's simulation does not evaluate it on a session",
        )
    only = "*" if everything.verdict is Verdict.ALLOWED else asked[1].resource_arn
    return _unknown(everything, f"it is allowed on {only} only")


def _unknown(answer: Answer, why: str) -> Answer:
    return replace(
        answer,
        verdict=Verdict.UNKNOWN,
        reason_code=Reason.DOCUMENTATION_DIFFERS,
        reason=f"{why}; AWS's Service Authorization Reference lists no resource for"
        " ssmmessages:OpenDataChannel, but AWS's quickstart policies grant it on"
        " session/${aws:userid}-*",
        layer=None,
        statements=(),
        nearest=(),
        advice=(),
    )
