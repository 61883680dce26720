"""Simulate the documents that one or many requests may mean, and decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.decision import SimulationAttempt, Unknown, decide, decide_about
from ssmgate.gate.decision.evaluation import Evaluation
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.request import SessionRequest


@frozen
class Answered:
    """A request, the questions about its documents, and IAM's answers to them.

    `unknown` says why `evaluations` are incomplete, and is None where they are complete.
    """

    request: SessionRequest
    questions: tuple[Question, ...]
    evaluations: tuple[Evaluation, ...]
    unknown: Unknown | None = None


def simulate_requests(
    iam: Any,
    requests: Sequence[tuple[SessionRequest, tuple[Question, ...]]],
    allow_wildcard_grants: bool,
) -> list[SimulationAttempt]:
    """Simulate each of `requests`, which come with their questions, and decide it.

    Without `allow_wildcard_grants` the controls of allowed documents are simulated too.
    """
    answers = _in_turn(iam, [[(q, None) for q in questions] for _, questions in requests])
    answered = [
        Answered(*request, *answer) for request, answer in zip(requests, answers, strict=True)
    ]
    return decide_answered(iam, answered, allow_wildcard_grants)


def decide_answered(
    iam: Any, answered: Sequence[Answered], allow_wildcard_grants: bool
) -> list[SimulationAttempt]:
    """Decide each of `answered`; without `allow_wildcard_grants` after simulating its controls."""
    controls: dict[int, tuple[tuple[Evaluation, ...], Unknown | None]] = {}
    if not allow_wildcard_grants:
        # Imported only here, as wildcard grants are allowed by default.
        from ssmgate.gate.access.controls import simulate_controls

        allowed = [
            number
            for number, one in enumerate(answered)
            if one.unknown is None
            and all(decide_about(question, one.evaluations) is None for question in one.questions)
        ]
        answers = simulate_controls(iam, [answered[number] for number in allowed])
        controls = dict(zip(allowed, answers, strict=True))
    attempts = []
    for number, one in enumerate(answered):
        evaluations, unknown = controls.get(number, ((), one.unknown))
        decision = unknown or decide(
            one.request,
            one.questions,
            one.evaluations,
            allow_wildcard_grants=allow_wildcard_grants,
            controls=evaluations,
        )
        attempts.append(
            SimulationAttempt(
                one.request,
                one.questions,
                one.evaluations,
                decision,
                () if unknown else evaluations,
            )
        )
    return attempts


def _in_turn(
    iam: Any, asked: Sequence[Sequence[tuple[Question, str | None]]]
) -> list[tuple[tuple[Evaluation, ...], Unknown | None]]:
    """Simulate the questions of each request in turn, until one of them is unknown."""
    found: list[tuple[tuple[Evaluation, ...], Unknown | None]] = [((), None)] * len(asked)
    for turn in range(max(map(len, asked), default=0)):
        numbers = [
            number
            for number, questions in enumerate(asked)
            if turn < len(questions) and found[number][1] is None
        ]
        answers = simulate_questions(iam, [asked[number][turn] for number in numbers])
        for number, answer in zip(numbers, answers, strict=True):
            before, _ = found[number]
            if isinstance(answer, Unknown):
                found[number] = before, answer
            else:
                found[number] = (*before, *answer), None
    return found


def simulate_questions(
    iam: Any, asked: Sequence[tuple[Question, str | None]]
) -> list[tuple[Evaluation, ...] | Unknown]:
    """Simulate each question, with the boundary that replaces the caller's, if not None.

    Questions that differ only in the resource share one call: others would share their context
    too. If that call's answer leaves a question open, it is simulated again alone, so that an
    answer does not depend on which documents are simulated together.
    """
    groups: dict[object, list[int]] = {}
    for number, (question, boundary) in enumerate(asked):
        shared = (question.policy_source_arn, question.action, question.context, boundary)
        groups.setdefault(shared, []).append(number)
    answers: list[tuple[Evaluation, ...] | Unknown] = [()] * len(asked)
    for numbers in groups.values():
        questions, boundary = [asked[number][0] for number in numbers], asked[numbers[0]][1]
        for number, answer in zip(numbers, _simulate_group(iam, questions, boundary), strict=True):
            answers[number] = answer
    return answers


def _simulate_group(
    iam: Any, questions: Sequence[Question], boundary: str | None
) -> list[tuple[Evaluation, ...] | Unknown]:
    if len(questions) == 1:
        return [simulate.simulate(iam, questions[0], datetime.now(UTC), boundary=boundary)]
    # Imported only here, as most requests mean one document.
    from ssmgate.gate.access import shared_simulation

    return shared_simulation.simulate_group(iam, questions, boundary)
