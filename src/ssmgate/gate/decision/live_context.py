"""Make denials unknown that may depend on values which simulation does not have."""

from __future__ import annotations

from collections.abc import Sequence

from ssmgate.gate.decision.decision import Denial, Unknown
from ssmgate.gate.decision.reason import Reason

# Only the service knows their values, when the request arrives. Lower case.
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
    denial: Denial, key_names: Sequence[str], session_tags: Sequence[str] = ()
) -> Denial | Unknown:
    """Return `denial`, or an `Unknown` if only the live request has one of `key_names`.

    `key_names` are condition keys that the policies mention. A key with a value in the question is
    ignored: IAM reports such keys as missing too. `session_tags` are those of `key_names` that a
    role session may override, whatever the question has.
    """
    live = tuple(
        key
        for key in key_names
        if key in session_tags or (is_live(key) and not denial.question.gives(key))
    )
    if not live:
        return denial
    keys = f"only the live request has: {', '.join(live)}"
    if denial.reason_code == Reason.EXPLICIT_DENY:
        reason = f"an explicit deny may depend on what {keys}"
        return Unknown(Reason.LIVE_DENY, reason, denial.question, live)
    reason = f"the policies ask for what {keys}"
    return Unknown(Reason.LIVE_CONTEXT, reason, denial.question, live)


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
    if denial.reason_code == Reason.EXPLICIT_DENY:
        reason = f"an explicit deny may depend on {tags}"
        return Unknown(Reason.TAGS_DENY, reason, denial.question, keys)
    reason = f"the policies ask for {tags}"
    return Unknown(Reason.TAGS_UNKNOWN, reason, denial.question, keys)


def is_live(key_name: str) -> bool:
    """Return whether only the live request has a value for the condition key, in any case."""
    return key_name.lower() in _LIVE_KEYS
