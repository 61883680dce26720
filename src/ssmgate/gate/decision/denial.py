"""Make the decision from an answer of IAM that denies, and find out whether it is final.

Loaded only after a denial.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssmgate.gate.decision.context_keys import is_tag, unknown_keys
from ssmgate.gate.decision.decision import Denial, Layer, Unknown
from ssmgate.gate.decision.evaluation import BOUNDARY_POLICY, EvalDecision, Evaluation
from ssmgate.gate.decision.question import Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.reason_kinds import UnknownReason


def denial_or_unknown_of(question: Question, answer: Evaluation) -> Denial | Unknown:
    """Return what `answer`, which denies `question`, decides before anything is looked up.

    An implicit deny is an `Unknown` if it may depend on a condition key that cannot be looked up.
    Whether a `Denial` is final is only known afterwards (`access.refine`): it may depend on tags
    or, if it is an explicit deny, on keys that IAM does not report with it.
    """
    explicit = answer.eval_decision is EvalDecision.EXPLICIT_DENY
    denial = Denial(
        Reason.EXPLICIT_DENY if explicit else Reason.IMPLICIT_DENY,
        question,
        _layer(answer),
        answer.matched_statements,
        answer.missing_context,
    )
    if explicit:
        return denial
    keys = [key for key in unknown_keys(question, answer.missing_context) if not is_tag(key)]
    return unless_unknown(denial, keys)


def _layer(answer: Evaluation) -> Layer:
    """Return the layer that denies. Several may: the caller's own policies are named first."""
    denying = {statement.source_policy_type for statement in answer.matched_statements}
    if answer.eval_decision is EvalDecision.EXPLICIT_DENY and denying:
        return Layer.BOUNDARY if denying == {BOUNDARY_POLICY} else Layer.IDENTITY
    if answer.allowed_by_organizations is False:
        return Layer.ORGANIZATIONS
    if answer.allowed_by_permissions_boundary is False:
        return Layer.BOUNDARY
    return Layer.IDENTITY


def unless_unknown(denial: Denial, keys: Sequence[str]) -> Denial | Unknown:
    """Return `denial`, or an `Unknown` if it may depend on `keys`, whose values are not known."""
    if not keys:
        return denial
    what = f"condition keys whose values ssmgate does not know: {', '.join(keys)}"
    code: UnknownReason
    if denial.reason_code == Reason.EXPLICIT_DENY:
        code, reason = Reason.LIVE_DENY, f"an explicit deny may depend on {what}"
    else:
        code, reason = Reason.LIVE_CONTEXT, f"the policies test {what}"
    return Unknown(code, reason, denial.question, tuple(keys), denial)


def unless_unread(denial: Denial, unread: Sequence[tuple[str, str]]) -> Denial | Unknown:
    """Return `denial`, or an `Unknown` if a tag that the policies mention could not be read.

    `unread` are the condition keys, each with the reason: "KEY, which REASON".
    """
    if not unread:
        return denial
    reasons = dict.fromkeys(reason for _, reason in unread)
    clauses = [
        f"{', '.join(key for key, why in unread if why == reason)}, which {reason}"
        for reason in reasons
    ]
    tags, keys = ", and ".join(clauses), tuple(key for key, _ in unread)
    code: UnknownReason
    if denial.reason_code == Reason.EXPLICIT_DENY:
        code, reason = Reason.TAGS_DENY, f"an explicit deny may depend on {tags}"
    else:
        code, reason = Reason.TAGS_UNKNOWN, f"the policies test {tags}"
    return Unknown(code, reason, denial.question, keys, denial)


def keys_not_listable(denial: Denial, why: str) -> Unknown:
    """Return the `Unknown` for an explicit deny that may depend on keys that cannot be listed.

    `why` completes "condition keys that …".
    """
    by = f" ({', '.join(denial.matched_policies)})" if denial.matched_policies else ""
    return Unknown(
        Reason.KEYS_NOT_LISTABLE,
        f"an explicit deny in {with_article(denial.layer)}{by} applies, but may depend on condition"
        f" keys that {why}",
        denial.question,
        (),
        denial,
    )


def with_article(layer: Layer) -> str:
    """Return the name of `layer` with the indefinite article."""
    return f"an {layer.value}" if layer is Layer.IDENTITY else f"a {layer.value}"
