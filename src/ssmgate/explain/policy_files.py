"""What `policy check` evaluates: policies from files, the request, its caller and its context."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ssmgate.explain.sources import Source
from ssmgate.gate.decision.arn import principal
from ssmgate.gate.decision.context import context_entry
from ssmgate.gate.decision.question import Caller, ContextEntry
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.policy_language import Policies

_ROLE = re.compile(
    r"arn:(aws[a-z-]*):iam::([0-9]{12}):role/(?:[\x21-\x7e]*/)?[\w+=,.@-]+\Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The policies from the files.

    `service_control` has one entry for each level of the organization, the root first, with the
    policies attached there.
    """

    identity: tuple[Source, ...]
    boundary: Source | None = None
    service_control: tuple[tuple[Source, ...], ...] = ()

    @property
    def policies(self) -> Policies:
        """Return the policies as the local evaluator takes them."""
        return Policies(
            tuple(source.policy for source in self.identity),
            None if self.boundary is None else self.boundary.policy,
            tuple(tuple(source.policy for source in level) for level in self.service_control),
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return all policies, in the order in which they are shown."""
        return (
            *self.identity,
            *((self.boundary,) if self.boundary else ()),
            *(source for level in self.service_control for source in level),
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """The request and its caller, and the context keys that the service will have.

    `context` is for target and document, but its resource tags are for the target only.
    `document_context` is for the document only.
    """

    request: SessionRequest
    region: str
    caller: Caller
    context: tuple[ContextEntry, ...] = ()
    document_context: tuple[ContextEntry, ...] = ()


def parse_caller(arn: str) -> Caller:
    """Return the caller with the ARN of an IAM user, a role or a role session.

    The ARN of a role session does not contain the role's path: `role_path_known` is false then,
    and for the ARN of a role of IAM Identity Center without the path that each of these has.
    Raises ValueError for any other ARN, including that of the root user, which policies do not
    restrict.
    """
    who = principal(arn)
    is_role = _ROLE.match(arn) is not None
    source = arn if is_role else who.policy_source_arn
    if not source:
        raise ValueError("must be the ARN of an IAM user, a role or a role session")
    kind = "User" if who.kind == "user" else "AssumedRole"
    _, partition, _, _, account, _ = source.split(":", 5)
    known = kind == "User" or (is_role and ":role/AWSReservedSSO_" not in source)
    return Caller(account, arn, source, "", kind, partition, role_path_known=known)


def entry(text: str) -> ContextEntry:
    """Parse `KEY=VALUE` into a context entry; `KEY=[…]` is a JSON list, `KEY=` an absent key.

    Raises ValueError for a text without `=`, an invalid JSON list and an invalid key.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("must have the form KEY=VALUE")
    if not value:
        return ContextEntry(key, "string", ())
    if not value.startswith("["):
        return context_entry(key, value)
    try:
        values = json.loads(value)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not a valid JSON list: {error}") from None
    return context_entry(key, [str(value) for value in values])
