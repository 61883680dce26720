"""Decide about many documents at once, as `authorize` does about a session's document."""

from __future__ import annotations

from collections.abc import Sequence

from ssmgate.gate.access import evaluate, refine
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.decision.decision import SimulationAttempt
from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.request import SessionRequest

# The decision about a document does not depend on the target.
_ANY_TARGET = "i-0"


def authorize_documents(
    clients: Clients,
    builder: QuestionBuilder,
    names: Sequence[str],
    allow_wildcard_grants: bool,
    *,
    most_tagged: int,
) -> list[SimulationAttempt]:
    """Decide about each of the documents `names` exactly as `authorize` does, in few calls.

    Documents that differ only in their name are simulated in one call. The attempt of a name that
    StartSession does not accept has no questions, and its decision is unknown. `most_tagged`: for
    how many documents tags are looked up; a denial of any other that may depend on tags is
    unknown. There is no time limit here.
    """
    requests = [_named(builder, name) for name in names]
    first = evaluate.simulate_requests(clients.iam, requests, allow_wildcard_grants)
    return refine.resimulate(
        clients, builder.caller, first, allow_wildcard_grants, most_tagged=most_tagged
    )


def _named(builder: QuestionBuilder, name: str) -> tuple[SessionRequest, tuple[Question, ...]]:
    try:
        return SessionRequest(_ANY_TARGET, name), builder.documents(name)
    except InvalidRequest:
        return SessionRequest(_ANY_TARGET), ()
