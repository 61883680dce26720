"""Up to the decision: who asks, what IAM answers, what comes of it. Nothing here can start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field

from ssmgate.gate.access import evaluate, refine
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import identity
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.cache.key import Answers
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Outcome, Permit, SimulationAttempt, Unknown, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.grant import Explicit
from ssmgate.gate.decision.question import Caller, Question
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.system import signals

CHECK_SECONDS = 45
"""How long STS and IAM may take altogether before the answer is no."""

SECOND_LOOK_SECONDS = 15
"""How long it may take to look into a denial. What was not read by then is not known."""

# The decision about a document does not depend on the target.
_ANY_TARGET = "i-0"


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
            request, questions, kept.evaluations, explicit=config.explicit, controls=kept.controls
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
            questions = _questions(invocation, clients, caller, config)
            (first,) = evaluate.simulate_requests(
                clients.iam, [(invocation.request, questions)], config.explicit
            )
    except signals.TimeLimitExceeded:
        late = Unknown("timed-out", f"STS and IAM took longer than {CHECK_SECONDS} s")
        return caller, SimulationAttempt(invocation.request, (), (), late)
    try:
        with signals.time_limit(SECOND_LOOK_SECONDS):
            (last,) = refine.resimulate(clients, caller, [first], config.explicit)
            return caller, last
    except signals.TimeLimitExceeded:
        return caller, refine.out_of_time(clients, caller, first)


def _questions(
    invocation: Invocation, clients: Clients, caller: Caller, config: Config
) -> tuple[Question, ...]:
    builder = QuestionBuilder.live(caller, invocation, clients, config)
    return builder.documents(invocation.request.document_name)


def authorize_documents(
    clients: Clients,
    builder: QuestionBuilder,
    names: Sequence[str],
    explicit: Explicit,
    *,
    most_tagged: int,
) -> list[SimulationAttempt]:
    """Decide about each of the documents `names` exactly as `authorize` does, in few calls.

    Documents that differ in nothing but the name are simulated in one call. The attempt of a
    name that StartSession does not take has no questions, and its outcome is unknown.
    `most_tagged`: for how many documents tags are looked up; a denial of any other that may
    depend on them is unknown. There is no time limit here.
    """
    requests = [_named(builder, name) for name in names]
    first = evaluate.simulate_requests(clients.iam, requests, explicit)
    return refine.resimulate(clients, builder.caller, first, explicit, most_tagged=most_tagged)


def _named(builder: QuestionBuilder, name: str) -> tuple[SessionRequest, tuple[Question, ...]]:
    try:
        return SessionRequest(_ANY_TARGET, name), builder.documents(name)
    except InvalidRequest:
        return SessionRequest(_ANY_TARGET), ()
