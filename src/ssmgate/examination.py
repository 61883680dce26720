"""Up to the decision: who asks, what IAM answers, what comes of it. Nothing here can start."""

from __future__ import annotations

from dataclasses import field

from ssmgate.aws import first_look, identity, second_look
from ssmgate.aws.arguments import Invocation
from ssmgate.aws.clients import Clients, open_clients
from ssmgate.core.arn import document_arns
from ssmgate.core.decision import CannotTell, Look, Outcome
from ssmgate.core.question import Caller, Question
from ssmgate.core.values import frozen
from ssmgate.host import signals
from ssmgate.host.config import Config

CHECK_SECONDS = 45
"""How long STS and IAM may take altogether before the answer is no."""

SECOND_LOOK_SECONDS = 15
"""How long it may take to look into a denial before it stands as it is."""


@frozen
class Examination:
    """The decision, and what it stands on.

    `caller` is None where nobody could tell who asks; `look` is then without questions.
    """

    invocation: Invocation
    clients: Clients = field(repr=False)
    caller: Caller | None
    look: Look

    @property
    def outcome(self) -> Outcome:
        """What the look came to."""
        return self.look.outcome


def examine(invocation: Invocation, config: Config) -> Examination:
    """Decide whether `invocation` may start its session.

    Raises `GateError` and botocore's errors where the configuration stands in the way; what AWS
    says, or fails to say, is the outcome.
    """
    clients = open_clients(invocation, config.checker)
    caller, look = _ask(invocation, clients, config)
    return Examination(invocation, clients, caller, look)


def _ask(invocation: Invocation, clients: Clients, config: Config) -> tuple[Caller | None, Look]:
    caller: Caller | None = None
    try:
        with signals.time_limit(CHECK_SECONDS):
            who = identity.identify(clients.sts, clients.iam, clients.partition)
            if isinstance(who, CannotTell):
                return None, Look(invocation.request, (), (), who)
            caller = who
            first = first_look.look(
                clients.iam,
                invocation.request,
                _questions(invocation, clients, caller, config),
                config.explicit,
            )
    except signals.OutOfTime:
        late = CannotTell("timed-out", f"STS and IAM took longer than {CHECK_SECONDS} s")
        return caller, Look(invocation.request, (), (), late)
    try:
        with signals.time_limit(SECOND_LOOK_SECONDS):
            return caller, second_look.look_again(clients, caller, first, config.explicit)
    except signals.OutOfTime:
        return caller, first


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
