"""After a denial, look up tags that the simulation lacked, and condition keys in policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ssmgate.gate.access.evaluate import Answered, decide_answered, simulate_questions
from ssmgate.gate.aws import tags
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.decision import (
    Decision,
    Denial,
    Layer,
    SimulationAttempt,
    Unknown,
)
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.live_context import unknown_if_live, unless_unread
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason

AnyDecision = TypeVar("AnyDecision", bound=Decision | None)


def resimulate(
    clients: Clients,
    caller: Caller,
    attempts: Sequence[SimulationAttempt],
    allow_wildcard_grants: bool,
    *,
    most_tagged: int | None = None,
) -> list[SimulationAttempt]:
    """Return `attempts`, with denied ones simulated again with tags if policies use tags.

    The document's own tags (ssm:ListTagsForResource) and the principal's (iam:GetUser) are
    looked up. A denial remains only if everything that it may depend on is known: a condition
    key that only the live request has, such as a tag of a role session, or a tag that could not be
    read makes it an `Unknown`. Makes at most four calls for one attempt, and one more for a name
    that may mean two documents.

    `most_tagged`: for how many documents tags are looked up, None for all. The node's tags are
    not looked up: a document does not have them.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    if not any(denied(attempt.decision) for attempt in attempts):
        return list(attempts)
    lookups = tags.Lookups(clients.iam, caller)
    sources = _Sources(clients, caller, most_tagged)
    last = list(attempts)
    for turn in range(max(len(attempt.questions) for attempt in attempts)):
        found: dict[int, tuple[Question, tags.Found]] = {}
        for number, first in enumerate(attempts):
            now = last[number]
            if turn < len(first.questions) and denied(now.decision) == first.questions[turn]:
                question = first.questions[turn]
                own, about = sources.of(question), _about(question, now)
                found[number] = question, look_up(lookups, question, now.decision, about, own)
        again = _with_tags(clients, last, found, allow_wildcard_grants)
        for number, (question, tags_found) in found.items():
            before, last[number] = last[number], again.get(number, last[number])
            # Not for a denial of another document that the request may mean.
            if number not in again or denied(last[number].decision) not in before.questions:
                decision = settled(lookups, question, last[number].decision, tags_found)
                last[number] = replace(last[number], decision=decision)
    return last


def _with_tags(
    clients: Clients,
    attempts: Sequence[SimulationAttempt],
    found: Mapping[int, tuple[Question, tags.Found]],
    allow_wildcard_grants: bool,
) -> dict[int, SimulationAttempt]:
    """Simulate the denied questions with tags again. Return attempts by number."""
    asked = {
        number: question.with_context(tags_found.entries)
        for number, (question, tags_found) in found.items()
        if tags_found.entries
    }
    answers = simulate_questions(clients.iam, [(question, None) for question in asked.values()])
    answered = []
    for (number, question), answer in zip(asked.items(), answers, strict=True):
        arn, first = question.resource_arn, attempts[number]
        if isinstance(answer, Unknown):
            answered.append(Answered(first.request, first.questions, first.evaluations, answer))
            continue
        questions = tuple(question if q.resource_arn == arn else q for q in first.questions)
        others = tuple(e for e in first.evaluations if e.resource_arn != arn)
        answered.append(Answered(first.request, questions, (*others, *answer)))
    return dict(
        zip(asked, decide_answered(clients.iam, answered, allow_wildcard_grants), strict=True)
    )


def out_of_time(clients: Clients, caller: Caller, first: SimulationAttempt) -> SimulationAttempt:
    """Return `first` for a `resimulate` that took too long: what it would read is unknown."""
    question = denied(first.decision)
    if question is None or not isinstance(first.decision, Denial):
        return first
    missing = _missing(_about(question, first))
    found = tags.unread(caller, question, missing, document_source(clients, caller, question))
    return replace(first, decision=_unless_unknown(caller, question, first.decision, found))


def look_up(
    lookups: tags.Lookups,
    question: Question,
    decision: Decision | None,
    answers: Sequence[Evaluation],
    own: tags.Source | None,
) -> tags.Found:
    """Return the tags that may change `decision`, a denial of `question` in `answers`.

    On an explicit deny IAM reports no missing keys: iam:GetContextKeysForPrincipalPolicy returns
    the keys that the policies mention, without those of service control policies. If it may not be
    called, all tags are looked up. Makes at most three calls.
    """
    keys: Sequence[str] | None = _missing(answers)
    if isinstance(decision, Denial) and decision.reason_code == Reason.EXPLICIT_DENY:
        if decision.layer is Layer.ORGANIZATIONS:
            return tags.Found()
        keys = lookups.mentioned()
    return lookups.find(question, keys, own)


def settled(
    lookups: tags.Lookups, question: Question, decision: AnyDecision, found: tags.Found
) -> AnyDecision | Denial | Unknown:
    """Return `decision`, or an `Unknown` for a denial that may depend on an unknown value.

    `question` is the one that was simulated first, `found` what was looked up for it. Makes at most
    one call, if the keys that the policies mention are not known yet.
    """
    # The caller's own policies do not show what a service control policy depends on.
    if (
        not isinstance(decision, Denial)
        or decision.reason_code == Reason.NOT_NAMED
        or decision.layer is Layer.ORGANIZATIONS
    ):
        return decision
    settled = _unless_unknown(lookups.caller, question, decision, found)
    if isinstance(settled, Unknown):
        return settled
    return _unless_live(lookups.caller, question, decision, lookups.mentioned() or ())


def _unless_unknown(
    caller: Caller, question: Question, denial: Denial, found: tags.Found
) -> Denial | Unknown:
    decision = _unless_live(caller, question, denial, found.keys)
    return unless_unread(decision, found.unread) if isinstance(decision, Denial) else decision


def _unless_live(
    caller: Caller, question: Question, denial: Denial, keys: Sequence[str]
) -> Denial | Unknown:
    return unknown_if_live(denial, keys, tags.session_tags(caller, question, keys))


def document_source(clients: Clients, caller: Caller, question: Question) -> tags.Source | None:
    """Return where the tags of the document of `question` come from.

    None if it is not of the caller's account and region: AWS's documents have no tags that a
    customer could set or list.
    """
    own_prefix = f"arn:{clients.partition}:ssm:{clients.region}:{caller.account}:document"
    prefix, _, name = question.resource_arn.partition("/")
    if prefix != own_prefix:
        return None
    return tags.Source(
        lambda: tags.document_tags(clients.ssm, name),
        "could not be read (ssm:ListTagsForResource)",
    )


class _Sources:
    """The sources of documents' tags, for at most `most` documents if that is not None."""

    def __init__(self, clients: Clients, caller: Caller, most: int | None) -> None:
        self._clients, self._caller, self._most = clients, caller, most
        self._read = 0

    def of(self, question: Question) -> tags.Source | None:
        own = document_source(self._clients, self._caller, question)
        if own is None or self._most is None:
            return own
        if self._read == self._most:
            unread = f"is read for {self._most} documents only ('ssmgate check' reads it for one)"
            return tags.Source(lambda: None, unread)

        def read() -> tags.Tags | None:
            self._read += 1
            return own.read()

        return tags.Source(read, own.unread)


def denied(decision: Decision | None) -> Question | None:
    """Return the question that IAM denied, also if the denial may depend on live context."""
    match decision:
        case Denial(reason_code=Reason.NOT_NAMED):
            return None
        case Denial() | Unknown(reason_code=Reason.LIVE_CONTEXT):
            return decision.question
    return None


def _about(question: Question, attempt: SimulationAttempt) -> tuple[Evaluation, ...]:
    return tuple(e for e in attempt.evaluations if e.resource_arn == question.resource_arn)


def _missing(answers: Sequence[Evaluation]) -> tuple[str, ...]:
    return tuple(key for answer in answers for key in answer.missing_context)
