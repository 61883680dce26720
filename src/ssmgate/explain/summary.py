"""Explain a denied session in one line."""

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
"""Time limit for explaining a denial: the user is waiting for the error."""

MAX_CALLS = 10
"""How many calls may be made to read policies: the user is waiting for the error."""


def explain(error: GateError) -> None:
    """Set `nearest` of `error` if it is a denial with its evidence, and `nearest` will be shown.

    The decision was made before and does not change. Raises any error of the explanation itself.
    """
    if (
        isinstance(error, AccessError)
        and isinstance(error.evidence, Authorization)
        and denial_text.has_time(error, error.error_format, terminal=os.isatty(2))
    ):
        error.nearest = summary(error.evidence, EXPLAIN_SECONDS)


def summary(examination: Authorization, seconds: float) -> str:
    """Return the statement that came closest and what it lacks, in one line.

    The line is empty if the caller may not read its policies. They are read for at most
    `seconds`. The decision was made before and does not change.
    """
    denial, caller = examination.decision, examination.caller
    if caller is None or not isinstance(denial, Denial):
        return ""
    if denial.layer is Layer.ORGANIZATIONS:  # a member account may not read those
        return ""
    reader = PolicyReader(examination.clients.iam, MAX_CALLS)
    try:
        with signals.time_limit(seconds):
            reader.read(caller, boundary=denial.layer is Layer.BOUNDARY)
    except signals.TimeLimitExceeded:
        pass  # use what was read until now
    known = sources.read(reader.texts)
    look = examination.attempt
    answer = sources.with_text(
        reasons.answer(denial, look.questions, look.evaluations),
        denial.matched_statements,
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
