"""After a denial, look up tags that the simulation lacked, and condition keys in policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ssmgate.gate.access.evaluate import Answered, decide_answered, simulate_questions
from ssmgate.gate.aws import tags
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.context_keys import is_tag, unknown_keys
from ssmgate.gate.decision.decision import (
    Decision,
    Denial,
    SimulationAttempt,
    Unknown,
)
from ssmgate.gate.decision.denial import keys_not_listable, unless_unknown, unless_unread
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.question import Caller, Question, is_principal_tag
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

    The document's own tags (ssm:ListTagsForResource) and the principal's (iam:GetUser, iam:GetRole)
    are looked up. A denial remains only if everything that it may depend on is known: any condition
    key whose value is not known, such as a tag of a role session or one that could not be read,
    makes it an `Unknown`. Makes at most four calls for one attempt, three more for an explicit deny
    in a permissions boundary, and one more for a name that may mean two documents.

    `most_tagged`: for how many documents tags are looked up, None for all. The node's tags are
    not looked up: a document does not have them.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    if not any(denied(attempt.decision) for attempt in attempts):
        return list(attempts)
    lookups = tags.Lookups(clients.iam, caller, clients.session)
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
    denial = _denial(first.decision)
    if denial is None:
        return first
    question = denial.question
    if denial.reason_code == Reason.EXPLICIT_DENY:
        return replace(first, decision=keys_not_listable(denial, "were not listed in time"))
    missing = _missing(_about(question, first))
    found = tags.unread(caller, question, missing, document_source(clients, caller, question))
    return replace(first, decision=_unless_unknown(denial, found.keys, found))


def look_up(
    lookups: tags.Lookups,
    question: Question,
    decision: Decision | None,
    answers: Sequence[Evaluation],
    own: tags.Source | None,
) -> tags.Found:
    """Return the tags that may change `decision`, a denial of `question` in `answers`.

    On an explicit deny IAM reports no missing keys: they are those that the policies mention. If
    these cannot be listed, all tags are looked up. Makes at most three calls, and three more for
    an explicit deny in a permissions boundary, whose text has to be read first.
    """
    denial = _denial(decision)
    if denial is not None and denial.reason_code == Reason.EXPLICIT_DENY:
        return lookups.find(question, lookups.keys_of(denial.layer)[0], own)
    return lookups.find(question, _missing(answers), own, together=True)


def settled(
    lookups: tags.Lookups, question: Question, decision: AnyDecision, found: tags.Found
) -> AnyDecision | Denial | Unknown:
    """Return `decision`, or an `Unknown` for a denial that may depend on an unknown value.

    `question` is the one that was simulated first, `found` what was looked up for it. An implicit
    deny depends on no more keys than IAM reports as missing. Makes as many calls as
    `Lookups.keys_of`, if the keys of an explicit deny have not been listed yet.
    """
    denial = _denial(decision)
    if denial is None:
        return decision
    if denial.reason_code != Reason.EXPLICIT_DENY:
        return _unless_unknown(denial, (*found.keys, *denial.missing_context), found)
    keys, why = lookups.keys_of(denial.layer)
    if keys is None:
        return keys_not_listable(denial, why)
    return _unless_unknown(denial, keys, found)


def _unless_unknown(denial: Denial, keys: Sequence[str], found: tags.Found) -> Denial | Unknown:
    unknown = unknown_keys(denial.question, keys)
    live = [k for k in unknown if not is_tag(k) or (found.session_tags and is_principal_tag(k))]
    decision = unless_unknown(denial, live)
    if isinstance(decision, Unknown):
        return decision
    return unless_unread(denial, [(key, why) for key in unknown if (why := found.unread(key))])


def _denial(decision: Decision | None) -> Denial | None:
    """Return the denial by IAM that `decision` is, or that it may be."""
    if isinstance(decision, Unknown):
        return decision.denial
    if isinstance(decision, Denial) and decision.reason_code != Reason.NOT_NAMED:
        return decision
    return None


def document_source(clients: Clients, caller: Caller, question: Question) -> tags.Source | None:
    """Return where the tags of the document of `question` come from.

    None for AWS's documents: they have no tags that a customer could set or list. Those of another
    account or region cannot be read here.
    """
    own_prefix = f"arn:{clients.partition}:ssm:{clients.region}:{caller.account}:document"
    prefix, _, name = question.resource_arn.partition("/")
    if not account_of(question.resource_arn):
        return None
    if prefix != own_prefix:
        return tags.Source(lambda: None, "ssmgate does not read in other accounts and regions")
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
        """Return the source for the document of `question`, None as `document_source`."""
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
    """Return the question that IAM denied, also if the denial may not be final."""
    denial = _denial(decision)
    return None if denial is None else denial.question


def _about(question: Question, attempt: SimulationAttempt) -> tuple[Evaluation, ...]:
    return tuple(e for e in attempt.evaluations if e.resource_arn == question.resource_arn)


def _missing(answers: Sequence[Evaluation]) -> tuple[str, ...]:
    return tuple(key for answer in answers for key in answer.missing_context)
