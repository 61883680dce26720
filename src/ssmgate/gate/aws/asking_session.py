"""Make botocore sessions read-only, for explanations: their clients cannot start anything."""

from __future__ import annotations

from typing import Any

from botocore.config import Config as ClientConfig
from botocore.handlers import json_decode_policies

from ssmgate.gate.aws.service_models import CALLED, AwscliModels

# Clients with these operations have no method that starts or ends a session.
ASKED = {
    **CALLED,
    "iam": (*CALLED["iam"], "SimulateCustomPolicy"),
    "ssm": (
        "DescribeInstanceInformation",
        "GetDocument",
        "ListDocuments",
        "ListTagsForResource",
    ),
    "ec2": ("DescribeTags",),
    "ecs": ("ListTagsForResource",),
}

DIAGNOSE = ClientConfig(
    connect_timeout=3, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 1}
)
"""How services are called to find out whether they can be reached: once, and not for long."""

RETRIED = ClientConfig(
    connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5}
)
"""How services are called for reports, which may take long."""


def only_ask(session: Any) -> None:
    """Make `session` read-only: clients made from now on cannot start anything.

    Call it after the command line has been read, which needs StartSession's model.
    """
    session.register_component("data_loader", AwscliModels(ASKED))


def leave_policies_encoded(iam: Any) -> None:
    """Make the client `iam` return each policy as the stored text instead of a parsed object.

    Positions in a policy refer to that text, which is URL-encoded.
    """
    iam.meta.events.unregister("after-call.iam", json_decode_policies)
