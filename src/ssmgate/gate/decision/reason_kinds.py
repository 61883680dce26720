"""Which reason codes each kind of decision can have: types, which no process needs to load.

One alias for each kind of decision, so that mypy finds a code of another kind, and a `match`
that leaves out a code.
"""

from typing import Literal

from ssmgate.gate.decision.reason import Reason

DenialReason = Literal[Reason.EXPLICIT_DENY, Reason.IMPLICIT_DENY, Reason.NOT_NAMED]
"""Codes of a `Denial`."""

RestrictionReason = Literal[
    Reason.DOCUMENT_DENIED,
    Reason.DOCUMENT_NOT_LISTED,
    Reason.REASON_REQUIRED,
    Reason.TARGET_NOT_LISTED,
]
"""Codes of a `LocalDenial`."""

UnknownReason = Literal[
    Reason.ACCESS_CHECK_UNKNOWN,
    Reason.CONTRADICTION,
    Reason.EXPIRED,
    Reason.FAILED,
    Reason.FEDERATED_USER,
    Reason.GRANT_UNKNOWN,
    Reason.IDENTITY,
    Reason.KEYS_NOT_LISTABLE,
    Reason.LIVE_CONTEXT,
    Reason.LIVE_DENY,
    Reason.NOT_ALLOWED_TO_SIMULATE,
    Reason.NO_ANSWER,
    Reason.NO_QUESTION,
    Reason.OTHER_ACCOUNT,
    Reason.ROOT,
    Reason.SIMULATION_DENIED,
    Reason.TAGS_DENY,
    Reason.TAGS_UNKNOWN,
    Reason.THROTTLED,
    Reason.TIMED_OUT,
    Reason.UNKNOWN_TARGET,
    Reason.UNREACHABLE,
    Reason.UNREADABLE,
]
"""Codes of an `Unknown`."""

OfflineReason = Literal[Reason.DOCUMENTATION_DIFFERS, Reason.KEY_NOT_GIVEN, Reason.NO_SUCH_RESOURCE]
"""Codes of answers that no start gives: of policy files, and about the data channel."""
