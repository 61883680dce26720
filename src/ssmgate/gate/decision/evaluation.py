"""IAM's answer about one resource."""

from __future__ import annotations

import enum

from ssmgate.gate.decision.frozen import frozen


class EvalDecision(enum.Enum):
    """IAM's three decisions. Any other value never allows.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
    """

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


BOUNDARY_POLICY = "Permissions Boundary Policy"
"""SourcePolicyType of a boundary's statements, as IAM sends it; not in the documented enum."""


@frozen
class MatchedStatement:
    """A statement that decided, identified by its policy and its position there.

    `source_policy_id` is `user_NAME_INLINE` (`group_…`, `role_…`) or a managed policy's name.
    `start` and `end` are line and column from 1, and None if IAM does not report them: `start`
    is where the token before the statement ended, `end` is exclusive.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_Statement.html
    """

    source_policy_id: str
    source_policy_type: str = ""
    start: tuple[int, int] | None = None
    end: tuple[int, int] | None = None

    @property
    def placed(self) -> bool:
        """Return whether it can be distinguished from the other statements of its policy."""
        return self.start is not None


@frozen
class Evaluation:
    """One resource's part of an iam:SimulatePrincipalPolicy answer.

    `resource_arn` is the ARN in the question. `matched_statements` are those that decided.
    `missing_context` are keys that IAM reports as missing: it reports too many (also keys of
    statements for other actions), and none on an explicit deny. The two layers are None if IAM does
    not report them.
    """

    resource_arn: str
    eval_decision: EvalDecision
    matched_statements: tuple[MatchedStatement, ...] = ()
    missing_context: tuple[str, ...] = ()
    allowed_by_permissions_boundary: bool | None = None
    allowed_by_organizations: bool | None = None

    @property
    def matched_policies(self) -> tuple[str, ...]:
        """Return the policies of the matched statements, one for each statement."""
        return tuple(statement.source_policy_id for statement in self.matched_statements)
