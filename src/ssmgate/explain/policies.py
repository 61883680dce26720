"""Read the caller's policies, as far as the caller may read them, in their original text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ssmgate.gate.aws.asking_session import leave_policies_encoded
from ssmgate.gate.decision.arn import principal
from ssmgate.gate.decision.question import Caller


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy's JSON as IAM stores it, and the name that IAM's simulation gives the policy."""

    source_policy_id: str
    text: str


@dataclass(slots=True)
class PolicyTexts:
    """The policies read so far. `unread` describes those that could not be read.

    `boundary_arn` is the ARN of the permissions boundary if there is one, even if it could not be
    read. Service control policies are never included: a member account may not read them.
    """

    identity: list[PolicyText] = field(default_factory=list)
    boundary: PolicyText | None = None
    boundary_arn: str | None = None
    unread: list[str] = field(default_factory=list)


class _OutOfCalls(Exception):
    """All allowed calls have been made."""


class PolicyReader:
    """Reads the policies into `texts`, which is usable even if reading was interrupted.

    `max_calls` limits the calls to IAM, not including retries.
    """

    def __init__(self, iam: Any, max_calls: int) -> None:
        self.texts = PolicyTexts()
        self._iam = iam
        self._calls_left = max_calls
        leave_policies_encoded(iam)

    def read(self, caller: Caller, *, boundary: bool = True) -> None:
        """Read the policies of the user or role, a user's groups, and, if set, the `boundary`.

        The boundary is read first, then inline policies, which take one call each. A failed call
        does not raise: it is noted in `texts.unread`.
        """
        kind = "user" if caller.principal_type == "User" else "role"
        name = principal(caller.caller_arn).name
        try:
            if boundary:
                self._boundary(kind, name)
            self._entity(kind, name)
            if kind == "user":
                what = f"the groups of user {name}"
                groups = self._items("list_groups_for_user", "Groups", what, UserName=name)
                for group in self._named(groups, what, "GroupName"):
                    self._entity("group", group["GroupName"])
        except _OutOfCalls:
            self.texts.unread.append("the rest: there are too many to read now")

    def _entity(self, kind: str, name: str) -> None:
        whom = {f"{kind.title()}Name": name}
        whose = f"of {kind} {name}"
        what = f"the inline policies {whose}"
        names = self._items(f"list_{kind}_policies", "PolicyNames", what, **whom)
        for inline in self._named(names, what):
            answer = self._call(
                f"get_{kind}_policy", f"policy {inline} {whose}", PolicyName=inline, **whom
            )
            if answer is not None:
                self._add_identity(f"{kind}_{name}_{inline}", answer.get("PolicyDocument"))
        what = f"the attached policies {whose}"
        policies = self._items(f"list_attached_{kind}_policies", "AttachedPolicies", what, **whom)
        for attached in self._named(policies, what, "PolicyArn", "PolicyName"):
            text = self._managed(attached["PolicyArn"])
            if text is not None:
                self._add_identity(attached["PolicyName"], text)

    def _managed(self, arn: str) -> str | None:
        what = f"policy {arn}"
        policy = self._call("get_policy", what, PolicyArn=arn)
        if policy is None:
            return None
        version = policy.get("Policy", {}).get("DefaultVersionId", "")
        answer = self._call("get_policy_version", what, PolicyArn=arn, VersionId=version)
        return None if answer is None else str(answer.get("PolicyVersion", {}).get("Document"))

    def _boundary(self, kind: str, name: str) -> None:
        answer = self._call(
            f"get_{kind}", f"the boundary of {kind} {name}", **{f"{kind.title()}Name": name}
        )
        entity = {} if answer is None else answer.get(kind.title(), {})
        arn = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        if not arn:
            return
        self.texts.boundary_arn = arn
        if (text := self._managed(arn)) is not None:
            self.texts.boundary = PolicyText(arn.rpartition("/")[2], unquote(text))

    def _add_identity(self, source_policy_id: str, document: Any) -> None:
        # IAM percent-encodes policies: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUserPolicy.html
        if isinstance(document, str):
            self.texts.identity.append(PolicyText(source_policy_id, unquote(document)))

    def _items(self, operation: str, member: str, what: str, **arguments: str) -> Iterator[Any]:
        while True:
            answer = self._call(operation, what, **arguments)
            if answer is None:
                return
            yield from answer.get(member) or ()
            if not answer.get("IsTruncated"):
                return
            if not answer.get("Marker"):
                self.texts.unread.append(f"the rest of {what}")
                return
            arguments["Marker"] = answer["Marker"]

    def _named(self, items: Iterator[Any], what: str, *members: str) -> Iterator[Any]:
        """Yield the items that have all `members`. Another one hides no others, and is noted."""
        for item in items:
            if item and all(item.get(member) for member in members):
                yield item
            else:
                self.texts.unread.append(f"one of {what}")

    def _call(self, operation: str, what: str, **arguments: str) -> Mapping[str, Any] | None:
        if self._calls_left <= 0:
            raise _OutOfCalls
        self._calls_left -= 1
        call: Callable[..., Mapping[str, Any]] = getattr(self._iam, operation)
        try:
            return call(**arguments)
        except Exception:
            action = "".join(word.title() for word in operation.split("_"))
            self.texts.unread.append(f"{what} (iam:{action})")
            return None
