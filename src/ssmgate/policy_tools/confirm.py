"""Compare an audit with IAM's simulation: ask about the principals who may do most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import Question
from ssmgate.policy_language.decide import Certainty
from ssmgate.policy_tools.audit import Bound
from ssmgate.policy_tools.gaad import Principal
from ssmgate.policy_tools.problem import Problem
from ssmgate.policy_tools.run import AccountReport, Group

Simulate = Callable[[Question], tuple[Evaluation, ...] | Unknown]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What IAM says about one principal: it agrees if there is no problem."""

    principal: str
    problems: tuple[Problem, ...]


def confirm(report: AccountReport, most: int, simulate: Simulate) -> Iterator[Confirmation]:
    """Yield what IAM says about the `most` principals who may do most, in this order.

    First those who are unbound, then those who may start any document, then by the number of
    documents. For each there is a question about a document that the audit says is allowed, and
    one about a node without the document check if the audit says that the principal is unbound.
    """
    worst = [one for group in sorted(report.groups, key=_rank) for one in _claimed(group)]
    for group, principal in worst[:most]:
        problems = [
            Problem("", principal.arn, text)
            for what, question in _claims(report, group, principal)
            if (text := _difference(what, simulate(question)))
        ]
        yield Confirmation(principal.arn, tuple(problems))


def _rank(group: Group) -> tuple[bool, bool, int]:
    standing = group.standing
    allowed = sum(one.certainty is Certainty.ALLOWED for one in standing.documents)
    return standing.bound is not Bound.UNBOUND, not standing.allowed_any, -allowed


def _claimed(group: Group) -> Iterator[tuple[Group, Principal]]:
    standing = group.standing
    certain = any(one.certainty is Certainty.ALLOWED for one in standing.documents)
    if certain or standing.unbound_node is not None:
        yield from ((group, one) for one in group.principals)


def _claims(
    report: AccountReport, group: Group, principal: Principal
) -> Iterator[tuple[str, Question]]:
    questions, standing = report.auditor.questions, group.standing
    allowed = [
        number
        for number, one in enumerate(standing.documents)
        if one.certainty is Certainty.ALLOWED
    ]
    if allowed:
        # The last one is any other document.
        at = allowed[-1]
        name = "any document" if standing.allowed_any else standing.documents[at].name
        yield name, questions.about_document(principal, at)
    if standing.unbound_node is not None:
        node = questions.about_node(principal, standing.unbound_node)
        if node is not None:
            yield "a node without the document check", node


def _difference(what: str, answer: tuple[Evaluation, ...] | Unknown) -> str:
    if isinstance(answer, Unknown):
        return f"could not be confirmed for {what}: {answer.reason}"
    if answer and all(one.eval_decision is EvalDecision.ALLOWED for one in answer):
        return ""
    words = dict.fromkeys(one.eval_decision.value for one in answer)
    text = f"is allowed {what} by the audit, and IAM answers {', '.join(words) or 'nothing'}"
    if any(one.allowed_by_organizations is False for one in answer):
        return f"{text}, by a service control policy: give --organization"
    return text
