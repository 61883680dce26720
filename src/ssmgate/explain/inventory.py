"""What there is to start sessions with: online managed nodes, session documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from ssmgate.gate.aws.preconnect import LIST
from ssmgate.gate.aws.session import MfaPrompt, new_session

_CALLED = {
    "ssm": ("DescribeInstanceInformation", "ListDocuments"),
    "ec2": ("DescribeInstances",),
    "sts": ("AssumeRole", "AssumeRoleWithWebIdentity"),
}
_MOST = 1000


class Listing:
    """The caller's nodes and documents, as the words of a command line say.

    `profile`, `region`, `endpoint_url` (of SSM) and `ca_bundle` are what was typed, None where
    nothing was. Raises botocore's errors, and `ConfigurationProblem` where an MFA code would have
    to be asked for without a terminal.
    """

    def __init__(
        self,
        profile: str | None,
        region: str | None,
        endpoint_url: str | None,
        ca_bundle: str | None,
    ) -> None:
        session = new_session(MfaPrompt(), called=_CALLED)
        if profile is not None:
            session.set_config_variable("profile", profile)
        session.emit("session-initialized", session=session)
        self._session = session
        self._common = {"region_name": region, "verify": ca_bundle, "config": LIST}
        self._elsewhere = endpoint_url is not None
        self._ssm = session.create_client("ssm", endpoint_url=endpoint_url, **self._common)

    def targets(self) -> list[tuple[str, str]]:
        """Online nodes: (id, name). The name is EC2's tag where the caller may read it.

        Names are whatever somebody wrote there.
        """
        nodes = {
            node["InstanceId"]: node.get("Name") or node.get("ComputerName", "")
            for node in self._pages(
                self._ssm,
                "describe_instance_information",
                "InstanceInformationList",
                Filters=[{"Key": "PingStatus", "Values": ["Online"]}],
            )
        }
        if not self._elsewhere:
            # An extra: without it there are the ids.
            with suppress(Exception):
                nodes |= self._names([node for node in nodes if node.startswith("i-")])
        return sorted(nodes.items(), key=lambda node: (node[1], node[0]))

    def documents(self) -> list[tuple[str, str]]:
        """Session documents: (name, owner)."""
        found = self._pages(
            self._ssm,
            "list_documents",
            "DocumentIdentifiers",
            Filters=[{"Key": "DocumentType", "Values": ["Session"]}],
        )
        return sorted((document["Name"], document.get("Owner", "")) for document in found)

    def _names(self, instance_ids: list[str]) -> dict[str, str]:
        if not instance_ids:
            return {}
        ec2 = self._session.create_client("ec2", **self._common)
        names = {}
        # EC2 takes this many values of a filter.
        for start in range(0, len(instance_ids), 200):
            wanted = [{"Name": "instance-id", "Values": instance_ids[start : start + 200]}]
            for reservation in self._pages(
                ec2, "describe_instances", "Reservations", Filters=wanted
            ):
                for instance in reservation["Instances"]:
                    for tag in instance.get("Tags", []):
                        if tag["Key"] == "Name" and tag["Value"]:
                            names[instance["InstanceId"]] = tag["Value"]
        return names

    @staticmethod
    def _pages(client: Any, operation: str, member: str, **arguments: Any) -> Iterator[Any]:
        paginator = client.get_paginator(operation)
        pages = paginator.paginate(**arguments, PaginationConfig={"MaxItems": _MOST})
        for page in pages:
            yield from page.get(member, [])
