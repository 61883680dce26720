"""IAM and SSM as a denial is refined: documents that are allowed for the tags they have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fakes.simulations import answer, entry, result, several
from ssmgate.gate.decision.question import Caller, ContextEntry, Question

ACCOUNT = "111122223333"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
USER = Caller(ACCOUNT, ALICE, ALICE, "AIDA", "User", "aws")
THEIRS, MINE = "aws:ResourceTag/Team", "aws:PrincipalTag/Team"
LIVE = "aws:SourceIp"
DEV_ROLE = f"arn:aws:iam::{ACCOUNT}:role/Dev"
LIMIT = f"arn:aws:iam::{ACCOUNT}:policy/Limit"
OWN_TAGS = (
    ContextEntry(THEIRS, "string", ("ops",)),
    ContextEntry("ssm:resourceTag/Team", "string", ("ops",)),
)


def arn(name: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    """Return the ARN of a document."""
    return f"arn:aws:ssm:{region}:{account}:document/{name}"


A, B = arn("Dev"), arn("Ops")
ON_A, ON_B = Question(ALICE, A, ()), Question(ALICE, B, ())


class Aws:
    """Both services: which documents are allowed for which keys, the tags, and the calls.

    `needs` has the condition keys that each document's policy asks for, () for one that is
    allowed. IAM denies without them, explicitly those in `deny`; None is denied whatever is given.
    """

    def __init__(
        self, needs: dict[str, Sequence[str] | None], *, mentions: Sequence[str] | None = ()
    ) -> None:
        self.needs = needs
        self.mentions = mentions
        self.deny: set[str] = set()
        self.layer: str | None = "IAM Policy"
        self.user_tags: Sequence[str] | None = ("ops",)
        self.trusted_to = ["sts:AssumeRole"]
        self.encodes = False
        self.boundary: dict[str, Any] | None = None
        self.document_tags: Sequence[str] | None = ("ops",)
        self.fails: set[str] = set()
        self.calls: list[str] = []
        self.partition, self.region = "aws", "us-east-1"
        self.iam = self.ssm = self
        self.session: Any = None

    def simulate_principal_policy(self, **request: Any) -> Any:
        arns = request["ResourceArns"]
        given = {one["ContextKeyName"] for one in request["ContextEntries"]}
        if given & {THEIRS, MINE}:
            self.calls.append(" ".join(one.partition("/")[2] for one in arns))
            if self.fails & set(arns):
                raise OSError("no route")
        entries = [self._entry(one, given) for one in arns]
        if len(arns) > 1:
            return several("implicitDeny", *entries)
        decision = entries[0]["EvalResourceDecision"]
        return answer(result(decision, EvalResourceName=arns[0], ResourceSpecificResults=entries))

    def _entry(self, one: str, given: set[str]) -> Any:
        keys = self.needs.get(one)
        if keys is not None and set(keys) <= given:
            statement = {"SourcePolicyId": "p", "StartPosition": {"Line": 1, "Column": 1},
                         "EndPosition": {"Line": 2, "Column": 1}}  # fmt: skip
            return entry("allowed", one, MatchedStatements=[statement])
        if one in self.deny:
            layer = {} if self.layer is None else {
                "MatchedStatements": [{"SourcePolicyId": "d", "SourcePolicyType": self.layer}]
            }  # fmt: skip
            return entry("explicitDeny", one, **layer)
        return entry("implicitDeny", one, MissingContextValues=list(keys or ()))

    def get_context_keys_for_principal_policy(
        self, PolicySourceArn: str, PolicyInputList: Sequence[str] = ()
    ) -> Any:
        self.calls.append("GetContextKeys")
        if self.mentions is None:
            raise PermissionError(PolicySourceArn)
        mentioned = [key for text in PolicyInputList for key in json.loads(text)["mentions"]]
        return {"ContextKeyNames": [*self.mentions, *mentioned]}

    def get_user(self, UserName: str) -> Any:
        self.calls.append("GetUser")
        return {"User": self._principal(ALICE)}

    def get_role(self, RoleName: str) -> Any:
        self.calls.append("GetRole")
        trust: Any = {"Statement": [{"Effect": "Allow", "Action": self.trusted_to}]}
        if self.encodes:
            trust = quote(json.dumps(trust))
        return {"Role": {**self._principal(DEV_ROLE), "AssumeRolePolicyDocument": trust}}

    def _principal(self, arn: str) -> dict[str, Any]:
        if self.user_tags is None:
            raise PermissionError(arn)
        boundary = {"PermissionsBoundary": {"PermissionsBoundaryArn": LIMIT}}
        return {"Arn": arn, "Tags": _tags(self.user_tags), **(boundary if self.boundary else {})}

    def get_policy(self, PolicyArn: str) -> Any:
        self.calls.append(f"GetPolicy {PolicyArn}")
        return {"Policy": {"DefaultVersionId": "v2"}}

    def get_policy_version(self, PolicyArn: str, VersionId: str) -> Any:
        self.calls.append(f"GetPolicyVersion {VersionId}")
        return {"PolicyVersion": {"Document": self.boundary}}

    def list_tags_for_resource(self, ResourceType: str, ResourceId: str) -> Any:
        self.calls.append(f"tags of {ResourceId}")
        if self.document_tags is None:
            raise PermissionError(ResourceId)
        return {"TagList": _tags(self.document_tags)}


def _tags(values: Sequence[str]) -> list[dict[str, str]]:
    return [{"Key": "Team", "Value": one} for one in values]
