"""Check one session: the document as the gate does it, the target separately, and explain both."""

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
from ssmgate.gate.access.controls import simulate_controls
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import errors, simulate, simulate_several
from ssmgate.gate.aws.asking_session import only_ask
from ssmgate.gate.aws.clients import open_clients
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Decision, Denial, Permit, Unknown, decide_about
from ssmgate.gate.decision.evaluation import Evaluation, MatchedStatement
from ssmgate.gate.decision.grant import Grant, grant, statements
from ssmgate.gate.decision.messages import least_statement, simulate_statement
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.system import signals

TARGET_SECONDS = 30
"""Time limit for simulating the target."""

EXPLAIN_SECONDS = 30
"""Time limit for the explanatory simulations, and again for reading policies."""

MAX_CALLS = 60
"""How many calls may be made to read policies, without retries."""


@dataclass(slots=True)
class _Found:
    """An unfinished report, with the evidence that its explanation needs."""

    report: Report
    matched: tuple[MatchedStatement, ...] = ()
    target_matched: tuple[MatchedStatement, ...] = ()


def check(invocation: Invocation, config: Config, *, explain: bool) -> Report:
    """Return whether the caller may start the session: the document and the target separately.

    With `explain`, the report also has how explicit the grant is, whether the policies make the
    service check the document, the data channel, and the caller's policies if they can be read.
    An explanation cannot change an answer. Raises `GateError` and botocore's errors for an
    invalid command line or configuration; an error of a service is an unknown answer instead.
    """
    only_ask(invocation.session)
    try:
        clients = open_clients(invocation.session, invocation.options, config)
        examination = authorize(invocation, clients, config)
    except Exception as error:
        if not errors.of_a_service(error):
            raise errors.translate(error) from error
        return _not_asked(invocation, "", errors.cannot_ask(error))
    clients, caller = examination.clients, examination.caller
    if caller is None:
        report = _not_asked(invocation, clients.region, examination.decision)
        return replace(report, endpoints=examination.endpoints)
    builder = QuestionBuilder.live(caller, invocation, clients, config)
    target = simulate_target_of(examination, builder)
    look = examination.attempt
    obstacle = None if isinstance(look.decision, Permit) else look.decision
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
    _add_policies(found, sources.read(reader.texts))
    return found.report


def _not_asked(invocation: Invocation, region: str, why: Decision) -> Report:
    unknown = Unknown(Reason.IDENTITY, "nobody knows who asks")
    answer = reasons.answer(why if isinstance(why, Unknown) else unknown, (), ())
    return Report(invocation.request, region, None, answer, answer)


def simulate_target_of(examination: Authorization, builder: QuestionBuilder) -> TargetAttempt:
    """Return what IAM answers about the target of the request, within `TARGET_SECONDS`."""
    request = examination.invocation.request
    try:
        with signals.time_limit(TARGET_SECONDS):
            return simulate_target(
                examination.clients,
                builder,
                request.target,
                request.document_name,
            )
    except signals.TimeLimitExceeded:
        return TargetAttempt(Unknown(Reason.TIMED_OUT, f"IAM took longer than {TARGET_SECONDS} s"))


# With these reasons, another allow statement would help.
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
    if not examination.attempt.questions or codes & DENIES or not codes & _LACKS_AN_ALLOW:
        return None
    request = examination.invocation.request
    return _parsed(least_statement(examination.attempt.questions[0], request))


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
    look, answer = examination.attempt, found.report.document
    not_named = isinstance(look.decision, Denial) and look.decision.reason_code == Reason.NOT_NAMED
    if not (isinstance(look.decision, Permit) or not_named):
        return
    controls = look.controls
    if not controls:
        ((controls, _),) = simulate_controls(examination.clients.iam, [look])
    how = [_how(examination, question, look.evaluations, controls) for question in look.questions]
    # A request may mean two documents: the result is the less explicit of the two grants.
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
    how = grant(question, evaluations, controls)
    answers = [e for e in evaluations if e.resource_arn == question.resource_arn]
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
    controls_elsewhere = simulate_several.simulate_together(
        examination.clients.iam,
        [replace(question, resource_arn=arn) for arn in elsewhere],
        datetime.now(UTC),
    )
    if isinstance(controls_elsewhere, Unknown) or len(controls_elsewhere) != len(elsewhere):
        return how
    everywhere = all(statements(answers) <= statements([other]) for other in controls_elsewhere)
    return Grant.ANY if everywhere else how


def _add_data_channel(found: _Found, examination: Authorization, builder: QuestionBuilder) -> None:
    question = builder.data_channel()
    evaluations = simulate.simulate(examination.clients.iam, question, datetime.now(UTC))
    if isinstance(evaluations, Unknown):
        answer = reasons.answer(evaluations, (question,), ())
    else:
        answer = reasons.answer(decide_about(question, evaluations), (question,), evaluations)
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
    denies = answer.reason_code in (Reason.EXPLICIT_DENY, Reason.KEYS_NOT_LISTABLE)
    if denies and answer.layer and not answer.advice:
        exempt = (
            f"an explicit deny outweighs every allow: ask the owner of that {answer.layer} to"
            f" exempt {answer.questions[-1].resource_arn}"
        )
        return replace(answer, advice=(exempt,))
    return answer
