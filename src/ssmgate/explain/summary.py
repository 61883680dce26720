"""The short form of an explanation, for a denied session."""

from __future__ import annotations

import os

from ssmgate.explain import reasons, sources
from ssmgate.explain.evidence import explained
from ssmgate.explain.policies import PolicyReader
from ssmgate.explain.report import Answer
from ssmgate.gate.access.authorize import Authorization
from ssmgate.gate.decision import denial_text
from ssmgate.gate.decision.access_errors import AccessError
from ssmgate.gate.decision.decision import Denial, Layer
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.system import signals

EXPLAIN_SECONDS = 5
"""How long a person waits for the explanation of a denial."""

MAX_CALLS = 10
"""Calls to read policies with: a person waits for the error."""


def explain(error: GateError) -> None:
    """Fill in `nearest` of `error`, a denial with its evidence, if it will be shown.

    The denial is certain before. Raises whatever goes wrong here.
    """
    if (
        isinstance(error, AccessError)
        and isinstance(error.evidence, Authorization)
        and denial_text.has_time(error, error.error_format, terminal=os.isatty(2))
    ):
        error.nearest = summary(error.evidence, EXPLAIN_SECONDS)


def summary(examination: Authorization, seconds: float) -> str:
    """Return the statement that came closest and what it lacks, in one line.

    It is empty where the caller may not read its policies. They are read for at most `seconds`.
    The outcome is certain before, and nothing here can change it.
    """
    refusal, caller = examination.outcome, examination.caller
    if caller is None or not isinstance(refusal, Denial):
        return ""
    if refusal.layer is Layer.ORGANIZATIONS:  # a member account may not read those
        return ""
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
    return _line(explained(answer, known))


def _line(answer: Answer) -> str:
    for near in answer.nearest[:1]:
        return f"{sources.place(near.policy, near.sid, near.line)}: {near.sentence}"
    for statement in answer.statements:
        if statement.text is not None:
            return sources.place(statement.policy, statement.sid, statement.line)
    return ""
