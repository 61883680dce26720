"""List the online managed nodes and the session documents, for completion."""

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
    """The nodes and documents in the caller's account, with the options of a command line.

    `profile`, `region`, `endpoint_url` (of SSM) and `ca_bundle` are the values typed, None if
    absent. Raises botocore's errors, and `ConfigurationProblem` if an MFA code is needed and
    there is no terminal to ask for it.
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
        """Return the online nodes as (id, name), sorted by name.

        The name is the EC2 tag `Name` if the caller may read it. It may contain any characters.
        """
        nodes = {
            node["InstanceId"]: str(node.get("Name") or node.get("ComputerName") or "")
            for node in self._pages(
                self._ssm,
                "describe_instance_information",
                "InstanceInformationList",
                Filters=[{"Key": "PingStatus", "Values": ["Online"]}],
            )
            if isinstance(node.get("InstanceId"), str)
        }
        if not self._elsewhere:
            # Names are optional: without them the ids are still useful.
            with suppress(Exception):
                nodes |= self._names([node for node in nodes if node.startswith("i-")])
        return sorted(nodes.items(), key=lambda node: (node[1], node[0]))

    def documents(self) -> list[tuple[str, str]]:
        """Return the session documents as (name, owner), sorted by name."""
        documents = self._pages(
            self._ssm,
            "list_documents",
            "DocumentIdentifiers",
            Filters=[{"Key": "DocumentType", "Values": ["Session"]}],
        )
        return sorted(
            (document["Name"], str(document.get("Owner") or ""))
            for document in documents
            if isinstance(document.get("Name"), str)
        )

    def _names(self, instance_ids: list[str]) -> dict[str, str]:
        if not instance_ids:
            return {}
        ec2 = self._session.create_client("ec2", **self._common)
        names = {}
        # EC2 accepts at most 200 values in a filter.
        for start in range(0, len(instance_ids), 200):
            filters = [{"Name": "instance-id", "Values": instance_ids[start : start + 200]}]
            for reservation in self._pages(
                ec2, "describe_instances", "Reservations", Filters=filters
            ):
                for instance in reservation.get("Instances") or ():
                    for tag in instance.get("Tags") or ():
                        node, name = instance.get("InstanceId"), tag.get("Value")
                        if tag.get("Key") == "Name" and name and node:
                            names[node] = name
        return names

    @staticmethod
    def _pages(client: Any, operation: str, member: str, **arguments: Any) -> Iterator[Any]:
        paginator = client.get_paginator(operation)
        pages = paginator.paginate(**arguments, PaginationConfig={"MaxItems": _MOST})
        for page in pages:
            # A null among them hides no others.
            yield from filter(None, page.get(member) or ())
