"""List the documents and managed nodes of an account, to prove that a change covers no others."""

from __future__ import annotations

from functools import cache
from typing import Any

from ssmgate.explain import session_documents
from ssmgate.explain.narrow import Lister, Listing

_MOST_PAGES = 5


def lister(ssm: Any, region: str, account: str) -> Lister:
    """Return a function that lists one kind of resource, with the client `ssm`.

    Each kind is listed once, when it is first needed. Errors make the listing incomplete.
    """

    @cache
    def documents(partition: str, owner: str) -> Listing:
        found = session_documents.list_documents(ssm, owner)
        if not found.complete:
            return Listing(why=found.why)
        owned_by = "" if owner == session_documents.AMAZON else account
        place = f"arn:{partition}:ssm:{region}:{owned_by}:document"
        return Listing(tuple(f"{place}/{name}" for name in found.names))

    @cache
    def nodes(partition: str) -> Listing:
        arguments: dict[str, Any] = {"MaxResults": 50}
        arns: list[str] = []
        try:
            for _ in range(_MOST_PAGES):
                answer = ssm.describe_instance_information(**arguments)
                for node in answer.get("InstanceInformationList") or ():
                    arns.append(_node_arn(partition, region, account, node["InstanceId"]))
                if not answer.get("NextToken"):
                    return Listing(tuple(arns))
                arguments["NextToken"] = answer["NextToken"]
        except Exception as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code")
            why = f"ssm:DescribeInstanceInformation: {code or type(error).__name__}"
            return Listing(why=why)
        return Listing(why=f"more than {50 * _MOST_PAGES} nodes")

    def listed(pattern: str) -> Listing:
        _, partition, service, _, owner, rest = pattern.split(":", 5)
        if rest.startswith("document/"):
            return documents(partition, "Self" if owner else "Amazon")
        if service == "ecs":
            return Listing(why="ssmgate does not list tasks")
        found = nodes(partition)
        kind = rest.partition("/")[0]
        return Listing(tuple(arn for arn in found.arns if f":{kind}/" in arn), found.why)

    return listed


def without_aws(region: str) -> Lister:
    """Return a function that lists AWS's well-known documents in `region`, and nothing else."""

    def listed(pattern: str) -> Listing:
        fields = pattern.split(":", 5)
        if fields[4]:
            return Listing(why="policy files do not show which resources exist")
        place = ":".join((*fields[:3], region, ""))
        return Listing(tuple(f"{place}:document/{name}" for name in session_documents.WELL_KNOWN))

    return listed


def _node_arn(partition: str, region: str, account: str, node: str) -> str:
    if node.startswith("mi-"):
        return f"arn:{partition}:ssm:{region}:{account}:managed-instance/{node}"
    return f"arn:{partition}:ec2:{region}:{account}:instance/{node}"
