"""What a request that moto has taken apart tells: who signed it, its members, its context."""

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
    """Who signed a request, looked up once.

    `name` is the user's or role's, `owner` for the sandbox's owner, and the access key for one
    that is nobody's. `fault` says why the caller is not known.
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
        """The caller, None for the sandbox's owner. Raises where its policies cannot be read."""
        if self.fault is not None:
            raise self.fault
        return self.caller


def members(response: Any) -> Mapping[str, Any]:
    """The request's members by AWS's names, of IAM and SSM; of another service none."""
    if response.service_name == "ssm":
        found = json.loads(response.body or "{}")
        return found if isinstance(found, dict) else {}
    if response.service_name == "iam":
        params: Mapping[str, Any] = response.params
        return params
    return {}


def context(response: Any) -> dict[str, str]:
    """The condition keys of this request."""
    request = response.normalized_request
    return request_context(
        response.region,
        request.remote_addr or "127.0.0.1",
        datetime.now(UTC),
        secure_transport=request.scheme == "https",
    )


def stored_arn(response: Any, kind: str, name: str) -> str | None:
    """The ARN, path and all, of the `user`, `group` or `role` of this name, None without one."""
    backend = iam_backends[response.current_account][response.partition]
    entities = {"user": backend.users, "group": backend.groups, "role": backend.roles}[kind]
    arn: str | None = next((e.arn for e in entities.values() if e.name == name), None)
    return arn
