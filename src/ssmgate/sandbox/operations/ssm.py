"""SSM: sessions, managed nodes, and AWS's own documents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ssm.models import Document, Documents, ssm_backends

from ssmgate.gate.decision.target import target_arn
from ssmgate.sandbox import document_list, session_list
from ssmgate.sandbox.document_list import Listed
from ssmgate.sandbox.documents import AWS_SESSION_DOCUMENTS
from ssmgate.sandbox.enforcement import authorize
from ssmgate.sandbox.faults import ServiceFault
from ssmgate.sandbox.operations.request import context, members
from ssmgate.sandbox.session import resource_tags
from ssmgate.sandbox.sessions import Node, Region, SessionDocument


def start_session(self: Any) -> Any:
    """Answer StartSession with `Sessions.start`."""
    caller = self.sandbox_signer.known()
    answer = self.sandbox_sessions.start(members(self), caller, region_of(self), context(self))
    self.sandbox_notes.append("not restricted" if caller is None else "allowed")
    return ActionResult(answer)


def terminate_session(self: Any) -> Any:
    """Answer TerminateSession with `Sessions.terminate`."""
    caller = self.sandbox_signer.known()
    answer = self.sandbox_sessions.terminate(members(self), caller, region_of(self), context(self))
    self.sandbox_notes.append("not restricted" if caller is None else "allowed")
    return ActionResult(answer)


def resume_session(self: Any) -> Any:
    """Answer ResumeSession with `Sessions.resume`."""
    caller = self.sandbox_signer.known()
    answer = self.sandbox_sessions.resume(members(self), caller, region_of(self), context(self))
    self.sandbox_notes.append("not restricted" if caller is None else "allowed")
    return ActionResult(answer)


def describe_sessions(self: Any) -> Any:
    """Answer DescribeSessions with `session_list.describe`."""
    found = list(self.sandbox_sessions.opened.values())
    return ActionResult(
        session_list.describe(found, members(self), self.current_account, self.region)
    )


def get_connection_status(self: Any) -> Any:
    """Answer GetConnectionStatus: `notconnected` also for a node that does not exist.

    Raises AccessDeniedException, and ValidationException without a target.
    """
    target = str(members(self).get("Target") or "")
    region = region_of(self)
    resource = target_arn(
        target, partition=region.partition, region=region.name, account=region.account
    )
    node = region.node(target)
    caller = self.sandbox_signer.known()
    if caller is not None and resource is not None:
        tags = resource_tags({} if node is None else node.tags)
        authorize(caller, "ssm:GetConnectionStatus", resource, {**context(self), **tags})
    self.sandbox_notes.append("not restricted" if caller is None else "allowed")
    connected = node is not None and node.online
    return ActionResult({"Target": target, "Status": "connected" if connected else "notconnected"})


def list_documents(self: Any) -> Any:
    """Answer ListDocuments with `document_list.list_documents`."""
    backend = self.ssm_backend
    found = []
    for documents in list(backend._documents.values()):
        current = documents.get_default_version()
        found.append(
            Listed(
                current.name,
                current.owner,
                current.document_type,
                current.platform_types or (),
                current.target_type or "",
                dict(backend._resource_tags.get("Document", {}).get(current.name, {})),
                current.list_describe(tags=backend._get_documents_tags(current.name)),
            )
        )
    return ActionResult(document_list.list_documents(found, members(self), self.current_account))


def describe_instance_information(self: Any) -> Any:
    """Answer DescribeInstanceInformation with the EC2 instances, online while they run.

    Raises InvalidFilterKey for a filter other than InstanceIds, PingStatus, ResourceType and
    tags. All nodes are on one page.
    """
    parameters = members(self)
    filters = {
        **{
            f.get("key"): f.get("valueSet")
            for f in parameters.get("InstanceInformationFilterList", ())
        },
        **{f.get("Key"): f.get("Values") for f in parameters.get("Filters", ())},
    }
    nodes = []
    for instance in _instances(self):
        node = _node(instance)
        status = "Online" if node.online else "ConnectionLost"
        attributes = {
            "InstanceIds": node.node_id,
            "PingStatus": status,
            "ResourceType": "EC2Instance",
            **{f"tag:{key}": value for key, value in node.tags.items()},
        }
        for key in filters:
            if key not in attributes and not str(key).startswith("tag:"):
                raise ServiceFault("InvalidFilterKey", f"{key} is not supported by the sandbox.")
        if all(attributes.get(key) in (values or ()) for key, values in filters.items()):
            nodes.append(
                {
                    "InstanceId": node.node_id,
                    "PingStatus": status,
                    "PlatformType": "Linux",
                    "ResourceType": "EC2Instance",
                    "IPAddress": instance.private_ip,
                    "LastPingDateTime": datetime.now(UTC) if node.online else instance.launch_time,
                }
            )
    return ActionResult({"InstanceInformationList": nodes})


def region_of(response: Any) -> Region:
    """Return the region of the request, with its nodes and documents in moto's state."""
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
    """Add AWS's own documents to a region's state, unless they exist. moto has none."""
    if "AWS-RunShellScript" in backend._documents:
        return
    contents: dict[str, tuple[str, Any]] = {
        name: ("Session", content) for name, content in AWS_SESSION_DOCUMENTS.items()
    }
    contents["AWS-RunShellScript"] = ("Command", {"schemaVersion": "1.2", "runtimeConfig": {}})
    documents = {}
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
        documents[name] = Documents(document)
    # In one step, because other requests may read at the same time.
    backend._documents.update(documents)
