"""Read the policies of the caller's own, as far as they may be read, in their very text."""

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
    """A policy's JSON as it is stored, under the name that simulation gives it."""

    source_policy_id: str
    text: str


@dataclass(slots=True)
class PolicyTexts:
    """What was read so far. `unread` says, in words, what could not be: empty if nothing.

    `boundary_arn` is the boundary's where there is one, whether or not it could be read. Service
    control policies are never here: a member account may not read them.
    """

    identity: list[PolicyText] = field(default_factory=list)
    boundary: PolicyText | None = None
    boundary_arn: str | None = None
    unread: list[str] = field(default_factory=list)


class _OutOfCalls(Exception):
    """The calls that were granted are spent."""


class PolicyReader:
    """Reads into `gathered`, which holds what there is whenever the reading ends.

    `most_calls` bounds the calls to IAM, their retries aside.
    """

    def __init__(self, iam: Any, most_calls: int) -> None:
        self.gathered = PolicyTexts()
        self._iam = iam
        self._calls = most_calls
        leave_policies_encoded(iam)

    def read(self, caller: Caller, *, boundary: bool = True) -> None:
        """Read the policies of the user or role, of a user's groups, and with `boundary` that.

        The boundary first, then inline policies, as they cost one call each. Never raises for
        what IAM refuses: that is noted.
        """
        kind = "user" if caller.principal_type == "User" else "role"
        name = principal(caller.caller_arn).name
        try:
            if boundary:
                self._boundary(kind, name)
            self._entity(kind, name)
            if kind == "user":
                what = f"the groups of user {name}"
                for group in self._each("list_groups_for_user", "Groups", what, UserName=name):
                    self._entity("group", group["GroupName"])
        except _OutOfCalls:
            self.gathered.unread.append("the rest: there are too many to read now")

    def _entity(self, kind: str, name: str) -> None:
        whom = {f"{kind.title()}Name": name}
        whose = f"of {kind} {name}"
        for inline in self._each(
            f"list_{kind}_policies", "PolicyNames", f"the inline policies {whose}", **whom
        ):
            answer = self._call(
                f"get_{kind}_policy", f"policy {inline} {whose}", PolicyName=inline, **whom
            )
            if answer is not None:
                self._keep(f"{kind}_{name}_{inline}", answer.get("PolicyDocument"))
        for attached in self._each(
            f"list_attached_{kind}_policies",
            "AttachedPolicies",
            f"the attached policies {whose}",
            **whom,
        ):
            text = self._managed(attached["PolicyArn"])
            if text is not None:
                self._keep(attached["PolicyName"], text)

    def _managed(self, arn: str) -> str | None:
        what = f"policy {arn}"
        policy = self._call("get_policy", what, PolicyArn=arn)
        if policy is None:
            return None
        version = policy["Policy"]["DefaultVersionId"]
        answer = self._call("get_policy_version", what, PolicyArn=arn, VersionId=version)
        return None if answer is None else str(answer["PolicyVersion"].get("Document"))

    def _boundary(self, kind: str, name: str) -> None:
        answer = self._call(
            f"get_{kind}", f"the boundary of {kind} {name}", **{f"{kind.title()}Name": name}
        )
        entity = {} if answer is None else answer.get(kind.title(), {})
        arn = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        if not arn:
            return
        self.gathered.boundary_arn = arn
        if (text := self._managed(arn)) is not None:
            self.gathered.boundary = PolicyText(arn.rpartition("/")[2], unquote(text))

    def _keep(self, source_policy_id: str, document: Any) -> None:
        # IAM percent-encodes policies: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUserPolicy.html
        if isinstance(document, str):
            self.gathered.identity.append(PolicyText(source_policy_id, unquote(document)))

    def _each(self, operation: str, member: str, what: str, **asked: str) -> Iterator[Any]:
        while True:
            answer = self._call(operation, what, **asked)
            if answer is None:
                return
            yield from answer.get(member) or ()
            if not answer.get("IsTruncated"):
                return
            asked["Marker"] = answer["Marker"]

    def _call(self, operation: str, what: str, **asked: str) -> Mapping[str, Any] | None:
        if self._calls <= 0:
            raise _OutOfCalls
        self._calls -= 1
        call: Callable[..., Mapping[str, Any]] = getattr(self._iam, operation)
        try:
            return call(**asked)
        except Exception:
            action = "".join(word.title() for word in operation.split("_"))
            self.gathered.unread.append(f"{what} (iam:{action})")
            return None
