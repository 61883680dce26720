"""Try a missing statement with IAM's simulation, where the caller's policies cannot be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ssmgate.explain.changes import Change, grant
from ssmgate.explain.remedy import Remedy
from ssmgate.gate.aws import simulate
from ssmgate.gate.decision.decision import Denial, Unknown, decide_about
from ssmgate.gate.decision.decision import Layer as DecidingLayer
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.policy_language import Layer

_LAYERS = {
    DecidingLayer.IDENTITY: Layer.IDENTITY,
    DecidingLayer.BOUNDARY: Layer.BOUNDARY,
    DecidingLayer.ORGANIZATIONS: Layer.ORGANIZATIONS,
}


def find(iam: Any, questions: Sequence[Question], lacking: Layer) -> Remedy:
    """Return what allows `questions`, which are implicitly denied in the layer `lacking`.

    One statement on their literal ARNs is simulated together with the caller's policies: in
    PolicyInputList, and for a boundary in its place. IAM does not take service control policies:
    they are excluded. Each layer is tried once, so that at most three calls are made for each
    question. The statement cannot allow anything else, as its ARNs have no wildcard.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    statement = grant([question.resource_arn for question in questions], {})
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    layers = [lacking]
    while True:
        found = _simulate(iam, questions, layers, text)
        if found is None:
            return Remedy(tuple(Change(layer, (statement,)) for layer in layers))
        if isinstance(found, Unknown):
            return Remedy((), (f"no statement could be tried: {found.reason}",))
        layer = _LAYERS[found.layer]
        if found.reason_code == Reason.EXPLICIT_DENY or layer in layers:
            by = ", ".join(dict.fromkeys(found.matched_policies)) or f"a {found.layer.value}"
            kind = "explicitly denied" if found.reason_code == Reason.EXPLICIT_DENY else "denied"
            return Remedy(
                (),
                (
                    "a statement that allows it is not enough: with it"
                    f" {found.question.resource_arn} is still {kind} ({by})",
                ),
            )
        layers.append(layer)


def _simulate(
    iam: Any, questions: Sequence[Question], layers: Sequence[Layer], text: str
) -> Denial | Unknown | None:
    """Return why one of `questions` is still not allowed with the policy `text` in `layers`."""
    for question in questions:
        who: dict[str, Any] = {"PolicySourceArn": question.policy_source_arn}
        if Layer.IDENTITY in layers:
            who["PolicyInputList"] = [text]
        if Layer.ORGANIZATIONS in layers:
            who["PolicyExclusionList"] = [{"PolicyType": "scp"}]
        boundary = text if Layer.BOUNDARY in layers else None
        answer = simulate.ask(
            iam.simulate_principal_policy, who, (question,), datetime.now(UTC), boundary
        )
        if isinstance(answer, Unknown):
            return answer
        if (obstacle := decide_about(question, answer)) is not None:
            return obstacle
    return None
