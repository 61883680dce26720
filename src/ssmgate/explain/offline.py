"""Check policies from files, with the local evaluator or with iam:SimulateCustomPolicy."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.explain import data_channel, evidence, listing, proposals, reasons, sources
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
_POLICY_TYPES = {
    Layer.ORGANIZATIONS: "Service Control Policy",
    Layer.IDENTITY: "IAM Policy",
    Layer.BOUNDARY: BOUNDARY_POLICY,
}
_SUPPLIER = "--context KEY=VALUE, or KEY= where the service will not see it"


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The policies from the files. All of `service_control` are attached at the same level."""

    identity: tuple[Source, ...]
    boundary: Source | None = None
    service_control: tuple[Source, ...] = ()

    @property
    def policies(self) -> Policies:
        """Return the policies as the local evaluator takes them."""
        organizations = tuple(source.policy for source in self.service_control)
        return Policies(
            tuple(source.policy for source in self.identity),
            None if self.boundary is None else self.boundary.policy,
            (organizations,) if organizations else (),
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return all policies, in the order in which they are shown."""
        return (
            *self.identity,
            *((self.boundary,) if self.boundary else ()),
            *self.service_control,
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """The request and its caller, and the context keys that the service will have.

    `context` is for target and document, but its resource tags are for the target only.
    `document_context` is for the document only.
    """

    request: SessionRequest
    region: str
    caller: Caller
    context: tuple[ContextEntry, ...] = ()
    document_context: tuple[ContextEntry, ...] = ()


def parse_caller(arn: str) -> Caller:
    """Return the caller with the ARN of an IAM user, a role or a role session.

    Raises ValueError for any other ARN, including that of the root user, which policies do not
    restrict.
    """
    who = principal(arn)
    source = arn if _ROLE.match(arn) else who.policy_source_arn
    if not source:
        raise ValueError("is no ARN of an IAM user, a role or a role's session")
    kind = "User" if who.kind == "user" else "AssumedRole"
    _, partition, _, _, account, _ = source.split(":", 5)
    return Caller(account, arn, source, "", kind, partition)


def entry(text: str) -> ContextEntry:
    """Parse `KEY=VALUE` into a context entry; `KEY=[…]` is a JSON list, `KEY=` an absent key.

    Raises ValueError for a text without `=`, an invalid JSON list and an invalid key.
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
    return context_entry(key, [str(value) for value in values])


def check(policy_files: PolicyFiles, scenario: Scenario) -> Report:
    """Answer with the local evaluator. No AWS call is made, and IAM may answer differently."""
    documents = tuple(evidence.request_of(question) for question in _documents(scenario))
    questions = _documents(scenario)
    answers = [_answer(question, policy_files) for question in questions]
    document = next((a for a in answers if a.verdict is not Verdict.ALLOWED), answers[0])
    document = replace(document, questions=questions)
    if document.verdict is Verdict.ALLOWED:
        order = (Grant.UNKNOWN, Grant.ANY, Grant.WILDCARD, Grant.NAMED)
        grants = [grant(request, policy_files.policies) for request in documents]
        document = replace(document, grant=min(grants, key=order.index).value)
    question = _target(scenario)
    weak = weaknesses(
        documents[0],
        None if question is None else evidence.request_of(question),
        policy_files.policies,
    )
    target = _unknown_target(scenario) if question is None else _answer(question, policy_files)
    if question is not None and target.verdict is Verdict.ALLOWED:
        target = replace(
            target, enforced=enforced(evidence.request_of(question), policy_files.policies)
        )
    of_target = ("check-not-enforced", "condition-missing", "condition-differs")
    report = _report(scenario, policy_files.policies, document, target)
    if report.verdict is not Verdict.ALLOWED:
        # What is missing comes first, and may change the same statements.
        weak = tuple(replace(w, statement=None) for w in weak)
    return replace(
        report,
        document=_with_advice(document, [w for w in weak if w.code not in of_target]),
        target=_with_advice(target, [w for w in weak if w.code in of_target]),
        data_channel=data_channel.combined(
            _data_channel(scenario), lambda asked: _answer(asked, policy_files)
        ),
        evaluated_by=LOCAL,
    )


def simulate(policy_files: PolicyFiles, scenario: Scenario, iam: Any) -> Report:
    """Answer with iam:SimulateCustomPolicy, which does not take service control policies."""
    boundary = policy_files.boundary
    ids = {f"PolicyInputList.{n}": s for n, s in enumerate(policy_files.identity, start=1)}
    ids |= {"PermissionsBoundaryPolicyInputList.1": boundary} if boundary else {}
    known = Sources(
        tuple(_renamed(s, name) for name, s in ids.items() if s is not boundary),
        _renamed(boundary, "PermissionsBoundaryPolicyInputList.1") if boundary else None,
        None,
        (),
    )

    def answer_to(question: Question) -> Answer:
        evaluations = simulate_custom(
            iam,
            question,
            datetime.now(UTC),
            policies=[source.text for source in policy_files.identity],
            boundary=None if boundary is None else boundary.text,
        )
        if isinstance(evaluations, Unknown):
            return reasons.answer(evaluations, (question,), ())
        obstacle = verdict(question, evaluations)
        answer = reasons.answer(obstacle, (question,), evaluations)
        matched = tuple(s for e in evaluations for s in e.matched_statements)
        answer = sources.with_text(answer, dict.fromkeys(matched), known)
        if answer.verdict is not Verdict.ALLOWED:
            answer = evidence.explained(answer, known)
        return _with_names(answer, {name: s.policy.source_policy_id for name, s in ids.items()})

    questions = _documents(scenario)
    answers = [answer_to(question) for question in questions]
    document = next((a for a in answers if a.verdict is not Verdict.ALLOWED), answers[0])
    target = _target(scenario)
    return replace(
        _report(
            scenario,
            policy_files.policies,
            replace(document, questions=questions),
            _unknown_target(scenario) if target is None else answer_to(target),
        ),
        data_channel=data_channel.combined(_data_channel(scenario), answer_to),
        evaluated_by=SIMULATED,
    )


def _report(scenario: Scenario, policies: Policies, document: Answer, target: Answer) -> Report:
    report = Report(scenario.request, scenario.region, scenario.caller, document, target)
    remedy = proposals.in_memory(
        report, policies, scenario.caller.account, listing.without_aws(scenario.region)
    )
    return proposals.with_remedy(report, remedy)


def _builder(scenario: Scenario) -> QuestionBuilder:
    return QuestionBuilder(
        scenario.caller,
        scenario.caller.partition,
        scenario.region,
        secure_transport=True,
        mfa_done=False,
    )


def _documents(scenario: Scenario) -> tuple[Question, ...]:
    shared = [e for e in scenario.context if not is_resource_tag(e.key_name)]
    return tuple(
        _with_context(question, (*shared, *scenario.document_context))
        for question in _builder(scenario).documents(scenario.request.document_name)
    )


def _target(scenario: Scenario) -> Question | None:
    question = _builder(scenario).target(scenario.request.target)
    return None if question is None else _with_context(question, scenario.context)


def _data_channel(scenario: Scenario) -> tuple[Question, ...]:
    given = [
        e.values[0] for e in scenario.context if e.key_name.lower() == "aws:userid" and e.values
    ]
    asked = data_channel.questions(_builder(scenario), given[-1] if given else "no-such-user-id")
    return tuple(_with_context(question, scenario.context) for question in asked)


def _unknown_target(scenario: Scenario) -> Answer:
    target = scenario.request.target
    return Answer(
        Verdict.UNKNOWN,
        Reason.UNKNOWN_TARGET,
        f"IAM lists no kind of resource for target {target!r}",
    )


def _with_context(question: Question, context: Sequence[ContextEntry]) -> Question:
    """Return `question` with `context`, which overrides the assumed entries.

    The last of several entries with the same key is used. The caller's unique ID is left out: it
    is not known offline.
    """
    entries_by_key = {e.key_name.lower(): e for e in context}
    assumed = [
        e
        for e in question.context
        if e.key_name.lower() not in entries_by_key and e.key_name.lower() != "aws:userid"
    ]
    return replace(question, context=(*assumed, *entries_by_key.values()))


def _answer(question: Question, policy_files: PolicyFiles) -> Answer:
    evaluation = evaluate(evidence.request_of(question), policy_files.policies)
    shown = tuple(_statement(match, evaluation, policy_files) for match in _deciding(evaluation))
    layer = proposals.LAYERS[evaluation.decided_by]
    if evaluation.eval_decision is EvalDecision.ALLOWED:
        by = ", ".join(dict.fromkeys(s.policy for s in shown))
        return Answer(
            Verdict.ALLOWED,
            Reason.ALLOWED,
            f"allowed by {by}",
            (question,),
            layer=layer,
            statements=shown,
            missing=_missing(_keys_of_possible_denials(evaluation)),
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
    """Return the statements that decided, including those of service control policies."""
    if evaluation.eval_decision is EvalDecision.EXPLICIT_DENY:
        return tuple(match for layer in evaluation.layers for match in layer.denies)
    return evaluation.matched_statements


def _keys_of_possible_denials(evaluation: Evaluation) -> tuple[str, ...]:
    """Return the absent keys with which a deny that does not apply now might apply."""
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


def _statement(
    match: StatementMatch, evaluation: Evaluation, policy_files: PolicyFiles
) -> Statement:
    layer = evaluation.layer_of(match)
    source = next(s for s in policy_files.sources if s.policy is match.policy)
    line, text = source.place(match.statement)
    return Statement(
        match.policy.source_policy_id,
        _POLICY_TYPES[layer],
        match.statement.sid,
        line,
        json.dumps(json.loads(text)),
    )


def _with_advice(answer: Answer, weak: Sequence[Any]) -> Answer:
    return replace(answer, advice=(*answer.advice, *(evidence.placed(advice) for advice in weak)))


def _renamed(source: Source, name: str) -> Source:
    return replace(source, policy=replace(source.policy, source_policy_id=name))


def _with_names(answer: Answer, names: Mapping[str, str]) -> Answer:
    """Return `answer` with file names in place of the names that IAM gives the policies sent."""

    def named(text: str) -> str:
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(name, names[name])
        return text

    rename: Callable[[Any], Any] = lambda item: replace(item, policy=named(item.policy))  # noqa: E731
    return replace(
        answer,
        reason=named(answer.reason),
        statements=tuple(map(rename, answer.statements)),
        nearest=tuple(map(rename, answer.nearest)),
    )
