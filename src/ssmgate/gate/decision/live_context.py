"""Denials that may depend on what simulation does not know: they are unknown instead."""

from __future__ import annotations

from collections.abc import Sequence

from ssmgate.gate.decision.decision import Denial, Unknown
from ssmgate.gate.decision.reason import Reason

# Known to the service when the request arrives, and to nobody before. Lower case.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_LIVE_KEYS = frozenset(
    {
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:referer",
        "aws:sourceip",
        "aws:sourcevpc",
        "aws:sourcevpcarn",
        "aws:sourcevpce",
        "aws:tokenissuetime",
        "aws:useragent",
        "aws:vpcsourceip",
        "aws:vpceaccount",
        "aws:vpceorgid",
        "aws:vpceorgpaths",
        "aws:sourceidentity",
        "sts:sourceidentity",
    }
)


def unknown_if_live(
    refusal: Denial, key_names: Sequence[str], session_tags: Sequence[str] = ()
) -> Denial | Unknown:
    """`refusal`, or CannotTell if one of `key_names` is known only to the live request.

    `key_names` are condition keys that the policies mention. A key that the question gave a
    value for is not waited for: IAM names those among the missing too. `session_tags` are those
    of `key_names` that a role session may override, whatever the question gave.
    """
    live = tuple(
        key
        for key in key_names
        if key in session_tags or (is_live(key) and not refusal.question.gives(key))
    )
    if not live:
        return refusal
    keys = f"only the live request has: {', '.join(live)}"
    if refusal.reason_code == Reason.EXPLICIT_DENY:
        reason = f"an explicit deny may depend on what {keys}"
        return Unknown(Reason.LIVE_DENY, reason, refusal.question, live)
    reason = f"the policies ask for what {keys}"
    return Unknown(Reason.LIVE_CONTEXT, reason, refusal.question, live)


def unless_unread(refusal: Denial, unread: Sequence[tuple[str, str]]) -> Denial | Unknown:
    """`refusal`, or CannotTell if a tag that the policies mention could not be read.

    `unread` are the condition keys, each with the reason: "KEY, which REASON".
    """
    if not unread:
        return refusal
    reasons = dict.fromkeys(reason for _, reason in unread)
    clauses = [
        f"{', '.join(key for key, its in unread if its == reason)}, which {reason}"
        for reason in reasons
    ]
    tags, keys = ", and ".join(clauses), tuple(key for key, _ in unread)
    if refusal.reason_code == Reason.EXPLICIT_DENY:
        reason = f"an explicit deny may depend on {tags}"
        return Unknown(Reason.TAGS_DENY, reason, refusal.question, keys)
    reason = f"the policies ask for {tags}"
    return Unknown(Reason.TAGS_UNKNOWN, reason, refusal.question, keys)


def is_live(key_name: str) -> bool:
    """Whether only the live request has a value for the condition key, in whatever case."""
    return key_name.lower() in _LIVE_KEYS
