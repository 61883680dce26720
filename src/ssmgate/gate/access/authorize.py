"""Up to the decision: who asks, what IAM answers, what comes of it. Nothing here can start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from ssmgate.gate.access import evaluate
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import identity
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.cache.cached_authorization import CachedAuthorization
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Outcome, Permit, SimulationAttempt, Unknown, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.system import signals

CHECK_SECONDS = 45
"""How long STS and IAM may take altogether before the answer is no."""

SECOND_LOOK_SECONDS = 15
"""How long it may take to look into a denial. What was not read by then is not known."""


@frozen
class Authorization:
    """The decision, and what it stands on.

    `caller` is None where nobody could tell who asks; `look` is then without questions.
    `cached`: IAM's answers are those to another start some seconds ago. `endpoints` are where STS
    and IAM were called, by that start if it was that one, and where StartSession goes; None where
    neither was called.
    """

    invocation: Invocation
    clients: Clients = field(repr=False)
    caller: Caller | None
    look: SimulationAttempt
    cached: bool = False
    endpoints: Endpoints | None = None

    @property
    def outcome(self) -> Outcome:
        """What the look came to."""
        return self.look.outcome


def authorize(
    invocation: Invocation,
    config: Config,
    open_cache: Callable[[Clients], CachedAuthorization | None] | None = None,
) -> Authorization:
    """Decide whether `invocation` may start its session.

    `open_cache` gives the cached decision; without it nothing is cached. Raises
    `GateError` and botocore's errors where the configuration stands in the way; what AWS says,
    or fails to say, is the outcome.
    """
    clients = open_clients(invocation.session, invocation.options, config)
    cache = open_cache(clients) if open_cache is not None else None
    if cache is None:
        clients.resolve_checker()
        caller, look = _ask(invocation, clients, config)
        return Authorization(invocation, clients, caller, look, endpoints=clients.endpoints)
    if known := _known(cache, invocation, clients, config):
        return known
    # Before the lock and the clock: it may ask for an MFA code.
    clients.resolve_checker()
    with cache.single_flight() as flight:
        if flight.waited and (known := _known(cache, invocation, clients, config)):
            return known
        caller, look = _ask(invocation, clients, config, cache.begin())
        first = _questions(invocation, clients, caller, config) if caller else ()
        if not cache.store(caller, look, first):
            flight.mark_failed()
    return Authorization(invocation, clients, caller, look, endpoints=clients.endpoints)


def _known(
    cache: CachedAuthorization, invocation: Invocation, clients: Clients, config: Config
) -> Authorization | None:
    """Return the permit that cached answers to these very questions make, if they do.

    Nothing about the cache can keep IAM from being called.
    """
    try:
        found = cache.permit()
        if found is None:
            return None
        request = invocation.request
        questions = _questions(invocation, clients, found.caller, config)
        if questions != found.questions:
            return None
        outcome = decide(
            request,
            questions,
            found.evaluations,
            allow_wildcard_grants=config.allow_wildcard_grants,
            controls=found.controls,
        )
    except Exception:
        return None
    if not isinstance(outcome, Permit):
        return None
    look = SimulationAttempt(request, questions, found.evaluations, outcome, found.controls)
    return Authorization(
        invocation, clients, found.caller, look, cached=True, endpoints=found.endpoints
    )


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
    if isinstance(first.outcome, Permit):
        return caller, first
    # Here, as a start that is allowed does without.
    from ssmgate.gate.access import refine

    try:
        with signals.time_limit(SECOND_LOOK_SECONDS):
            (last,) = refine.resimulate(clients, caller, [first], config.allow_wildcard_grants)
            return caller, last
    except signals.TimeLimitExceeded:
        return caller, refine.out_of_time(clients, caller, first)


def _questions(
    invocation: Invocation, clients: Clients, caller: Caller, config: Config
) -> tuple[Question, ...]:
    builder = QuestionBuilder.live(caller, invocation, clients, config)
    return builder.documents(invocation.request.document_name)
