"""What IAM answered about one resource."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class EvalDecision(enum.Enum):
    """IAM's three words. A fourth is never a yes.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
    """

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One resource's part of an iam:SimulatePrincipalPolicy answer.

    `resource_arn` is the ARN that was asked about. `matched_policies` are the SourcePolicyIds
    of the statements that decided. `missing_context` are keys that IAM says it lacked: it names
    too many (keys of statements for other actions too), and none on an explicit deny.
    The two layers are None where IAM did not report them.
    """

    resource_arn: str
    eval_decision: EvalDecision
    matched_policies: tuple[str, ...] = ()
    missing_context: tuple[str, ...] = ()
    allowed_by_permissions_boundary: bool | None = None
    allowed_by_organizations: bool | None = None
