"""After a denial: the tags that IAM was not told, and the keys that the policies mention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from ssmgate.gate.access.evaluate import conclude
from ssmgate.gate.aws import simulate, tags
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.decision import (
    Denial,
    Layer,
    Outcome,
    SimulationAttempt,
    Unknown,
)
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.live_context import unknown_if_live, unless_unread
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason

AnyOutcome = TypeVar("AnyOutcome", bound=Outcome | None)


def resimulate(
    clients: Clients, caller: Caller, first: SimulationAttempt, allow_wildcard_grants: bool
) -> SimulationAttempt:
    """`first`, better founded where that was a denial. At most four calls.

    A name that may mean two documents takes one more.

    If the policies ask for tags, the document's own (ssm:ListTagsForResource) and the
    principal's (iam:GetUser) are looked up, and IAM is asked once more with them. A denial that
    remains is IAM's word only if everything that it may depend on is known: a condition key that
    the live request alone has, the tags of a role session among them, and a tag that could not
    be read make it a CannotTell.

    The node's tags are not looked up: a document does not have them.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    last = first
    lookups = None
    for question in first.questions:
        if denied(last.outcome) == question:
            lookups = lookups or tags.Lookups(clients.iam, caller)
            last = _with_tags(clients, lookups, last, question, allow_wildcard_grants)
    return last


def _with_tags(
    clients: Clients,
    lookups: tags.Lookups,
    first: SimulationAttempt,
    question: Question,
    allow_wildcard_grants: bool,
) -> SimulationAttempt:
    """`first`, in which `question` was denied, with that asked again if there are tags for it."""
    own = document_source(clients, lookups.caller, question)
    found = look_up(lookups, question, first.outcome, _about(question, first), own)
    last = first
    if found.entries:
        asked = question.with_context(found.entries)
        answer = simulate.simulate(clients.iam, asked, datetime.now(UTC))
        if isinstance(answer, Unknown):
            return replace(first, outcome=answer)
        questions = tuple(asked if one == question else one for one in first.questions)
        others = tuple(e for e in first.evaluations if e.resource_arn != question.resource_arn)
        last = conclude(
            clients.iam, first.request, questions, (*others, *answer), allow_wildcard_grants
        )
        if denied(last.outcome) in first.questions:
            return last  # another document that the request may mean
    return replace(last, outcome=settled(lookups, question, last.outcome, found))


def out_of_time(clients: Clients, caller: Caller, first: SimulationAttempt) -> SimulationAttempt:
    """`first` where `resimulate` took too long: what it would have read is not known."""
    question = denied(first.outcome)
    if question is None or not isinstance(first.outcome, Denial):
        return first
    missing = _missing(_about(question, first))
    found = tags.unread(caller, question, missing, document_source(clients, caller, question))
    return replace(first, outcome=_unless_unknown(caller, question, first.outcome, found))


def look_up(
    lookups: tags.Lookups,
    question: Question,
    outcome: Outcome | None,
    answers: Sequence[Evaluation],
    own: tags.Source | None,
) -> tags.Found:
    """The tags that may turn `outcome`, a denial of `question` in `answers`. Three calls at most.

    On an explicit deny IAM reports no key missing: iam:GetContextKeysForPrincipalPolicy tells
    which keys the policies mention, service control policies aside. If it may not be called, all
    tags are tried.
    """
    keys: Sequence[str] | None = _missing(answers)
    if isinstance(outcome, Denial) and outcome.reason_code == Reason.EXPLICIT_DENY:
        if outcome.layer is Layer.ORGANIZATIONS:
            return tags.Found()
        keys = lookups.mentioned()
    return lookups.find(question, keys, own)


def settled(
    lookups: tags.Lookups, question: Question, outcome: AnyOutcome, found: tags.Found
) -> AnyOutcome | Denial | Unknown:
    """`outcome`, or CannotTell if that is a denial which may depend on what is not known.

    `question` is the one that was asked first, `found` what was looked up for it. One call
    at most, if none has told which keys the policies mention.
    """
    # The caller's own policies do not tell what a service control policy depends on.
    if (
        not isinstance(outcome, Denial)
        or outcome.reason_code == Reason.NOT_NAMED
        or outcome.layer is Layer.ORGANIZATIONS
    ):
        return outcome
    settled = _unless_unknown(lookups.caller, question, outcome, found)
    if isinstance(settled, Unknown):
        return settled
    return _unless_live(lookups.caller, question, outcome, lookups.mentioned() or ())


def _unless_unknown(
    caller: Caller, question: Question, refusal: Denial, found: tags.Found
) -> Denial | Unknown:
    outcome = _unless_live(caller, question, refusal, found.keys)
    return unless_unread(outcome, found.unread) if isinstance(outcome, Denial) else outcome


def _unless_live(
    caller: Caller, question: Question, refusal: Denial, keys: Sequence[str]
) -> Denial | Unknown:
    return unknown_if_live(refusal, keys, tags.session_tags(caller, question, keys))


def document_source(clients: Clients, caller: Caller, question: Question) -> tags.Source | None:
    """Where the tags of the document of `question` come from.

    None if it is not of the caller's account and region: AWS's documents have no tags that a
    customer could set or list.
    """
    here = f"arn:{clients.partition}:ssm:{clients.region}:{caller.account}:document"
    place, _, name = question.resource_arn.partition("/")
    if place != here:
        return None
    return tags.Source(
        lambda: tags.document_tags(clients.ssm, name),
        "could not be read (ssm:ListTagsForResource)",
    )


def denied(outcome: Outcome | None) -> Question | None:
    """What IAM denied, also where that denial was taken for one that depends on live context."""
    match outcome:
        case Denial(reason_code=Reason.NOT_NAMED):
            return None
        case Denial() | Unknown(reason_code=Reason.LIVE_CONTEXT):
            return outcome.question
    return None


def _about(question: Question, look: SimulationAttempt) -> tuple[Evaluation, ...]:
    return tuple(e for e in look.evaluations if e.resource_arn == question.resource_arn)


def _missing(answers: Sequence[Evaluation]) -> tuple[str, ...]:
    return tuple(key for answer in answers for key in answer.missing_context)
