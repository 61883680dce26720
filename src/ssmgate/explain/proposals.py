"""Put the changes of `remedy` into a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ssmgate.explain import tried
from ssmgate.explain.changes import Change, grant
from ssmgate.explain.evidence import placed, request_of
from ssmgate.explain.narrow import Lister
from ssmgate.explain.near_miss import nearest
from ssmgate.explain.remedy import Remedy, find
from ssmgate.explain.report import Answer, PolicyChange, Report, Verdict
from ssmgate.explain.sources import Sources, place
from ssmgate.explain.weakness import not_enforced
from ssmgate.gate.decision.evaluation import Evaluation as SimulatedEvaluation
from ssmgate.gate.decision.messages import WITH_MFA
from ssmgate.gate.decision.question import MFA_KEY, Question, is_resource_tag
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import EvalDecision, Layer, Policies, evaluate

LAYERS = {
    Layer.RESOURCE_TYPE: "the action's kinds of resource",
    Layer.ORGANIZATIONS: "service control policy",
    Layer.IDENTITY: "identity-based policy",
    Layer.BOUNDARY: "permissions boundary",
}
"""The name of each layer in a report."""

_LAYERS = {name: layer for layer, name in LAYERS.items()}

# What a statement can be tried for without the policies: an implicit deny, also of a document
# because of keys that some statement mentions.
_WITHOUT_POLICIES = {Reason.IMPLICIT_DENY, Reason.LIVE_CONTEXT, Reason.NOT_NAMED}

# An allow may be missing, although the answer is unknown.
_MAY_LACK_AN_ALLOW = {Reason.LIVE_CONTEXT, Reason.TAGS_UNKNOWN, Reason.ACCESS_CHECK_UNKNOWN}


def is_complete(report: Report, known: Sources, evaluations: Sequence[SimulatedEvaluation]) -> bool:
    """Return whether the policies in `known` deny what IAM denies, so that they can be changed.

    `evaluations` are IAM's. Service control policies are never known: if they do not allow, the
    policies are not complete.
    """
    if known.unread or any(e.allowed_by_organizations is False for e in evaluations):
        return False
    for answer in (report.document, report.target):
        if answer.reason_code in (Reason.IMPLICIT_DENY, Reason.EXPLICIT_DENY):
            decisions = {
                evaluate(request_of(question), known.policies).eval_decision
                for question in answer.questions
            }
            expected = {
                Reason.IMPLICIT_DENY: EvalDecision.IMPLICIT_DENY,
                Reason.EXPLICIT_DENY: EvalDecision.EXPLICIT_DENY,
            }[answer.reason_code]
            if expected not in decisions:
                return False
    return True


def in_memory(report: Report, policies: Policies, account: str, lister: Lister) -> Remedy:
    """Return the changes of `policies` that allow what is denied in `report`."""
    requests = [request_of(question) for question in denied((report.document, report.target))]
    remedy = find(requests, policies, account, lister)
    if report.document.reason_code != Reason.NOT_NAMED:
        return remedy
    named = grant([question.resource_arn for question in report.document.questions], {})
    changes = (*remedy.changes, Change(Layer.IDENTITY, (named,)))
    return Remedy(changes, remedy.obstacles)


def simulation_denied(question: Question, known: Sources) -> str:
    """Return which deny covers iam:SimulatePrincipalPolicy, empty if none is known.

    `question` is about that action on the caller itself. Policies that require MFA deny it as they
    deny everything else, so that another allow does not help.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_aws_my-sec-creds-self-manage-mfa-only.html
    """
    evaluation = evaluate(request_of(question), known.policies)
    for denial in nearest(evaluation).denials[:1]:
        where = denial.place
        keys = [condition.condition.key for condition in denial.conditions]
        what = (
            f"{place(where.source_policy_id, where.sid, where.line)} denies"
            f" {question.action} too, and no allow overrides it"
        )
        if any(key.lower() == MFA_KEY.lower() for key in keys):
            return f"{what}: it requires MFA. U{WITH_MFA[1:]}"
        return f"{what}{': it depends on ' if keys else ''}{', '.join(keys)}"
    return ""


def with_check_enforced(report: Report, policies: Policies) -> Report:
    """Return `report` with the statements that make the service check the document too."""
    target = report.target
    if report.verdict is not Verdict.ALLOWED:
        return report  # what is missing comes first, and may change the same statements
    if target.enforced is not False or not target.questions:
        return report
    weak = not_enforced(request_of(target.questions[-1]), policies)
    advice = tuple(placed(advice) for advice in weak)
    return replace(report, target=replace(target, advice=(*target.advice, *advice)))


def with_iam(iam: Any, report: Report) -> Remedy:
    """Return a statement that IAM's simulation accepts, where policies could not be read.

    None is proposed for a target if policies may test its tags: the statement would open a node
    that is closed on purpose.
    """
    answers = [a for a in (report.document, report.target) if a.verdict is not Verdict.ALLOWED]
    if any(a.reason_code not in _WITHOUT_POLICIES for a in answers):
        answers = [a for a in answers if a.reason_code in _WITHOUT_POLICIES]
    obstacles = []
    questions: list[Question] = []
    for answer in answers:
        keys = [m.key_name for m in answer.missing if is_resource_tag(m.key_name)]
        keys += [
            e.key_name for q in answer.questions for e in q.context if is_resource_tag(e.key_name)
        ]
        if answer is report.target and keys:
            obstacles.append(
                f"the policies have a condition on {keys[0]} and could not be read. The target's"
                " tags may be why it is denied, so no statement is proposed for it"
            )
        else:
            questions += answer.questions
    if not questions:
        return Remedy((), tuple(obstacles))
    layer = next((_LAYERS[a.layer] for a in answers if a.layer in _LAYERS), Layer.IDENTITY)
    remedy = tried.find(iam, questions, layer)
    return Remedy(remedy.changes, (*remedy.obstacles, *obstacles))


def denied(answers: Sequence[Answer]) -> tuple[Question, ...]:
    """Return the questions of those `answers` that changed policies might allow."""
    return tuple(
        question
        for answer in answers
        if answer.verdict is Verdict.DENIED or answer.reason_code in _MAY_LACK_AN_ALLOW
        for question in answer.questions
    )


def with_remedy(report: Report, remedy: Remedy) -> Report:
    """Return `report` with the changes and obstacles of `remedy`."""
    added = [change for change in remedy.changes if change.place is None]
    return replace(
        report,
        ask_for=added[0].statements[0] if added else None,
        changes=tuple(_shown(change) for change in remedy.changes),
        obstacles=remedy.obstacles,
    )


def _shown(change: Change) -> PolicyChange:
    layer = LAYERS[change.layer]
    if change.place is None:
        return PolicyChange(layer, change.statements)
    where = change.place
    return PolicyChange(
        layer, change.statements, where.source_policy_id, where.sid, where.line, change.note
    )
