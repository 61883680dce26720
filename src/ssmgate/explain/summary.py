"""The short form of an explanation, for the refusal of a start."""

from __future__ import annotations

from ssmgate.explain import reasons, sources
from ssmgate.explain.evidence import explained
from ssmgate.explain.policies import PolicyReader
from ssmgate.explain.report import DENY, Answer
from ssmgate.gate.access.authorize import Authorization
from ssmgate.gate.decision.decision import Denial, Layer
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.system import signals

EXPLAIN_SECONDS = 5
"""How long a person waits for the explanation of a denial."""

MAX_LINES = 10
"""Lines of a denial, its explanation included."""

MAX_CALLS = 10
"""Calls to read policies with: a person waits for the refusal."""


def explain(error: GateError) -> None:
    """Add to the notes of `error`, a denial with its evidence, what came close, as lines are left.

    The denial is certain before. Raises whatever goes wrong here.
    """
    left = MAX_LINES - 1 - len(error.notes) - len(error.hints)
    if left > 0 and isinstance(error.evidence, Authorization):
        error.notes += summary(error.evidence, EXPLAIN_SECONDS)[:left]


def summary(examination: Authorization, seconds: float) -> tuple[str, ...]:
    """What came close, a line each, the most telling first; empty where nobody may read.

    The policies of the caller are read for at most `seconds`. The outcome is certain before and
    no part of what is returned.
    """
    refusal, caller = examination.outcome, examination.caller
    if caller is None or not isinstance(refusal, Denial):
        return ()
    if refusal.layer is Layer.ORGANIZATIONS:  # a member account may not read those
        return ()
    reader = PolicyReader(examination.clients.iam, MAX_CALLS)
    try:
        with signals.time_limit(seconds):
            reader.read(caller, boundary=refusal.layer is Layer.BOUNDARY)
    except signals.TimeLimitExceeded:
        pass  # what was read is read
    known = sources.read(reader.gathered)
    look = examination.look
    answer = sources.with_text(
        reasons.answer(refusal, look.questions, look.evaluations),
        refusal.matched_statements,
        known,
    )
    return tuple(_lines(explained(answer, known), complete=not known.unread))


def _lines(answer: Answer, *, complete: bool) -> list[str]:
    """`complete`: whether all policies were read. Without, what to write is not certain."""
    lines = [
        f"{'denied by' if n.part == DENY else 'nearest'}:"
        f" {sources.place(n.policy, n.sid, n.line)}: {n.sentence}"
        for n in answer.nearest[:1]
    ] or [
        f"decided by {sources.place(s.policy, s.sid, s.line)}"
        for s in answer.statements[:1]
        if s.text is not None
    ]
    return [*lines, *answer.advice[:1]] if complete else lines
