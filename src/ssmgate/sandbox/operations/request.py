"""Read a request that moto has parsed: its signer, its members, its condition keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends

from ssmgate.sandbox.enforcement import Caller, request_context
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.principals import caller_of


class Signer:
    """The signer of a request, looked up once.

    `name` is that of the user or role, `owner` for the owner of the sandbox, and the access key
    if its principal is not known; `fault` is then the reason.
    """

    def __init__(self, response: Any) -> None:
        self.fault: ServiceFault | None = None
        self.caller: Caller | None = None
        self.name = "owner"
        try:
            self.caller = caller_of(
                response.access_key, response.current_account, response.partition
            )
        except ServiceFault as fault:
            self.fault, self.name = fault, response.access_key
        if self.caller is not None:
            self.name = self.caller.name

    def known(self) -> Caller | None:
        """Return the caller, None for the sandbox's owner. Raises `fault` if it is not known."""
        if self.fault is not None:
            raise self.fault
        return self.caller


def members(response: Any) -> Mapping[str, Any]:
    """Return the members of an IAM or SSM request by AWS's names; empty for other services."""
    if response.service_name == "ssm":
        content = json.loads(response.body or "{}")
        return content if isinstance(content, dict) else {}
    if response.service_name == "iam":
        params: Mapping[str, Any] = response.params
        return params
    return {}


def context(response: Any) -> dict[str, str]:
    """Return the condition keys of this request."""
    request = response.normalized_request
    return request_context(
        response.region,
        request.remote_addr or "127.0.0.1",
        datetime.now(UTC),
        secure_transport=request.scheme == "https",
    )


def stored_arn(response: Any, kind: str, name: str) -> str | None:
    """Return the ARN, with its path, of the `user`, `group` or `role` `name`, or None."""
    backend = iam_backends[response.current_account][response.partition]
    entities = {"user": backend.users, "group": backend.groups, "role": backend.roles}[kind]
    arn: str | None = next((e.arn for e in entities.values() if e.name == name), None)
    return arn
