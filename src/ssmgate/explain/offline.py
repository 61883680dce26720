"""A check of policies from files: by the local evaluator alone, or by iam:SimulateCustomPolicy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.explain import evidence, reasons, sources
from ssmgate.explain.report import LOCAL, SIMULATED, Answer, MissingKey, Report, Statement, Verdict
from ssmgate.explain.simulate_custom import simulate_custom
from ssmgate.explain.sources import Source, Sources
from ssmgate.explain.weakness import enforced, grant, weaknesses
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.decision.arn import principal
from ssmgate.gate.decision.context import context_entry
from ssmgate.gate.decision.decision import Unknown, verdict
from ssmgate.gate.decision.evaluation import BOUNDARY_POLICY
from ssmgate.gate.decision.grant import Grant
from ssmgate.gate.decision.messages import least_statement
from ssmgate.gate.decision.question import Caller, ContextEntry, Question, is_resource_tag
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.policy_language import (
    Effect,
    EvalDecision,
    Evaluation,
    Layer,
    Outcome,
    Policies,
    StatementMatch,
    evaluate,
)

_ROLE = re.compile(
    r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[\x21-\x7e]*/)?[\w+=,.@-]+\Z", re.ASCII
)
_LAYERS = {
    Layer.RESOURCE_TYPE: "the action's kinds of resource",
    Layer.ORGANIZATIONS: "service control policy",
    Layer.IDENTITY: "identity-based policy",
    Layer.BOUNDARY: "permissions boundary",
}
_POLICY_TYPES = {
    Layer.ORGANIZATIONS: "Service Control Policy",
    Layer.IDENTITY: "IAM Policy",
    Layer.BOUNDARY: BOUNDARY_POLICY,
}
_SUPPLIER = "--context KEY=VALUE, or KEY= where the service will not see it"


@dataclass(frozen=True, slots=True)
class Given:
    """The policies of the files. `service_control` are attached at one level together."""

    identity: tuple[Source, ...]
    boundary: Source | None = None
    service_control: tuple[Source, ...] = ()

    @property
    def policies(self) -> Policies:
        """What the local evaluator takes."""
        organizations = tuple(source.policy for source in self.service_control)
        return Policies(
            tuple(source.policy for source in self.identity),
            None if self.boundary is None else self.boundary.policy,
            (organizations,) if organizations else (),
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that were given, in the order in which they are told."""
        return (
            *self.identity,
            *((self.boundary,) if self.boundary else ()),
            *self.service_control,
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who asks for what, and what the service will see.

    `context` holds for target and document; of the keys of resource tags, only for the target.
    `document_context` holds for the document alone.
    """

    request: SessionRequest
    region: str
    caller: Caller
    context: tuple[ContextEntry, ...] = ()
    document_context: tuple[ContextEntry, ...] = ()


def caller_of(arn: str) -> Caller:
    """The caller that an ARN of an IAM user, a role or a role's session names.

    Raises ValueError for another ARN: the root user's among them, which no policy binds.
    """
    who = principal(arn)
    source = arn if _ROLE.match(arn) else who.policy_source_arn
    if not source:
        raise ValueError("is no ARN of an IAM user, a role or a role's session")
    kind = "User" if who.kind == "user" else "AssumedRole"
    _, partition, _, _, account, _ = source.split(":", 5)
    return Caller(account, arn, source, "", kind, partition)


def entry(text: str) -> ContextEntry:
    """A context entry of `KEY=VALUE`; `KEY=[…]` is a JSON list, `KEY=` an absent key.

    Raises ValueError for a text without `=`, for a list that is none, and for what is no key.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("is not KEY=VALUE")
    if not value:
        return ContextEntry(key, "string", ())
    if not value.startswith("["):
        return context_entry(key, value)
    try:
        values = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON list: {error}") from None
    return context_entry(key, [str(one) for one in values])


def check(given: Given, situation: Scenario) -> Report:
    """Answer by the local evaluator alone. IAM is not asked, and its answer may be another."""
    documents = tuple(evidence.request_of(question) for question in _documents(situation))
    questions = _documents(situation)
    answers = [_answer(question, given) for question in questions]
    document = next((one for one in answers if one.verdict is not Verdict.ALLOWED), answers[0])
    document = replace(document, questions=questions)
    if document.verdict is Verdict.ALLOWED:
        order = (Grant.UNKNOWN, Grant.ANY, Grant.WILDCARD, Grant.NAMED)
        grants = [grant(request, given.policies) for request in documents]
        document = replace(document, grant=min(grants, key=order.index).value)
    question = _target(situation)
    weak = weaknesses(
        documents[0], None if question is None else evidence.request_of(question), given.policies
    )
    target = _unknown_target(situation) if question is None else _answer(question, given)
    if question is not None and target.verdict is Verdict.ALLOWED:
        target = replace(target, enforced=enforced(evidence.request_of(question), given.policies))
    of_target = ("check-not-enforced", "condition-missing")
    return replace(
        _report(situation, document, target),
        document=_with_advice(document, [w for w in weak if w.code not in of_target]),
        target=_with_advice(target, [w for w in weak if w.code in of_target]),
        data_channel=_answer(_data_channel(situation), given),
        evaluated_by=LOCAL,
    )


def simulate(given: Given, situation: Scenario, iam: Any) -> Report:
    """Answer by iam:SimulateCustomPolicy, which takes no service control policies."""
    boundary = given.boundary
    ids = {f"PolicyInputList.{n}": s for n, s in enumerate(given.identity, start=1)}
    ids |= {"PermissionsBoundaryPolicyInputList.1": boundary} if boundary else {}
    known = Sources(
        tuple(_renamed(s, name) for name, s in ids.items() if s is not boundary),
        _renamed(boundary, "PermissionsBoundaryPolicyInputList.1") if boundary else None,
        None,
        (),
    )

    def ask(question: Question) -> Answer:
        told = simulate_custom(
            iam,
            question,
            datetime.now(UTC),
            policies=[source.text for source in given.identity],
            boundary=None if boundary is None else boundary.text,
        )
        if isinstance(told, Unknown):
            return reasons.answer(told, (question,), ())
        obstacle = verdict(question, told)
        answer = reasons.answer(obstacle, (question,), told)
        matched = tuple(s for one in told for s in one.matched_statements)
        answer = sources.with_text(answer, dict.fromkeys(matched), known)
        if answer.verdict is not Verdict.ALLOWED:
            answer = evidence.explained(answer, known)
        return _with_names(answer, {name: s.policy.source_policy_id for name, s in ids.items()})

    questions = _documents(situation)
    answers = [ask(question) for question in questions]
    document = next((one for one in answers if one.verdict is not Verdict.ALLOWED), answers[0])
    target = _target(situation)
    return replace(
        _report(
            situation,
            replace(document, questions=questions),
            _unknown_target(situation) if target is None else ask(target),
        ),
        data_channel=ask(_data_channel(situation)),
        evaluated_by=SIMULATED,
    )


def _report(situation: Scenario, document: Answer, target: Answer) -> Report:
    report = Report(situation.request, situation.region, situation.caller, document, target)
    codes = {document.reason_code, target.reason_code}
    if Reason.IMPLICIT_DENY not in codes or Reason.EXPLICIT_DENY in codes:
        return report  # an allow does nothing against a deny
    # Whatever the context says of the region, the statement is for the one that is asked about.
    plain = _builder(situation).documents(situation.request.document_name)[0]
    return replace(report, ask_for=json.loads(least_statement(plain, situation.request)))


def _builder(situation: Scenario) -> QuestionBuilder:
    return QuestionBuilder(
        situation.caller,
        situation.caller.partition,
        situation.region,
        secure_transport=True,
        mfa_done=False,
    )


def _documents(situation: Scenario) -> tuple[Question, ...]:
    shared = [e for e in situation.context if not is_resource_tag(e.key_name)]
    return tuple(
        _with_context(question, (*shared, *situation.document_context))
        for question in _builder(situation).documents(situation.request.document_name)
    )


def _target(situation: Scenario) -> Question | None:
    question = _builder(situation).target(situation.request.target)
    return None if question is None else _with_context(question, situation.context)


def _data_channel(situation: Scenario) -> Question:
    return _with_context(_builder(situation).data_channel(), situation.context)


def _unknown_target(situation: Scenario) -> Answer:
    target = situation.request.target
    return Answer(
        Verdict.UNKNOWN,
        Reason.UNKNOWN_TARGET,
        f"IAM lists no kind of resource for target {target!r}",
    )


def _with_context(question: Question, context: Sequence[ContextEntry]) -> Question:
    """Return `question` with `context`, which outweighs what is assumed.

    Of entries with the same key the last one is used. The caller's unique id is left out: it is
    not known offline.
    """
    said = {e.key_name.lower(): e for e in context}
    assumed = [
        e
        for e in question.context
        if e.key_name.lower() not in said and e.key_name.lower() != "aws:userid"
    ]
    return replace(question, context=(*assumed, *said.values()))


def _answer(question: Question, given: Given) -> Answer:
    evaluation = evaluate(evidence.request_of(question), given.policies)
    shown = tuple(_statement(match, evaluation, given) for match in _deciding(evaluation))
    layer = _LAYERS[evaluation.decided_by]
    if evaluation.eval_decision is EvalDecision.ALLOWED:
        by = ", ".join(dict.fromkeys(s.policy for s in shown))
        return Answer(
            Verdict.ALLOWED,
            Reason.ALLOWED,
            f"allowed by {by}",
            (question,),
            layer=layer,
            statements=shown,
            missing=_missing(_waiting_denials(evaluation)),
        )
    what = f"{question.action} on {question.resource_arn}"
    explicit = evaluation.eval_decision is EvalDecision.EXPLICIT_DENY
    if keys := evidence.undecided(evaluation, question):
        answer = Answer(
            Verdict.UNKNOWN,
            Reason.KEY_NOT_GIVEN,
            f"{'a deny' if explicit else 'the allow'} hangs on {', '.join(keys)}, which"
            f" {'is' if len(keys) == 1 else 'are'} not given: --context"
            f" {' --context '.join(f'{key}=VALUE' for key in keys)}",
            (question,),
            statements=shown,
            missing=_missing(keys),
        )
    elif evaluation.decided_by is Layer.RESOURCE_TYPE:
        answer = Answer(
            Verdict.DENIED,
            Reason.NO_SUCH_RESOURCE,
            f"no policy can allow {what}",
            (question,),
            layer=layer,
        )
    elif explicit:
        by = ", ".join(dict.fromkeys(s.policy for s in shown))
        answer = Answer(
            Verdict.DENIED,
            Reason.EXPLICIT_DENY,
            f"an explicit deny ({layer}, {by}) forbids {what}",
            (question,),
            layer=layer,
            statements=shown,
        )
    else:
        answer = Answer(
            Verdict.DENIED,
            Reason.IMPLICIT_DENY,
            f"no {layer} allows {what}",
            (question,),
            layer=layer,
        )
    return evidence.with_explanation(answer, evaluation)


def _deciding(evaluation: Evaluation) -> tuple[StatementMatch, ...]:
    """The statements that decided, those of service control policies among them."""
    if evaluation.eval_decision is EvalDecision.EXPLICIT_DENY:
        return tuple(match for layer in evaluation.layers for match in layer.denies)
    return evaluation.matched_statements


def _waiting_denials(evaluation: Evaluation) -> tuple[str, ...]:
    """The absent keys on which a deny hangs that does not apply: with them it might."""
    keys: dict[str, None] = {}
    for layer in evaluation.layers:
        for match in layer.statements:
            elements = {match.action.outcome, match.resource.outcome}
            failed = [c for c in match.conditions if c.outcome is not Outcome.MATCHED]
            if (
                match.statement.effect is Effect.DENY
                and elements == {Outcome.MATCHED}
                and failed
                and all(c.values is None for c in failed)
            ):
                keys |= dict.fromkeys(c.condition.key for c in failed)
    return tuple(keys)


def _missing(keys: Sequence[str]) -> tuple[MissingKey, ...]:
    return tuple(MissingKey(key, _SUPPLIER) for key in keys)


def _statement(match: StatementMatch, evaluation: Evaluation, given: Given) -> Statement:
    layer = evaluation.layer_of(match)
    source = next(one for one in given.sources if one.policy is match.policy)
    line, text = source.place(match.statement)
    return Statement(
        match.policy.source_policy_id,
        _POLICY_TYPES[layer],
        match.statement.sid,
        line,
        json.dumps(json.loads(text)),
    )


def _with_advice(answer: Answer, weak: Sequence[Any]) -> Answer:
    return replace(answer, advice=(*answer.advice, *(_placed(one) for one in weak)))


def _placed(advice: Any) -> str:
    where = advice.place
    return f"{sources.place(where.source_policy_id, where.sid, where.line)}: " + evidence.sentence(
        advice
    )


def _renamed(source: Source, name: str) -> Source:
    return replace(source, policy=replace(source.policy, source_policy_id=name))


def _with_names(answer: Answer, names: Mapping[str, str]) -> Answer:
    """`answer` with the files' names in the place of IAM's names for what it was sent."""

    def named(text: str) -> str:
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(name, names[name])
        return text

    rename: Callable[[Any], Any] = lambda one: replace(one, policy=named(one.policy))  # noqa: E731
    return replace(
        answer,
        reason=named(answer.reason),
        statements=tuple(map(rename, answer.statements)),
        nearest=tuple(map(rename, answer.nearest)),
    )
