"""Check one session: the document as the gate does it, the target separately, and explain both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ssmgate.explain import (
    data_channel,
    depends,
    exclusion,
    listing,
    proposals,
    reasons,
    session_documents,
    settle,
    sources,
)
from ssmgate.explain.evidence import explained, placed
from ssmgate.explain.key_mistakes import key_mistakes
from ssmgate.explain.policies import PolicyReader
from ssmgate.explain.report import Answer, Report, Verdict
from ssmgate.explain.target import TargetAttempt, UntaggedSimulation, simulate_target
from ssmgate.gate.access.authorize import Authorization, authorize
from ssmgate.gate.access.controls import simulate_controls
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import assumed_role, errors, simulate_several, tags
from ssmgate.gate.aws.asking_session import only_ask
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Decision, Denial, Permit, Unknown
from ssmgate.gate.decision.evaluation import Evaluation, MatchedStatement
from ssmgate.gate.decision.grant import Grant, grant, statements
from ssmgate.gate.decision.messages import simulate_statement
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.system import signals

TARGET_SECONDS = 30
"""Time limit for simulating the target."""

EXPLAIN_SECONDS = 30
"""Time limit for the explanatory simulations, and again for reading policies."""

MAX_CALLS = 60
"""How many calls may be made to read policies, without retries."""

_SIMULATION_DENIED = (
    "an explicit deny covers iam:SimulatePrincipalPolicy, often in a policy that requires MFA or"
    " certain addresses. Try again with MFA, or ask the owner of that policy to exempt the action"
)


@dataclass(slots=True)
class _Found:
    """An unfinished report, with the evidence that its explanation needs."""

    report: Report
    authorization: Authorization
    builder: QuestionBuilder
    target: TargetAttempt

    @property
    def clients(self) -> Clients:
        """Return the clients of the authorization."""
        return self.authorization.clients

    @property
    def caller(self) -> Caller:
        """Return the caller whom the questions are about."""
        return self.builder.caller


def check(
    invocation: Invocation, config: Config, *, explain: bool, without: Sequence[str] = ()
) -> Report:
    """Return whether the caller may start the session: the document and the target separately.

    With `explain`, the report also has how explicit the grant is, whether the policies make the
    service check the document, the data channel, the caller's policies if they can be read, and
    what has to be changed. An explanation cannot change an answer. `without` are policies to
    exclude from every simulation (`exclusion.exclude`). Raises `GateError` and botocore's errors
    for an invalid command line or configuration; an error of a service is an unknown answer
    instead.
    """
    only_ask(invocation.session)
    try:
        clients = open_clients(invocation.session, invocation.options, config)
        if without:
            clients.resolve_checker()
            exclusion.exclude(clients.iam, without)
        authorization = authorize(invocation, clients, config)
    except Exception as error:
        if not errors.of_a_service(error):
            raise errors.translate(error) from error
        return _not_asked(invocation, "", errors.cannot_ask(error))
    clients, caller = authorization.clients, authorization.caller
    if caller is None:
        report = _not_asked(invocation, clients.region, authorization.decision)
        return replace(report, endpoints=authorization.endpoints)
    builder = QuestionBuilder.live(caller, invocation, clients, config)
    target = simulate_target_of(authorization, builder)
    report = Report(
        invocation.request,
        clients.region,
        caller,
        reasons.of_attempt(authorization.attempt),
        replace(
            reasons.answer(target.obstacle, target.questions, target.evaluations),
            enforced=target.demanded,
        ),
        without=tuple(without),
        endpoints=authorization.endpoints,
    )
    found = _Found(report, authorization, builder, target)
    with _at_most(EXPLAIN_SECONDS):
        _add_missing_default(found, explain=explain)
    if explain:
        _explain(found)
    return found.report


def _explain(found: _Found) -> None:
    with _at_most(EXPLAIN_SECONDS):
        _add_grant(found)
        _add_data_channel(found)
    reader = PolicyReader(found.clients.iam, MAX_CALLS)
    with _at_most(EXPLAIN_SECONDS):
        reader.read(found.caller)
    known = sources.read(reader.texts)
    _add_policies(found, known)
    if channel := found.report.data_channel:
        channel = settle.settled(channel, found.caller, known)
        found.report = replace(found.report, data_channel=channel)
    _add_mistakes(found, known)
    _add_session_policies(found)
    tried = False
    with _at_most(EXPLAIN_SECONDS):
        _add_changes(found, known)
        _add_keys(found, known)
        tried = True
    if not tried:
        note = f"changes of policies could not be tried within {EXPLAIN_SECONDS} s"
        found.report = replace(found.report, notes=(*found.report.notes, note))


def _not_asked(invocation: Invocation, region: str, why: Decision) -> Report:
    unknown = Unknown(Reason.IDENTITY, "the caller could not be identified")
    answer = reasons.answer(why if isinstance(why, Unknown) else unknown, (), ())
    return Report(invocation.request, region, None, answer, answer)


def simulate_target_of(authorization: Authorization, builder: QuestionBuilder) -> TargetAttempt:
    """Return what IAM answers about the target of the request, within `TARGET_SECONDS`."""
    request = authorization.invocation.request
    try:
        with signals.time_limit(TARGET_SECONDS):
            return simulate_target(
                authorization.clients,
                builder,
                request.target,
                request.document_name,
            )
    except signals.TimeLimitExceeded:
        return TargetAttempt(Unknown(Reason.TIMED_OUT, f"IAM took longer than {TARGET_SECONDS} s"))


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


def _add_missing_default(found: _Found, *, explain: bool) -> None:
    """Say that the region has no default document, if none was named and that is the case."""
    report = found.report
    if report.request.document_name is not None:
        return
    if not explain and report.verdict is not Verdict.ALLOWED:
        return
    if session_documents.is_missing(found.clients.ssm, DEFAULT_DOCUMENT_NAME):
        note = (
            f"region {report.region} has no document {DEFAULT_DOCUMENT_NAME}. Session Manager"
            " creates it when its preferences are saved for the first time. Until then, sessions"
            " that have to name it fail"
        )
        found.report = replace(report, notes=(*report.notes, note))


def _add_grant(found: _Found) -> None:
    attempt, answer = found.authorization.attempt, found.report.document
    decision = attempt.decision
    not_named = isinstance(decision, Denial) and decision.reason_code == Reason.NOT_NAMED
    if not (isinstance(decision, Permit) or not_named):
        return
    controls = attempt.controls
    if not controls:
        ((controls, _),) = simulate_controls(found.clients.iam, [attempt])
    how = [
        _how(found.authorization, question, attempt.evaluations, controls)
        for question in attempt.questions
    ]
    # A request may mean two documents: the result is the less explicit of the two grants.
    order = (Grant.UNKNOWN, Grant.ANY, Grant.WILDCARD, Grant.NAMED)
    found.report = replace(
        found.report, document=replace(answer, grant=min(how, key=order.index).value)
    )


def _how(
    authorization: Authorization,
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
        authorization.clients.iam,
        [replace(question, resource_arn=arn) for arn in elsewhere],
        datetime.now(UTC),
    )
    if isinstance(controls_elsewhere, Unknown) or len(controls_elsewhere) != len(elsewhere):
        return how
    everywhere = all(statements(answers) <= statements([other]) for other in controls_elsewhere)
    return Grant.ANY if everywhere else how


def _add_data_channel(found: _Found) -> None:
    iam, simulation = found.clients.iam, UntaggedSimulation(found.clients, found.builder)

    def answer_to(question: Question) -> Answer:
        attempt = simulation.of(question)
        return reasons.answer(attempt.obstacle, attempt.questions, attempt.evaluations)

    asked = data_channel.questions(found.builder, found.caller.user_id)
    answer = data_channel.combined(
        asked, answer_to, lambda question: exclusion.is_evaluated(iam, question)
    )
    found.report = replace(found.report, data_channel=answer)


def _add_policies(found: _Found, known: sources.Sources) -> None:
    report, attempt, target = found.report, found.authorization.attempt, found.target
    obstacle = None if isinstance(attempt.decision, Permit) else attempt.decision
    document = _matched(obstacle, attempt.evaluations)
    on_target = _matched(target.obstacle, target.evaluations)
    found.report = replace(
        report,
        unread=known.unread,
        document=_explained(found, report.document, document, known),
        target=_explained(found, report.target, on_target, known),
    )


def _add_mistakes(found: _Found, known: sources.Sources) -> None:
    """Add the condition keys and values in the policies that cannot match any request."""
    target = found.report.target
    mistakes = tuple(placed(mistake) for mistake in key_mistakes(known.policies))
    advice = tuple(dict.fromkeys((*target.advice, *mistakes)))
    found.report = replace(found.report, target=replace(target, advice=advice))


def _add_session_policies(found: _Found) -> None:
    """Say that a session of the role may have a session policy, which no operation reports.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
    """
    report = found.report
    if report.verdict is Verdict.DENIED or found.caller.principal_type == "User":
        return
    if not assumed_role.is_untagged(found.clients.session):
        note = (
            "the caller is a role session. If it was created with a session policy, that policy"
            " limits it too, and IAM's simulation does not evaluate it"
        )
        found.report = replace(report, notes=(*report.notes, note))


def _add_changes(found: _Found, known: sources.Sources) -> None:
    """Add the changes of policies that allow the session, after they have been tried."""
    report, clients = found.report, found.clients
    codes = {report.document.reason_code, report.target.reason_code}
    if codes & {Reason.NOT_ALLOWED_TO_SIMULATE, Reason.SIMULATION_DENIED}:
        if why := proposals.simulation_denied(_about_simulation(found), known):
            found.report = replace(report, obstacles=(why,))
        elif Reason.SIMULATION_DENIED in codes:
            found.report = replace(report, obstacles=(_SIMULATION_DENIED,))
        else:
            statement = json.loads(simulate_statement(found.caller))
            found.report = replace(report, ask_for=statement)
        return
    evaluations = (*found.authorization.attempt.evaluations, *found.target.evaluations)
    if proposals.is_complete(report, known, evaluations):
        lister = listing.lister(clients.ssm, clients.region, found.caller.account)
        remedy = proposals.in_memory(report, known.policies, found.caller.account, lister)
        report = proposals.with_check_enforced(report, known.policies)
    else:
        remedy = proposals.with_iam(clients.iam, report)
    found.report = proposals.with_remedy(report, remedy)


def _about_simulation(found: _Found) -> Question:
    """Return the question whether the caller may simulate its own policies."""
    return replace(
        found.builder.data_channel(),  # it has no key of StartSession either
        resource_arn=found.caller.policy_source_arn,
        action="iam:SimulatePrincipalPolicy",
    )


def _add_keys(found: _Found, known: sources.Sources) -> None:
    report = found.report
    if Verdict.ALLOWED not in (report.document.verdict, report.target.verdict):
        return
    complete = not known.unread
    mentioned: tuple[str, ...] = ()
    if not complete:
        mentioned = tags.Lookups(found.clients.iam, found.caller).mentioned() or ()
    policies = known.policies if complete else None
    found.report = replace(
        report,
        document=depends.with_keys(report.document, policies, mentioned),
        target=depends.with_keys(report.target, policies, mentioned),
    )


def _explained(
    found: _Found,
    answer: Answer,
    matched: tuple[MatchedStatement, ...],
    known: sources.Sources,
) -> Answer:
    answer = sources.with_text(answer, matched, known)
    if answer.verdict is Verdict.ALLOWED:
        return answer
    answer = explained(answer, known)
    denies = answer.reason_code in (Reason.EXPLICIT_DENY, Reason.KEYS_NOT_LISTABLE)
    if denies and answer.layer and not answer.advice:
        exempt = (
            f"an explicit deny overrides every allow: ask the owner of that {answer.layer} to"
            " exempt this session"
        )
        why = exclusion.deciding(found.clients.iam, answer)
        return replace(answer, advice=(*((why,) if why else ()), exempt))
    return answer
