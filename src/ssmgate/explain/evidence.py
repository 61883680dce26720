"""Explain a denial from the caller's policies: the statements that came close, and advice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ssmgate.explain.near_miss import (
    ActionMiss,
    DenyingStatement,
    Explanation,
    Failure,
    Miss,
    ResourceMiss,
    likeness,
    nearest,
    some,
)
from ssmgate.explain.report import DENY, Answer, NearMiss
from ssmgate.explain.sources import Sources, place
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Context, EvalDecision, Evaluation, Request, evaluate

if TYPE_CHECKING:
    from ssmgate.explain.advice import Advice

DENIES = {
    Reason.EXPLICIT_DENY,
    Reason.KEYS_NOT_LISTABLE,
    Reason.LIVE_DENY,
    Reason.TAGS_DENY,
}
"""Reason codes of an explicit deny, including possible ones: no allow can override it."""

MAX_SHOWN = 3
"""How many statements that came close are shown."""

# A statement farther away is about something else: it is shown only if none is nearer.
_FAR = 450
_SAME_WORD = 0.8


def explained(answer: Answer, known: Sources) -> Answer:
    """Return `answer` with the statements that came close, and advice. The verdict is unchanged.

    `answer` is returned unchanged if no policies could be read.
    """
    if known.unread and not known.identity and known.boundary is None:
        return answer
    for question in answer.questions:
        evaluation = evaluate(request_of(question), known.policies)
        explicit = evaluation.eval_decision is EvalDecision.EXPLICIT_DENY
        if explicit is not (answer.reason_code in DENIES):
            continue  # the policy that decided is not among these
        if evaluation.eval_decision is not EvalDecision.ALLOWED:
            return with_explanation(answer, evaluation)
    return answer


def with_explanation(answer: Answer, evaluation: Evaluation) -> Answer:
    """Return `answer` with the near misses and the advice from `evaluation`, a denial."""
    # Imported only here, as a denied start shows the nearest statement alone.
    from ssmgate.explain.advice import advise

    explanation = nearest(evaluation)
    return replace(
        answer,
        nearest=tuple(near_misses(explanation)),
        advice=tuple(sentence(advice) for advice in advise(evaluation, explanation)),
    )


def request_of(question: Question, now: datetime | None = None) -> Request:
    """Return `question` for the local evaluator, with the context keys that IAM itself adds.

    `now` has a time zone; None is the current time.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    source = question.policy_source_arn
    supplied: dict[str, str | Sequence[str]] = {
        "aws:PrincipalAccount": account_of(source),
        "aws:CurrentTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(moment.timestamp())),
    }
    if ":user/" in source:
        supplied["aws:username"] = source.rpartition("/")[2]
    entries = {
        entry.key_name: entry.values if entry.key_type.endswith("List") else entry.values[0]
        for entry in question.context
        if entry.values
    }
    names = {entry.key_name.lower() for entry in question.context}
    context = {key: value for key, value in supplied.items() if key.lower() not in names} | entries
    return Request(question.action, question.resource_arn, Context(context))


def near_misses(explanation: Explanation) -> Iterable[NearMiss]:
    """Yield the nearest statements with the parts that failed; denying ones come first."""
    for denial in explanation.denials[:MAX_SHOWN]:
        yield NearMiss(
            denial.place.source_policy_id,
            denial.place.sid,
            denial.place.line,
            DENY,
            _why_denied(denial),
        )
    for miss in nearest_misses(explanation):
        yield NearMiss(
            miss.place.source_policy_id,
            miss.place.sid,
            miss.place.line,
            " and ".join(dict.fromkeys(_part(failure) for failure in miss.failures)),
            "; ".join(_why(failure) for failure in miss.failures),
        )


def nearest_misses(explanation: Explanation) -> Sequence[Miss]:
    """Return the statements that came close enough to be shown, the nearest first."""
    about = [miss for miss in explanation.misses if _is_about(miss)]
    near = [miss for miss in about if miss.distance < _FAR]
    return (near or about[:1])[:MAX_SHOWN]


def sentence(advice: Advice) -> str:
    """Return what is wrong and what to do, as one line of text.

    A statement to write instead follows on a second line, as JSON.
    """
    text = f"{advice.what}; {advice.fix}" if advice.fix else advice.what
    text = text.replace("\n", "\\n")  # a value in a policy may have one
    if advice.statement is None:
        return text
    return f"{text}; write instead:\n{json.dumps(advice.statement)}"


def placed(advice: Advice) -> str:
    """Return `sentence(advice)` after the location of its statement."""
    where = advice.place
    if where is None:
        return sentence(advice)
    found = place(where.source_policy_id, where.sid, where.line).replace("\n", "\\n")
    return f"{found}: {sentence(advice)}"


def _is_about(miss: Miss) -> bool:
    """Return whether the statement is about the action, including misspelt and excepted ones."""
    return not any(
        isinstance(f, ActionMiss)
        and f.element == "Action"
        and likeness(f.closest, f.request) < _SAME_WORD
        for f in miss.failures
    )


def _part(failure: Failure) -> str:
    match failure:
        case ActionMiss():
            return failure.element
        case ResourceMiss():
            return failure.element
    return "Condition"


def _why(failure: Failure) -> str:
    match failure:
        case ActionMiss():
            return failure.sentence
        case ResourceMiss():
            if failure.difference is not None:
                difference = failure.difference
                return (
                    f"the closest ARN is {failure.closest}; its {difference.part.value} is"
                    f" {difference.policy or 'empty'}, and the request's is"
                    f" {difference.request or 'empty'}"
                )
            if failure.closest is None or failure.unresolved:
                return f"a variable in {failure.closest or 'it'} has no value"
            return f"the statement excludes {failure.closest}"
    return failure.sentence


def _why_denied(denial: DenyingStatement) -> str:
    action = denial.action or "each action that NotAction does not list"
    resource = denial.resource or "each resource that NotResource does not list"
    conditions = "".join(
        f", as {c.condition.operator} {c.condition.key} matches {some(c.condition.values)} and"
        f" {'the request lacks the key' if c.values is None else f'it is {some(c.values)}'}"
        for c in denial.conditions
    )
    return f"denies {action} on {resource}{conditions}"
