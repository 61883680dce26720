"""What temporary credentials carry: session tags, source identity and session policies.

The rules for passing them are those of AWS STS:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ssmgate.policy_language import Policy, PolicyError, parse_policy
from ssmgate.sandbox.faults import ServiceFault

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_MAX_TAGS, _MAX_KEY, _MAX_VALUE = 50, 128, 256
_MAX_POLICY, _MAX_POLICY_ARNS = 2048, 10
_HOUR = 3600


class Kind(enum.Enum):
    """The operation that issued temporary credentials."""

    ROLE = "AssumeRole"
    FEDERATION = "GetFederationToken"
    USER = "GetSessionToken"


@dataclass(frozen=True, slots=True)
class Grant:
    """What temporary credentials carry, apart from the policies of their user or role.

    `tags` are the session tags, inherited ones included; `transitive` are the keys, in lower
    case, of those that a chained session inherits. `inline` and `policy_arns` are the session
    policies. `name` is that of a federated user. `mfa` is whether the session has MFA.
    """

    kind: Kind
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str | None = None
    inline: Policy | None = None
    policy_arns: tuple[str, ...] = ()
    name: str | None = None
    mfa: bool = False
    issued: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def inherited(self) -> dict[str, str]:
        """Return the tags that a session which these credentials start inherits."""
        return {key: value for key, value in self.tags.items() if key.lower() in self.transitive}

    def context(self) -> dict[str, str]:
        """Return the condition keys of each request with these credentials.

        Tags of the user or role are not included.
        """
        keys = {
            # AWS's policy for revoked sessions tests it.
            "aws:TokenIssueTime": self.issued.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:MultiFactorAuthPresent": "true" if self.mfa else "false",
        }
        if self.source_identity is not None:
            keys["aws:SourceIdentity"] = self.source_identity
        return keys


def requested(parameters: Mapping[str, Any], kind: Kind, previous: Grant | None) -> Grant:
    """Return the grant that a request for temporary credentials asks for.

    `parameters` has the members of AssumeRole or GetFederationToken. `previous` is the grant of
    the caller's own session: its transitive tags and its source identity are inherited. The
    packed size of policies and tags is not limited, and the characters of tags are not checked.

    Raises `ServiceFault`: ValidationError, InvalidParameterValue, MalformedPolicyDocument,
    PackedPolicyTooLarge, and AccessDenied for a second source identity.
    """
    _check_name(parameters, kind)
    tags = _tags(parameters.get("Tags") or ())
    keys = {key.lower() for key in tags}
    inherited = {} if previous is None else previous.inherited
    if any(key.lower() in keys for key in inherited):
        raise ServiceFault(
            "InvalidParameterValue",
            "One of the specified transitive tag keys can't be set because it conflicts with a"
            " transitive tag key from the calling session.",
        )
    transitive = {str(key).lower() for key in parameters.get("TransitiveTagKeys") or ()}
    if not transitive <= keys:
        raise ServiceFault(
            "InvalidParameterValue",
            "The specified transitive tag key must be included in the requested tags.",
        )
    _check_duration(parameters, previous)
    inline, arns = _session_policies(parameters)
    return Grant(
        kind,
        tags={**inherited, **tags},
        transitive=frozenset(transitive | {key.lower() for key in inherited}),
        source_identity=_source_identity(parameters, previous),
        inline=inline,
        policy_arns=arns,
        name=parameters.get("Name"),
        mfa=bool(parameters.get("SerialNumber") and parameters.get("TokenCode")),
    )


def merged_tags(own: Mapping[str, str], session: Mapping[str, str]) -> dict[str, str]:
    """Return aws:PrincipalTag keys: session tags override tags with the same key in any case."""
    overridden = {key.lower() for key in session}
    remaining = {key: value for key, value in own.items() if key.lower() not in overridden}
    return {f"aws:PrincipalTag/{key}": value for key, value in {**remaining, **session}.items()}


def _check_name(parameters: Mapping[str, Any], kind: Kind) -> None:
    if kind is Kind.USER:
        return
    member, longest = ("RoleSessionName", 64) if kind is Kind.ROLE else ("Name", 32)
    name = str(parameters.get(member) or "")
    if not re.fullmatch(rf"[\w+=,.@-]{{2,{longest}}}", name, re.ASCII):
        raise ServiceFault(
            "ValidationError",
            f"1 validation error detected: Value '{name}' at '{member[0].lower()}{member[1:]}'"
            " failed to satisfy constraint: Member must satisfy regular expression pattern:"
            rf" [\w+=,.@-]{{2,{longest}}}",
        )


def _check_duration(parameters: Mapping[str, Any], previous: Grant | None) -> None:
    seconds = int(parameters.get("DurationSeconds") or _HOUR)
    if previous is not None and previous.kind is Kind.ROLE and seconds > _HOUR:
        raise ServiceFault(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by"
            " role chaining",
        )


def _source_identity(parameters: Mapping[str, Any], previous: Grant | None) -> str | None:
    given = parameters.get("SourceIdentity")
    earlier = None if previous is None else previous.source_identity
    if given is not None and earlier is not None and given != earlier:
        raise ServiceFault(
            "AccessDenied", "The source identity of the calling session cannot be changed.", 403
        )
    return earlier if given is None else str(given)


def _tags(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if len(tags) > _MAX_TAGS:
        raise _too_long("tags", _MAX_TAGS)
    found: dict[str, str] = {}
    for number, tag in enumerate(tags, start=1):
        key, value = str(tag.get("Key", "")), str(tag.get("Value", ""))
        if not 0 < len(key) <= _MAX_KEY:
            raise _too_long(f"tags.{number}.member.key", _MAX_KEY)
        if len(value) > _MAX_VALUE:
            raise _too_long(f"tags.{number}.member.value", _MAX_VALUE)
        if key.lower() in {other.lower() for other in found}:
            raise ServiceFault(
                "InvalidParameterValue",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            )
        found[key] = value
    return found


def _session_policies(parameters: Mapping[str, Any]) -> tuple[Policy | None, tuple[str, ...]]:
    text = parameters.get("Policy")
    if text is not None and len(text) > _MAX_POLICY:
        raise _too_long("policy", _MAX_POLICY)
    arns = tuple(str(item.get("arn")) for item in parameters.get("PolicyArns") or ())
    if len(arns) > _MAX_POLICY_ARNS:
        raise _too_long("policyArns", _MAX_POLICY_ARNS)
    try:
        return (None if text is None else parse_policy(text, "session")), arns
    except PolicyError as error:
        raise ServiceFault("MalformedPolicyDocument", f"{error}") from error


def _too_long(member: str, limit: int) -> ServiceFault:
    return ServiceFault(
        "ValidationError",
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member"
        f" must have length less than or equal to {limit}",
    )
