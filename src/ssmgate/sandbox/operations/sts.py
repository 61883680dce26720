"""STS: credentials for principals in the sandbox only, and the caller's own identity.

Each function takes moto's method and returns its replacement.
"""

from __future__ import annotations

import functools
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import iam_backends

from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.operations.request import stored_arn


def for_existing_role(assume_role: Any) -> Any:
    """Return AssumeRole for existing roles. moto also returns keys for others, without limits.

    Trust policies and the caller's permission to assume the role are not checked.
    """

    @functools.wraps(assume_role)
    def assume(self: Any) -> Any:
        arn = str(self._get_param("RoleArn"))
        if stored_arn(self, "role", arn.rpartition("/")[2]) != arn:
            caller = self.sandbox_signer.known()
            owner = f"arn:{self.partition}:iam::{self.current_account}:root"
            raise ServiceFault(
                "AccessDenied",
                f"User: {owner if caller is None else caller.arn} is not authorized to perform:"
                f" sts:AssumeRole on resource: {arn}",
                403,
            )
        answer = assume_role(self)
        if self._get_param("SerialNumber") and self._get_param("TokenCode"):
            # The code is not verified.
            answer.result["Credentials"].mfa_authenticated = True
        return answer

    return assume


def for_calling_user(get_session_token: Any) -> Any:
    """Return GetSessionToken for the calling user. moto's own always returns the same key."""

    @functools.wraps(get_session_token)
    def token(self: Any) -> Any:
        caller = self.sandbox_signer.known()
        if caller is None:
            return get_session_token(self)
        if ":user/" not in caller.arn:
            raise ServiceFault(
                "AccessDenied", "Cannot call GetSessionToken with session credentials", 403
            )
        key = iam_backends[self.current_account][self.partition].create_temp_access_key()
        key.user_name = caller.name
        key.mfa_authenticated = bool(
            self._get_param("SerialNumber") and self._get_param("TokenCode")
        )
        token_result = self.backend.get_session_token(
            duration=self._get_int_param("DurationSeconds", 43200)
        )
        return ActionResult(
            {
                "Credentials": {
                    "AccessKeyId": key.access_key_id,
                    "SecretAccessKey": key.secret_access_key,
                    "SessionToken": "sandbox-session-token",
                    "Expiration": token_result.expiration,
                }
            }
        )

    return token


def for_signer(get_caller_identity: Any) -> Any:
    """Return GetCallerIdentity for all known callers, including temporary credentials."""

    @functools.wraps(get_caller_identity)
    def identity(self: Any) -> Any:
        caller = self.sandbox_signer.caller
        if caller is None:
            return get_caller_identity(self)
        return ActionResult(
            {"UserId": caller.user_id, "Account": self.current_account, "Arn": caller.arn}
        )

    return identity
