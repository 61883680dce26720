"""Identify the caller, simulate, and decide. Nothing here can start a session."""

from __future__ import annotations

from dataclasses import field

from ssmgate.gate.access import evaluate
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import identity
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.cache.cached_authorization import CachedAuthorization
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Decision, Permit, SimulationAttempt, Unknown, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.system import signals

CHECK_SECONDS = 45
"""How long STS and IAM may take altogether before access is unknown."""

REFINE_SECONDS = 15
"""How long reading tags and keys after a denial may take. What is not read by then is unknown."""


@frozen
class Authorization:
    """The decision, and what it is based on.

    `caller` is None if it is unknown; `attempt` then has no questions. `cached_at` is the time of
    the entry, by the wall clock, if IAM's answers are from the cache. `endpoints` are where STS and
    IAM were called, if cached by the process that wrote the entry, and where StartSession goes;
    None if neither was called.
    """

    invocation: Invocation
    clients: Clients = field(repr=False)
    caller: Caller | None
    attempt: SimulationAttempt
    cached_at: float | None = None
    endpoints: Endpoints | None = None

    @property
    def decision(self) -> Decision:
        """Return the decision of the attempt."""
        return self.attempt.decision


def authorize(
    invocation: Invocation,
    clients: Clients,
    config: Config,
    cache: CachedAuthorization | None = None,
) -> Authorization:
    """Decide whether `invocation` may start its session with `clients`.

    Nothing is cached if `cache` is None. Raises `GateError` and botocore's errors for an invalid
    configuration. Errors and time-outs of AWS's calls make the decision unknown.
    """
    if cache is None:
        clients.resolve_checker()
        caller, attempt = _ask(invocation, clients, config)
        return Authorization(invocation, clients, caller, attempt, endpoints=clients.endpoints)
    if known := _known(cache, invocation, clients, config):
        return known
    # Before the lock and the clock: it may ask for an MFA code.
    clients.resolve_checker()
    with cache.single_flight() as flight:
        if flight.waited and (known := _known(cache, invocation, clients, config)):
            return known
        caller, attempt = _ask(invocation, clients, config, cache.begin())
        first = _questions(invocation, clients, caller, config) if caller else ()
        if not cache.store(caller, attempt, first):
            flight.mark_failed()
    return Authorization(invocation, clients, caller, attempt, endpoints=clients.endpoints)


def _known(
    cache: CachedAuthorization, invocation: Invocation, clients: Clients, config: Config
) -> Authorization | None:
    """Return the authorization from cached answers to exactly these questions, None if not cached.

    Any error in the cache means that IAM is called.
    """
    try:
        found = cache.permit()
        if found is None:
            return None
        request = invocation.request
        questions = _questions(invocation, clients, found.caller, config)
        if questions != found.questions:
            return None
        decision = decide(
            request,
            questions,
            found.evaluations,
            allow_wildcard_grants=config.allow_wildcard_grants,
            controls=found.controls,
        )
    except Exception:
        return None
    if not isinstance(decision, Permit):
        return None
    attempt = SimulationAttempt(request, questions, found.evaluations, decision, found.controls)
    cached_at = found.created_at.wall
    return Authorization(invocation, clients, found.caller, attempt, cached_at, found.endpoints)


def _ask(
    invocation: Invocation, clients: Clients, config: Config, caller: Caller | None = None
) -> tuple[Caller | None, SimulationAttempt]:
    try:
        with signals.time_limit(CHECK_SECONDS):
            if caller is None:
                who = identity.identify(clients.sts, clients.iam, clients.partition)
                if isinstance(who, Unknown):
                    return None, SimulationAttempt(invocation.request, (), (), who)
                caller = who
            questions = _questions(invocation, clients, caller, config)
            (first,) = evaluate.simulate_requests(
                clients.iam, [(invocation.request, questions)], config.allow_wildcard_grants
            )
    except signals.TimeLimitExceeded:
        late = Unknown(Reason.TIMED_OUT, f"STS and IAM took longer than {CHECK_SECONDS} s")
        return caller, SimulationAttempt(invocation.request, (), (), late)
    if isinstance(first.decision, Permit):
        return caller, first
    # Imported only here, as an allowed start does not need it.
    from ssmgate.gate.access import refine

    try:
        with signals.time_limit(REFINE_SECONDS):
            (last,) = refine.resimulate(clients, caller, [first], config.allow_wildcard_grants)
            return caller, last
    except signals.TimeLimitExceeded:
        return caller, refine.out_of_time(clients, caller, first)


def _questions(
    invocation: Invocation, clients: Clients, caller: Caller, config: Config
) -> tuple[Question, ...]:
    builder = QuestionBuilder.live(caller, invocation, clients, config)
    return builder.documents(invocation.request.document_name)
