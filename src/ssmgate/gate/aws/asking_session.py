"""Sessions that only ask, for what explains: no client of theirs can start anything."""

from __future__ import annotations

from typing import Any

from botocore.handlers import json_decode_policies

from ssmgate.gate.aws.service_models import CALLED, AwscliModels

# For what only asks: a client of these has no method that starts or ends anything.
ASKED = {
    **CALLED,
    "iam": (*CALLED["iam"], "SimulateCustomPolicy"),
    "ssm": ("GetDocument", "ListDocuments", "ListTagsForResource"),
    "ec2": ("DescribeTags",),
}


def only_ask(session: Any) -> None:
    """Leave `session` no way to start anything: clients made from now on cannot.

    To be called when the command line has been read, which takes StartSession's model.
    """
    session.register_component("data_loader", AwscliModels(ASKED))


def leave_policies_encoded(iam: Any) -> None:
    """Have the client `iam` return each policy as the stored text instead of a parsed object.

    Positions in a policy are those of that text, which is URL-encoded.
    """
    iam.meta.events.unregister("after-call.iam", json_decode_policies)
