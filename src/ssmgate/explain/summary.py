"""Explain a denied session in one line."""

from __future__ import annotations

import os

from ssmgate.explain import reasons, short, sources
from ssmgate.explain.evidence import nearest_misses, request_of
from ssmgate.explain.near_miss import Place, nearest
from ssmgate.explain.policies import PolicyReader
from ssmgate.gate.access.authorize import Authorization
from ssmgate.gate.decision import denial_text
from ssmgate.gate.decision.access_errors import AccessError
from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.decision import Denial, Layer
from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.target import target_arn
from ssmgate.gate.system import signals
from ssmgate.policy_language import EvalDecision, evaluate

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


def summary(authorization: Authorization, seconds: float) -> str:
    """Return the statement that came closest and what it lacks, in one short line.

    The line is empty if the caller may not read its policies. They are read for at most
    `seconds`. The decision was made before and does not change.
    """
    denial, caller = authorization.decision, authorization.caller
    if caller is None or not isinstance(denial, Denial):
        return ""
    if denial.layer is Layer.ORGANIZATIONS:  # a member account may not read those
        return ""
    reader = PolicyReader(authorization.clients.iam, MAX_CALLS)
    try:
        with signals.time_limit(seconds):
            reader.read(caller, boundary=denial.layer is Layer.BOUNDARY)
    except signals.TimeLimitExceeded:
        pass  # use what was read until now
    known = sources.read(reader.texts)
    if denial.reason_code == Reason.NOT_NAMED:
        attempt = authorization.attempt
        allowing = reasons.answer(denial, attempt.questions, attempt.evaluations)
        found = sources.with_text(allowing, denial.matched_statements, known).statements[:1]
        return "".join(
            f"{sources.place(s.policy, s.sid, s.line)}: allows it by a wildcard" for s in found
        )
    return _closest(denial, known, authorization)


def _closest(denial: Denial, known: sources.Sources, authorization: Authorization) -> str:
    evaluation = evaluate(request_of(denial.question), known.policies)
    explicit = evaluation.eval_decision is EvalDecision.EXPLICIT_DENY
    if explicit is not (denial.reason_code == Reason.EXPLICIT_DENY):
        return ""  # the policy that decided is not among these
    explanation = nearest(evaluation)
    for denying in explanation.denials[:1]:
        return _line(denying.place, short.denial(denying))
    for miss in nearest_misses(explanation)[:1]:
        clients = authorization.clients
        node = target_arn(
            authorization.invocation.request.target,
            partition=clients.partition,
            region=clients.region,
            account=account_of(denial.question.policy_source_arn),
        )
        return _line(miss.place, short.miss(miss, denial.question.resource_arn, node))
    return ""


def _line(where: Place, what: str) -> str:
    return f"{sources.place(where.source_policy_id, where.sid, where.line)}: {what}"
