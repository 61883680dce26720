"""One check: the document as the gate asks, the target apart, and what explains both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ssmgate.explain import reasons, sources
from ssmgate.explain.evidence import DENIES, explained
from ssmgate.explain.policies import PolicyReader
from ssmgate.explain.report import Answer, Report, Verdict
from ssmgate.explain.target import TargetAttempt, simulate_target
from ssmgate.gate.access.authorize import Authorization, authorize
from ssmgate.gate.access.evaluate import simulate_controls
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import errors, simulate, simulate_several
from ssmgate.gate.aws.asking_session import only_ask
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Denial, Outcome, Permit, Unknown, verdict
from ssmgate.gate.decision.evaluation import Evaluation, MatchedStatement
from ssmgate.gate.decision.grant import Grant, grant, statements
from ssmgate.gate.decision.messages import least_statement, simulate_statement
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.system import signals

TARGET_SECONDS = 30
"""How long it may take to ask about the target."""

EXPLAIN_SECONDS = 30
"""How long it may take to ask why, and then to read policies, once the answers are certain."""

MAX_CALLS = 60
"""Calls to read policies with, retries aside."""


@dataclass(slots=True)
class _Found:
    """A report in the making, with the evidence that its explanation needs."""

    report: Report
    matched: tuple[MatchedStatement, ...] = ()
    target_matched: tuple[MatchedStatement, ...] = ()


def check(invocation: Invocation, config: Config, *, explain: bool) -> Report:
    """Ask whether `invocation` may start its session: the document and the target apart.

    With `explain` also how explicit the grant is, whether the policies have the service check
    it, the data channel, and the caller's policies where they may be read. Nothing that
    explains can change an answer. Raises `GateError` and botocore's errors for the command line
    and the configuration; what services fail to say is an answer.
    """
    only_ask(invocation.session)
    try:
        examination = authorize(invocation, config)
    except Exception as error:
        if not errors.of_a_service(error):
            raise errors.translate(error) from error
        return _nobody_asked(invocation, "", errors.cannot_ask(error))
    clients, caller = examination.clients, examination.caller
    if caller is None:
        nobody = _nobody_asked(invocation, clients.region, examination.outcome)
        return replace(nobody, endpoints=examination.endpoints)
    builder = QuestionBuilder.live(caller, invocation, clients, config)
    target = ask_target(examination, builder)
    look = examination.look
    obstacle = None if isinstance(look.outcome, Permit) else look.outcome
    document = reasons.of_attempt(look)
    report = Report(
        invocation.request,
        clients.region,
        caller,
        document,
        replace(
            reasons.answer(target.obstacle, target.questions, target.evaluations),
            enforced=target.demanded,
        ),
        endpoints=examination.endpoints,
    )
    report = replace(report, ask_for=_ask_for(examination, report))
    if not explain:
        return report
    found = _Found(
        report,
        _matched(obstacle, look.evaluations),
        _matched(target.obstacle, target.evaluations),
    )
    with _at_most(EXPLAIN_SECONDS):
        _add_grant(found, examination)
        _add_data_channel(found, examination, builder)
    reader = PolicyReader(clients.iam, MAX_CALLS)
    with _at_most(EXPLAIN_SECONDS):
        reader.read(caller)
    _add_policies(found, sources.read(reader.gathered))
    return found.report


def _nobody_asked(invocation: Invocation, region: str, why: Outcome) -> Report:
    unknown = Unknown(Reason.IDENTITY, "nobody knows who asks")
    answer = reasons.answer(why if isinstance(why, Unknown) else unknown, (), ())
    return Report(invocation.request, region, None, answer, answer)


def ask_target(examination: Authorization, builder: QuestionBuilder) -> TargetAttempt:
    """What IAM says about the target of the examined request."""
    request = examination.invocation.request
    try:
        with signals.time_limit(TARGET_SECONDS):
            return simulate_target(
                examination.clients,
                builder,
                request.target,
                named=request.document_name is not None,
            )
    except signals.TimeLimitExceeded:
        return TargetAttempt(Unknown(Reason.TIMED_OUT, f"IAM took longer than {TARGET_SECONDS} s"))


# An allow helps against these.
_LACKS_AN_ALLOW = {
    Reason.IMPLICIT_DENY,
    Reason.NOT_NAMED,
    Reason.LIVE_CONTEXT,
    Reason.TAGS_UNKNOWN,
    Reason.ACCESS_CHECK_UNKNOWN,
}


def _ask_for(examination: Authorization, report: Report) -> dict[str, object] | None:
    codes = {report.document.reason_code, report.target.reason_code}
    if report.caller is not None and Reason.NOT_ALLOWED_TO_SIMULATE in codes:
        return _parsed(simulate_statement(report.caller))
    if not examination.look.questions or codes & DENIES or not codes & _LACKS_AN_ALLOW:
        return None
    request = examination.invocation.request
    return _parsed(least_statement(examination.look.questions[0], request))


def _parsed(statement: str) -> dict[str, object]:
    parsed: dict[str, object] = json.loads(statement)
    return parsed


def _matched(
    obstacle: Denial | Unknown | None, evaluations: tuple[Evaluation, ...]
) -> tuple[MatchedStatement, ...]:
    if isinstance(obstacle, Unknown):
        return ()
    if obstacle is not None:
        return obstacle.matched_statements
    return tuple(dict.fromkeys(s for e in evaluations for s in e.matched_statements))


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    try:
        with signals.time_limit(seconds):
            yield
    except signals.TimeLimitExceeded:
        return


def _add_grant(found: _Found, examination: Authorization) -> None:
    look, answer = examination.look, found.report.document
    refused = isinstance(look.outcome, Denial) and look.outcome.reason_code == Reason.NOT_NAMED
    if not (isinstance(look.outcome, Permit) or refused):
        return
    controls = look.controls
    if not controls:
        ((controls, _),) = simulate_controls(examination.clients.iam, [look])
    how = [_how(examination, question, look.evaluations, controls) for question in look.questions]
    # Of a request that may mean two documents, the one that is granted less explicitly counts.
    order = (Grant.UNKNOWN, Grant.ANY, Grant.WILDCARD, Grant.NAMED)
    found.report = replace(
        found.report, document=replace(answer, grant=min(how, key=order.index).value)
    )


def _how(
    examination: Authorization,
    question: Question,
    evaluations: tuple[Evaluation, ...],
    controls: tuple[Evaluation, ...],
) -> Grant:
    answers = [e for e in evaluations if e.resource_arn == question.resource_arn]
    control_arn = question.control().resource_arn
    how = grant(answers, [c for c in controls if c.resource_arn == control_arn])
    if how is not Grant.WILDCARD:
        return how
    _, partition, _, region, account, _ = question.resource_arn.split(":", 5)
    account = account or "000000000000"
    elsewhere = (
        f"arn:{partition}:ssm:{region}:999999999999:document/no-such-document",
        f"arn:{partition}:ec2:{region}:{account}:instance/i-00000000000000000",
        f"arn:{partition}:ssm:{region}:{account}:managed-instance/mi-00000000000000000",
        f"arn:{partition}:ecs:{region}:{account}:task/none/00000000000000000000000000000000",
    )
    told = simulate_several.simulate_together(
        examination.clients.iam,
        [replace(question, resource_arn=arn) for arn in elsewhere],
        datetime.now(UTC),
    )
    if isinstance(told, Unknown) or len(told) != len(elsewhere):
        return how
    everywhere = all(statements(answers) <= statements([other]) for other in told)
    return Grant.ANY if everywhere else how


def _add_data_channel(found: _Found, examination: Authorization, builder: QuestionBuilder) -> None:
    question = builder.data_channel()
    told = simulate.simulate(examination.clients.iam, question, datetime.now(UTC))
    if isinstance(told, Unknown):
        answer = reasons.answer(told, (question,), ())
    else:
        answer = reasons.answer(verdict(question, told), (question,), told)
    found.report = replace(found.report, data_channel=answer)


def _add_policies(found: _Found, known: sources.Sources) -> None:
    report = found.report
    found.report = replace(
        report,
        unread=known.unread,
        document=_explained(report.document, found.matched, known),
        target=_explained(report.target, found.target_matched, known),
    )


def _explained(
    answer: Answer, matched: tuple[MatchedStatement, ...], known: sources.Sources
) -> Answer:
    answer = sources.with_text(answer, matched, known)
    if answer.verdict is Verdict.ALLOWED:
        return answer
    answer = explained(answer, known)
    if answer.reason_code == Reason.EXPLICIT_DENY and not answer.advice:
        exempt = (
            f"an explicit deny outweighs every allow: ask the owner of that {answer.layer} to"
            f" exempt {answer.questions[-1].resource_arn}"
        )
        return replace(answer, advice=(exempt,))
    return answer
