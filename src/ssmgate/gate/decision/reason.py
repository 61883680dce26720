"""The reason codes: why a session was denied, or why the check has no answer.

Messages, `ssmgate check`, records and the JSON schema use these codes and no others.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A reason code. Programs read the values: they stay the same between releases.

    docs/reference/check.md describes each code in a table.
    """

    ALLOWED = "allowed"

    # Denied, by IAM or by the rule about wildcard grants.
    EXPLICIT_DENY = "explicit_deny"
    IMPLICIT_DENY = "implicit_deny"
    NOT_NAMED = "not_named"
    NO_SUCH_RESOURCE = "no_such_resource"

    # Denied by the rules of this machine.
    DOCUMENT_DENIED = "document_denied"
    DOCUMENT_NOT_LISTED = "document_not_listed"
    REASON_REQUIRED = "reason_required"
    TARGET_NOT_LISTED = "target_not_listed"

    # Unknown: STS or IAM could not be asked.
    EXPIRED = "expired"
    FAILED = "failed"
    NOT_ALLOWED_TO_SIMULATE = "not_allowed_to_simulate"
    OTHER_ACCOUNT = "other_account"
    SIMULATION_DENIED = "simulation_denied"
    THROTTLED = "throttled"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"

    # Unknown: the answer cannot be used.
    CONTRADICTION = "contradiction"
    NO_ANSWER = "no_answer"
    UNREADABLE = "unreadable"

    # Unknown: simulation does not cover this caller or this target.
    FEDERATED_USER = "federated_user"
    IDENTITY = "identity"
    NO_QUESTION = "no_question"
    ROOT = "root"
    UNKNOWN_TARGET = "unknown_target"

    # Unknown: the decision depends on values that are not known.
    ACCESS_CHECK_UNKNOWN = "access_check_unknown"
    DOCUMENTATION_DIFFERS = "documentation_differs"
    GRANT_UNKNOWN = "grant_unknown"
    KEYS_NOT_LISTABLE = "keys_not_listable"
    KEY_NOT_GIVEN = "key_not_given"
    LIVE_CONTEXT = "live_context"
    LIVE_DENY = "live_deny"
    TAGS_DENY = "tags_deny"
    TAGS_UNKNOWN = "tags_unknown"
