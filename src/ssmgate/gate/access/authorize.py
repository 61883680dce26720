"""Up to the decision: who asks, what IAM answers, what comes of it. Nothing here can start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from ssmgate.gate.access import evaluate, refine
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import identity
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.cache.key import Answers
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.decision import Outcome, Permit, SimulationAttempt, Unknown, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.system import signals

CHECK_SECONDS = 45
"""How long STS and IAM may take altogether before the answer is no."""

SECOND_LOOK_SECONDS = 15
"""How long it may take to look into a denial. What was not read by then is not known."""


@frozen
class Authorization:
    """The decision, and what it stands on.

    `caller` is None where nobody could tell who asks; `look` is then without questions.
    `kept`: IAM's answers are those of a start some seconds ago. `endpoints` are where STS and IAM
    were asked, by that start if it was that one, and where StartSession goes; None where neither
    was asked.
    """

    invocation: Invocation
    clients: Clients = field(repr=False)
    caller: Caller | None
    look: SimulationAttempt
    kept: bool = False
    endpoints: Endpoints | None = None

    @property
    def outcome(self) -> Outcome:
        """What the look came to."""
        return self.look.outcome


def authorize(
    invocation: Invocation, config: Config, keep: Callable[[Clients], Answers | None] | None = None
) -> Authorization:
    """Decide whether `invocation` may start its session.

    `keep` gives the answers of earlier starts; without it everything is asked anew. Raises
    `GateError` and botocore's errors where the configuration stands in the way; what AWS says,
    or fails to say, is the outcome.
    """
    clients = open_clients(invocation.session, invocation.options, config)
    answers = keep(clients) if keep is not None else None
    if answers is None:
        caller, look = _ask(invocation, clients, config)
        return Authorization(invocation, clients, caller, look, endpoints=clients.endpoints)
    if known := _known(answers, invocation, clients, config):
        return known
    with answers.turn() as turn:
        if turn.waited and (known := _known(answers, invocation, clients, config)):
            return known
        caller, look = _ask(invocation, clients, config, answers.begin())
        first = _questions(invocation, clients, caller, config) if caller else ()
        if not answers.keep(caller, look, first):
            turn.mark_failed()
    return Authorization(invocation, clients, caller, look, endpoints=clients.endpoints)


def _known(
    answers: Answers, invocation: Invocation, clients: Clients, config: Config
) -> Authorization | None:
    """The permit that kept answers to these very questions make, if they do.

    Nothing about what is kept can keep IAM from being asked.
    """
    try:
        kept = answers.permit()
        if kept is None:
            return None
        request = invocation.request
        questions = _questions(invocation, clients, kept.caller, config)
        if questions != kept.questions:
            return None
        outcome = decide(
            request,
            questions,
            kept.evaluations,
            allow_wildcard_grants=config.allow_wildcard_grants,
            controls=kept.controls,
        )
    except Exception:
        return None
    if not isinstance(outcome, Permit):
        return None
    look = SimulationAttempt(request, questions, kept.evaluations, outcome, kept.controls)
    return Authorization(
        invocation, clients, kept.caller, look, kept=True, endpoints=kept.endpoints
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
            first = evaluate.look(
                clients.iam,
                invocation.request,
                _questions(invocation, clients, caller, config),
                config.allow_wildcard_grants,
            )
    except signals.TimeLimitExceeded:
        late = Unknown("timed-out", f"STS and IAM took longer than {CHECK_SECONDS} s")
        return caller, SimulationAttempt(invocation.request, (), (), late)
    try:
        with signals.time_limit(SECOND_LOOK_SECONDS):
            return caller, refine.resimulate(clients, caller, first, config.allow_wildcard_grants)
    except signals.TimeLimitExceeded:
        return caller, refine.out_of_time(clients, caller, first)


def _questions(
    invocation: Invocation, clients: Clients, caller: Caller, config: Config
) -> tuple[Question, ...]:
    return tuple(
        Question.about(
            caller,
            document_arn,
            region=clients.region,
            secure_transport=clients.secure_transport,
            mfa_done=invocation.mfa.done,
            configured=config.context,
        )
        for document_arn in document_arns(
            invocation.request.document_name,
            partition=clients.partition,
            region=clients.region,
            account=caller.account,
        )
    )
