"""Identify the caller, and the IAM user or role to simulate."""

from __future__ import annotations

from typing import Any

from ssmgate.gate.decision.arn import account_of, principal
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.decision.reason import Reason


def identify(sts: Any, iam: Any, partition: str) -> Caller | Unknown:
    """Return the caller, from STS, and for a role with its path, from IAM.

    GetCallerIdentity needs no permission, and its answer is about the principal that signed. It
    does not contain a role's path: iam:GetRole returns that. If that is denied, the ARN without
    path is used, which simulation resolves by name. The root user, federated users and everything
    unknown are `Unknown`.
    https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    try:
        answer = sts.get_caller_identity()
    except Exception as error:
        from ssmgate.gate.aws import errors

        return errors.cannot_ask(error)
    arn, account, user_id = (answer.get(name) for name in ("Arn", "Account", "UserId"))
    if not (isinstance(arn, str) and isinstance(account, str) and isinstance(user_id, str)):
        return Unknown(Reason.IDENTITY, "GetCallerIdentity's answer lacks a member")
    who = principal(arn)
    if account_of(arn) != account or not user_id:
        return Unknown(Reason.IDENTITY, "GetCallerIdentity's answer contradicts itself")
    match who.kind:
        case "user":
            return Caller(account, arn, who.policy_source_arn, user_id, "User", partition)
        case "role":
            path_arn = _role_arn(iam, who.name, account)
            if path_arn is not None and not path_arn.endswith(f"/{who.name}"):
                return Unknown(Reason.IDENTITY, "GetRole returned another role")
            return Caller(
                account,
                arn,
                path_arn or who.policy_source_arn,
                user_id,
                "AssumedRole",
                partition,
                role_path_known=path_arn is not None,
            )
        case "root":
            return Unknown(Reason.ROOT, f"the caller is the root user, {arn}")
        case "federated-user":
            return Unknown(Reason.FEDERATED_USER, f"the caller is a federated user, {arn}")
    return Unknown(Reason.IDENTITY, f"the caller {arn!r} is neither an IAM user nor a role")


def _role_arn(iam: Any, role_name: str, account: str) -> str | None:
    """Return the role's ARN with its path from GetRole; None if IAM has none.

    A role of the same name in another account, the checker's, is not the caller's: None.
    """
    try:
        arn = iam.get_role(RoleName=role_name).get("Role", {}).get("Arn")
    except Exception:
        return None
    if not isinstance(arn, str) or ":role/" not in arn or account_of(arn) != account:
        return None
    return arn
