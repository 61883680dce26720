"""What came close, and what to do about it, from the caller's policies as they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ssmgate.explain.advice import Advice, advise
from ssmgate.explain.arn_mistakes import is_document
from ssmgate.explain.near_miss import (
    ActionMiss,
    ConditionMiss,
    DenyingStatement,
    Explanation,
    Failure,
    Miss,
    ResourceMiss,
    likeness,
    nearest,
)
from ssmgate.explain.report import DENY, Answer, NearMiss
from ssmgate.explain.sources import Sources
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.question import Question, is_resource_tag
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Context, EvalDecision, Evaluation, Request, evaluate

DENIES = {Reason.EXPLICIT_DENY, Reason.LIVE_DENY, Reason.TAGS_DENY}
"""Reason codes of an explicit deny, a possible one among them: an allow does nothing against it."""

MAX_SHOWN = 3
"""How many statements that came close are told."""

# Beyond this a statement is about something else: it is told only where nothing is nearer.
_FAR = 450
_SAME_WORD = 0.8
_VALUES_SHOWN = 3


def explained(answer: Answer, known: Sources) -> Answer:
    """`answer` with the statements that came close, and advice. Never with another verdict.

    Nothing is said of policies that nobody could read.
    """
    if known.unread and not known.identity and known.boundary is None:
        return answer
    for question in answer.questions:
        evaluation = evaluate(request_of(question), known.policies)
        explicit = evaluation.eval_decision is EvalDecision.EXPLICIT_DENY
        if explicit is not (answer.reason_code in DENIES):
            continue  # what decided is not among these policies
        if evaluation.eval_decision is not EvalDecision.ALLOWED:
            return with_explanation(answer, evaluation)
    return answer


def with_explanation(answer: Answer, evaluation: Evaluation) -> Answer:
    """`answer` with what `evaluation`, a denial, shows."""
    explanation = nearest(evaluation)
    return replace(
        answer,
        nearest=tuple(near_misses(explanation)),
        advice=tuple(sentence(one) for one in advise(evaluation, explanation)),
    )


def request_of(question: Question, now: datetime | None = None) -> Request:
    """`question` as the local evaluator takes it, with the keys that IAM fills in."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    source = question.policy_source_arn
    filled: dict[str, str | Sequence[str]] = {
        "aws:PrincipalAccount": account_of(source),
        "aws:CurrentTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(int(moment.timestamp())),
    }
    if ":user/" in source:
        filled["aws:username"] = source.rpartition("/")[2]
    given = {
        entry.key_name: entry.values if entry.key_type.endswith("List") else entry.values[0]
        for entry in question.context
        if entry.values
    }
    names = {entry.key_name.lower() for entry in question.context}
    context = {key: value for key, value in filled.items() if key.lower() not in names} | given
    return Request(question.action, question.resource_arn, Context(context))


def undecided(evaluation: Evaluation, question: Question) -> tuple[str, ...]:
    """The condition keys on whose absence a denial hangs: with them it might be a yes.

    Empty where something else is in the way. Not waited for are the tags of a document, and the
    keys that `question` has without a value: those are known to be absent.
    """
    known = {entry.key_name.lower() for entry in question.context}
    document = is_document(question.resource_arn)

    def waits(key: str) -> bool:
        return key.lower() not in known and not (document and is_resource_tag(key))

    explanation = nearest(evaluation)
    if explanation.denials:
        hanging = [_absent_of_denial(denial, waits) for denial in explanation.denials]
        return tuple(dict.fromkeys(key for keys in hanging for key in keys)) * all(hanging)
    found: dict[str, None] = {}
    for layer in evaluation.layers:
        if layer.allows:
            continue
        ids = {id(match) for match in layer.statements}
        here = [m for m in explanation.misses if id(m.match) in ids]
        keys = [key for miss in here for key in _absent_of_miss(miss, waits)]
        if not keys:
            return ()
        found |= dict.fromkeys(keys)
    return tuple(found)


def _absent_of_denial(denial: DenyingStatement, waits: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(
        c.condition.key
        for c in denial.conditions
        if c.values is None and c.condition.operator.base != "Null" and waits(c.condition.key)
    )


def _absent_of_miss(miss: Miss, waits: Callable[[str], bool]) -> tuple[str, ...]:
    """The absent keys, if they are all that fails."""
    keys = [f.key for f in miss.failures if isinstance(f, ConditionMiss) and f.values is None]
    return tuple(keys) if len(keys) == len(miss.failures) and all(map(waits, keys)) else ()


def near_misses(explanation: Explanation) -> Iterable[NearMiss]:
    """The nearest statements, each with the parts that failed; denying ones come first."""
    for denial in explanation.denials[:MAX_SHOWN]:
        yield NearMiss(
            denial.place.source_policy_id,
            denial.place.sid,
            denial.place.line,
            DENY,
            _why_denied(denial),
        )
    about = [miss for miss in explanation.misses if _is_about(miss)]
    near = [miss for miss in about if miss.distance < _FAR]
    for miss in (near or about[:1])[:MAX_SHOWN]:
        yield NearMiss(
            miss.place.source_policy_id,
            miss.place.sid,
            miss.place.line,
            " and ".join(dict.fromkeys(_part(failure) for failure in miss.failures)),
            "; ".join(_why(failure) for failure in miss.failures),
        )


def sentence(advice: Advice) -> str:
    """What is wrong and what to write, in one line of text."""
    return f"{advice.what}; {advice.fix}"


def _is_about(miss: Miss) -> bool:
    """Whether the statement is about the action at all, be it misspelt or excepted."""
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
            if failure.element == "NotAction":
                return f"it lists {failure.closest}, the request's is {failure.request}"
            return f"the closest is {failure.closest}, the request's is {failure.request}"
        case ResourceMiss():
            if failure.difference is not None:
                difference = failure.difference
                return (
                    f"the closest is {failure.closest}; its {difference.part.value} is"
                    f" {difference.policy or 'empty'}, the request's is"
                    f" {difference.request or 'empty'}"
                )
            if failure.closest is None or failure.unresolved:
                return f"a variable in {failure.closest or 'it'} has no value"
            return f"it lists {failure.closest}"
    return _why_condition(failure)


def _why_condition(failure: ConditionMiss) -> str:
    wanted = _some(failure.wanted)
    has = (
        "the request lacks the key"
        if failure.values is None
        else f"the request has {_some(failure.values)}"
    )
    return f"{failure.operator} {failure.key} wants {wanted}, {has}"


def _why_denied(denial: DenyingStatement) -> str:
    action = denial.action or "whatever NotAction does not list"
    resource = denial.resource or "whatever NotResource does not list"
    conditions = "".join(
        f", as {c.condition.operator} {c.condition.key} wants {_some(c.condition.values)} and"
        f" {'the request lacks the key' if c.values is None else f'it is {_some(c.values)}'}"
        for c in denial.conditions
    )
    return f"denies {action} on {resource}{conditions}"


def _some(values: Sequence[str]) -> str:
    shown = ", ".join(values[:_VALUES_SHOWN])
    more = len(values) - _VALUES_SHOWN
    return f"{shown} or {more} more" if more > 0 else shown
