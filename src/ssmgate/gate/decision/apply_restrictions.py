"""Apply the rules of this machine. Loaded only if there are any."""

from __future__ import annotations

from collections.abc import Sequence

from ssmgate.gate.decision.arn import account_of
from ssmgate.gate.decision.printable import is_printable
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME, DocumentName, SessionRequest
from ssmgate.gate.decision.restrictions import LocalDenial, Restrictions
from ssmgate.gate.decision.wildcards import like
from ssmgate.gate.decision.wildcards import pattern as pattern_of


def denial_by(
    rules: Restrictions, request: SessionRequest, document_arns: Sequence[str], account: str
) -> LocalDenial | None:
    """Return the denial by the first of `rules` that does not allow `request`, None if all do.

    `document_arns` are those that IAM evaluated, `account` is the caller's.
    """
    name = request.document_name or DEFAULT_DOCUMENT_NAME
    bare = DocumentName.parse(name).name
    for pattern in rules.documents_deny:
        texts = document_arns if _is_arn(pattern) else (bare,)
        if any(_matches(pattern.lower(), text.lower()) for text in texts):
            return LocalDenial(
                Reason.DOCUMENT_DENIED, "documents.deny", f"session document {name!r} is denied"
            )
    for patterns in rules.documents_allow:
        if not document_arns or not all(
            any(_allows(pattern, arn, bare, account) for pattern in patterns)
            for arn in document_arns
        ):
            return LocalDenial(
                Reason.DOCUMENT_NOT_LISTED,
                "documents.allow",
                f"session document {name!r} is not among those allowed",
            )
    for patterns in rules.targets_allow:
        if not any(_matches(pattern, request.target) for pattern in patterns):
            return LocalDenial(
                Reason.TARGET_NOT_LISTED,
                "targets.allow",
                f"target {request.target!r} is not among those allowed",
            )
    # Some letters have no glyph, such as U+3164.
    if rules.require_reason and not any(
        c.isalnum() and is_printable(c) for c in request.reason or ""
    ):
        return LocalDenial(
            Reason.REASON_REQUIRED, "require_reason", "this machine requires a --reason"
        )
    return None


def _allows(pattern: str, document_arn: str, bare: str, account: str) -> bool:
    if _is_arn(pattern):
        return _matches(pattern, document_arn)
    return account_of(document_arn) in ("", account) and _matches(pattern, bare)


def _is_arn(pattern: str) -> bool:
    return pattern.startswith("arn:")


def _matches(pattern: str, text: str) -> bool:
    return like(pattern_of(pattern), text)
