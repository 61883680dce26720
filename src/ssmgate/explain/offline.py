"""Check policies from files, with the local evaluator or with iam:SimulateCustomPolicy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ssmgate.explain import (
    data_channel,
    evidence,
    listing,
    local_answer,
    proposals,
    reasons,
    sources,
)
from ssmgate.explain.key_mistakes import key_mistakes
from ssmgate.explain.known_context import PRINCIPAL_ARN
from ssmgate.explain.policy_files import PolicyFiles, Scenario, entry, parse_caller
from ssmgate.explain.report import LOCAL, SIMULATED, Answer, Report, Verdict
from ssmgate.explain.simulate_custom import simulate_custom
from ssmgate.explain.sources import Source, Sources
from ssmgate.explain.target_questions import CHECK_KEY, target_questions
from ssmgate.explain.weakness import grant, weaknesses
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.decision.decision import Unknown, decide_about
from ssmgate.gate.decision.grant import Grant
from ssmgate.gate.decision.question import Caller, ContextEntry, Question, is_resource_tag
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Policies

__all__ = ["PolicyFiles", "Scenario", "check", "entry", "parse_caller", "simulate"]


def check(policy_files: PolicyFiles, scenario: Scenario) -> Report:
    """Answer with the local evaluator. No AWS call is made, and IAM may answer differently."""
    caller, questions = scenario.caller, _documents(scenario)
    documents = tuple(local_answer.request_of(question, caller) for question in questions)
    answers = [local_answer.answer(question, caller, policy_files) for question in questions]
    document = next((a for a in answers if a.verdict is not Verdict.ALLOWED), answers[0])
    document = replace(document, questions=questions)
    if document.verdict is Verdict.ALLOWED:
        order = (Grant.UNKNOWN, Grant.ANY, Grant.WILDCARD, Grant.NAMED)
        grants = [grant(request, policy_files.policies) for request in documents]
        document = replace(document, grant=min(grants, key=order.index).value)
    asked = _target(scenario)
    weak = [
        *weaknesses(
            documents[0],
            local_answer.request_of(asked[0], caller) if asked else None,
            policy_files.policies,
        ),
        *key_mistakes(policy_files.policies),
    ]
    target = _unknown_target(scenario)
    if asked:
        target = local_answer.target_answer(asked, caller, policy_files)
    if target.verdict is Verdict.ALLOWED:
        checked = local_answer.enforced(asked[0], caller, policy_files)
        target = replace(target, enforced=checked)
    of_target = (
        "check-not-enforced",
        "condition-missing",
        "condition-differs",
        "no-such-key",
        "not-a-boolean",
    )
    report = _report(scenario, policy_files.policies, document, target)
    if report.verdict is not Verdict.ALLOWED:
        # What is missing comes first, and may change the same statements.
        weak = [replace(w, statement=None) for w in weak]
    return replace(
        report,
        document=_with_advice(document, [w for w in weak if w.code not in of_target]),
        target=_with_advice(target, [w for w in weak if w.code in of_target]),
        data_channel=data_channel.combined(
            _data_channel(scenario),
            lambda question: local_answer.answer(question, caller, policy_files),
        ),
        evaluated_by=LOCAL,
    )


def without_document_check(policy_files: PolicyFiles, scenario: Scenario) -> Answer:
    """Answer whether the target is allowed although no document was checked.

    If it is, the caller is unbound: ssm:SessionDocumentAccessCheck is false, also where `scenario`
    gives another value. The document is not evaluated.
    """
    target = scenario.request.target
    question = _builder(scenario).target(target, document_access_check=False)
    if question is None:
        return _unknown_target(scenario)
    context = [e for e in scenario.context if e.key_name.lower() != CHECK_KEY.lower()]
    asked = _with_context(question, scenario.caller, context)
    return local_answer.answer(asked, scenario.caller, policy_files)


def simulate(policy_files: PolicyFiles, scenario: Scenario, iam: Any) -> Report:
    """Answer with iam:SimulateCustomPolicy.

    IAM simulates the levels of service control policies, but does not report their missing keys.
    """
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
        # IAM takes a key without a value as absent, and reports only some of those keys.
        local = local_answer.answer(question, scenario.caller, policy_files)
        if local.verdict is Verdict.UNKNOWN:
            return local
        evaluations = simulate_custom(
            iam,
            question,
            datetime.now(UTC),
            policies=[source.text for source in policy_files.identity],
            boundary=None if boundary is None else boundary.text,
            service_control=[[s.text for s in level] for level in policy_files.service_control],
        )
        if isinstance(evaluations, Unknown):
            return reasons.answer(evaluations, (question,), ())
        obstacle = decide_about(question, evaluations)
        answer = reasons.answer(obstacle, (question,), evaluations)
        matched = tuple(s for e in evaluations for s in e.matched_statements)
        answer = sources.with_text(answer, dict.fromkeys(matched), known)
        if answer.verdict is not Verdict.ALLOWED:
            answer = evidence.explained(answer, known)
        return _with_names(answer, {name: s.policy.source_policy_id for name, s in ids.items()})

    questions = _documents(scenario)
    answers = [answer_to(question) for question in questions]
    document = next((a for a in answers if a.verdict is not Verdict.ALLOWED), answers[0])
    target = _unknown_target(scenario)
    if asked := _target(scenario):
        target = local_answer.of_answers([answer_to(question) for question in asked])
    return replace(
        _report(scenario, policy_files.policies, replace(document, questions=questions), target),
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
        _with_context(question, scenario.caller, (*shared, *scenario.document_context))
        for question in _builder(scenario).documents(scenario.request.document_name)
    )


def _target(scenario: Scenario) -> tuple[Question, ...]:
    request = scenario.request
    given = any(e.key_name.lower() == CHECK_KEY.lower() for e in scenario.context)
    questions = target_questions(_builder(scenario), request.target, request.document_name)
    return tuple(
        _with_context(question, scenario.caller, scenario.context)
        for question in questions[: 1 if given else None]
    )


def _data_channel(scenario: Scenario) -> tuple[Question, ...]:
    given = [
        e.values[0] for e in scenario.context if e.key_name.lower() == "aws:userid" and e.values
    ]
    asked = data_channel.questions(_builder(scenario), given[-1] if given else "no-such-user-id")
    return tuple(_with_context(question, scenario.caller, scenario.context) for question in asked)


def _unknown_target(scenario: Scenario) -> Answer:
    target = scenario.request.target
    return Answer(
        Verdict.UNKNOWN,
        Reason.UNKNOWN_TARGET,
        f"IAM lists no kind of resource for target {target!r}",
    )


def _with_context(question: Question, caller: Caller, context: Sequence[ContextEntry]) -> Question:
    """Return `question` with `context`, which overrides the assumed entries.

    The last of several entries with the same key is used. The caller's unique ID is left out, as it
    is not known offline, and so is the ARN of a role of which the path is not known. A key that is
    absent by intention becomes an entry without a value.
    """
    entries_by_key = {e.key_name.lower(): e for e in context}
    not_known = {"aws:userid"} | (set() if caller.role_path_known else {PRINCIPAL_ARN.lower()})
    assumed = [
        e for e in question.context if e.key_name.lower() not in (entries_by_key.keys() | not_known)
    ]
    if not question.gives(CHECK_KEY) and CHECK_KEY.lower() not in entries_by_key:
        assumed.insert(0, ContextEntry(CHECK_KEY, "boolean", ()))
    return replace(question, context=(*assumed, *entries_by_key.values()))


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
