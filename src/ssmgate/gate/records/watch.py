"""See the ids of a start's requests, by which CloudTrail lists them. Loaded only for records."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

_SERVICES = ("iam", "ssm")


def watched(clients: Any, seen: dict[str, Any]) -> Any:
    """Return `clients`, which add the access key id and the ids of their requests to `seen`.

    `clients` are `gate.aws.clients.Clients`. The ids are listed by operation, also those of
    requests that the service answered with an error. Nothing else about the clients changes.
    """
    seen["access_key_id"] = clients.credentials.access_key_id

    def note(parsed: Any = None, model: Any = None, **_: Any) -> None:
        metadata = parsed.get("ResponseMetadata") if isinstance(parsed, dict) else None
        request_id = metadata.get("RequestId") if isinstance(metadata, dict) else None
        if isinstance(request_id, str):
            seen.setdefault(model.name, []).append(request_id)

    def watch(client: Any) -> Any:
        for service in _SERVICES:
            client.meta.events.register_last(f"after-call.{service}", note)
        return client

    def asking() -> tuple[Any, Any]:
        sts, iam = clients.asking()
        return sts, watch(iam)

    watch(clients.ssm)
    return replace(clients, asking=cache(asking))
