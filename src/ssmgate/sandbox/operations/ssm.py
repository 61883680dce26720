"""SSM's part: sessions, the nodes they reach, and AWS's own documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.models import Document, Documents, ssm_backends

from ssmgate.sandbox.documents import AWS_SESSION_DOCUMENTS
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.operations.request import context, members
from ssmgate.sandbox.sessions import Node, Region, SessionDocument


def start_session(self: Any) -> Any:
    """StartSession: the rules are `Sessions.start`."""
    caller = self.sandbox_signer.known()
    answer = self.sandbox_sessions.start(members(self), caller, region_of(self), context(self))
    self.sandbox_notes.append("not restricted" if caller is None else "allowed")
    return ActionResult(answer)


def terminate_session(self: Any) -> Any:
    """TerminateSession: the rules are `Sessions.terminate`."""
    caller = self.sandbox_signer.known()
    answer = self.sandbox_sessions.terminate(members(self), caller, region_of(self), context(self))
    self.sandbox_notes.append("not restricted" if caller is None else "allowed")
    return ActionResult(answer)


def describe_sessions(self: Any) -> Any:
    """DescribeSessions of this region. Filters and pages are not modelled: all are listed."""
    state = str(members(self).get("State"))
    return ActionResult({"Sessions": self.sandbox_sessions.describe(state, self.region)})


def describe_instance_information(self: Any) -> Any:
    """The EC2 instances as managed nodes, online while they run.

    Raises InvalidFilterKey for a filter that is not InstanceIds, PingStatus, ResourceType or a
    tag's. Pages are not modelled: all are listed.
    """
    asked = members(self)
    filters = {
        **{f.get("key"): f.get("valueSet") for f in asked.get("InstanceInformationFilterList", ())},
        **{f.get("Key"): f.get("Values") for f in asked.get("Filters", ())},
    }
    found = []
    for instance in _instances(self):
        node = _node(instance)
        status = "Online" if node.online else "ConnectionLost"
        has = {
            "InstanceIds": node.node_id,
            "PingStatus": status,
            "ResourceType": "EC2Instance",
            **{f"tag:{key}": value for key, value in node.tags.items()},
        }
        for key in filters:
            if key not in has and not str(key).startswith("tag:"):
                raise ServiceFault("InvalidFilterKey", f"{key} is not modelled by the sandbox.")
        if all(has.get(key) in (values or ()) for key, values in filters.items()):
            found.append(
                {
                    "InstanceId": node.node_id,
                    "PingStatus": status,
                    "PlatformType": "Linux",
                    "ResourceType": "EC2Instance",
                    "IPAddress": instance.private_ip,
                    "LastPingDateTime": datetime.now(UTC) if node.online else instance.launch_time,
                }
            )
    return ActionResult({"InstanceInformationList": found})


def region_of(response: Any) -> Region:
    """The region that the request went to, and its nodes and documents in moto's state."""
    backend = ssm_backends[response.current_account][response.region]

    def node(node_id: str) -> Node | None:
        return next((_node(i) for i in _instances(response) if i.id == node_id), None)

    def document(name: str) -> SessionDocument | None:
        documents = backend._documents.get(name)
        if documents is None:
            return None
        current = documents.get_default_version()
        tags = backend._resource_tags.get("Document", {}).get(name, {})
        return SessionDocument(
            name, current.document_type, current.owner, dict(tags), current.content
        )

    return Region(response.partition, response.region, response.current_account, node, document)


def _instances(response: Any) -> list[Any]:
    backend = ec2_backends[response.current_account][response.region]
    return [
        instance
        for reservation in backend.reservations.values()
        for instance in reservation.instances
        if instance._state.name != "terminated"
    ]


def _node(instance: Any) -> Node:
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
    return Node(instance.id, tags, online=instance._state.name == "running")


def put_aws_documents(backend: Any) -> None:
    """Put AWS's own documents into a region's state, unless they are there. moto has none."""
    if "AWS-RunShellScript" in backend._documents:
        return
    contents: dict[str, tuple[str, Any]] = {
        name: ("Session", content) for name, content in AWS_SESSION_DOCUMENTS.items()
    }
    contents["AWS-RunShellScript"] = ("Command", {"schemaVersion": "1.2", "runtimeConfig": {}})
    made = {}
    for name, (document_type, content) in contents.items():
        document = Document(
            account_id="Amazon",
            name=name,
            version_name="",
            content=json.dumps(content),
            document_type=document_type,
            document_format="JSON",
            requires=[],
            attachments=[],
            target_type="",
        )
        made[name] = Documents(document)
    # At once: another request may be looking.
    backend._documents.update(made)
