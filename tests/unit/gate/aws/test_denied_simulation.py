"""The reason with which IAM denies the simulation itself appears in the decision."""

from __future__ import annotations

import pytest

from ssmgate.gate.aws import errors
from ssmgate.gate.aws.start_session import ClientError  # botocore's
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason

ALICE = "arn:aws:iam::111122223333:user/alice"
QUESTION = Question(ALICE, "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell", ())
ACTION = "iam:SimulatePrincipalPolicy"
SENTENCE = f"User: {ALICE} is not authorized to perform: {ACTION} on resource: user alice"
NOT_ALLOWED = f"the caller is not allowed to call {ACTION}"


@pytest.mark.parametrize(
    ("end", "code", "suffix"),
    [
        ("", Reason.NOT_ALLOWED_TO_SIMULATE, ""),
        *(
            (f" because no {layer} allows the {ACTION} action", Reason.NOT_ALLOWED_TO_SIMULATE,
             f" because no {layer} allows the {ACTION} action")
            for layer in ("identity-based policy", "permissions boundary", "session policy",
                          "service control policy", "VPC endpoint policy")
        ),
        *(
            (f" with an explicit deny in {layer}", Reason.SIMULATION_DENIED,
             f" with an explicit deny in {layer}")
            for layer in ("an identity-based policy", "a permissions boundary",
                          "a service control policy", "a session policy")
        ),
        (
            " with an explicit deny in a service control policy: arn:aws:organizations::1:policy/x"
            " with the following authorization id: 12345678",
            Reason.SIMULATION_DENIED, " with an explicit deny in a service control policy",
        ),
    ],
)  # fmt: skip
def test_keeps_reason_of_denied_simulation(end: str, code: Reason, suffix: str) -> None:
    answer = {"Error": {"Code": "AccessDenied", "Message": f"{SENTENCE}{end}"}}

    unknown = errors.cannot_ask(ClientError(answer, "SimulatePrincipalPolicy"), QUESTION)

    assert (unknown.reason_code, unknown.reason) == (code, f"{NOT_ALLOWED}{suffix}")
    assert unknown.question == QUESTION
