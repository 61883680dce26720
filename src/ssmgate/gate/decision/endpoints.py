"""Check whether the endpoints of STS, IAM and Systems Manager are AWS's own.

A host name that ends in `amazonaws.com` is not enough: any AWS customer can create
`NAME.s3.amazonaws.com` or `NAME.us-east-1.elb.amazonaws.com`. It has to be the service's name in a
region of the partition, a global name of the service, or a VPC endpoint of the service.
"""

from __future__ import annotations

import re

from ssmgate.gate.decision.frozen import frozen

NAMES = {"sts": "STS", "iam": "IAM", "ssm": "StartSession"}
"""What each service's endpoint is used for, for messages."""

# The host ends where every URL parser agrees that it does: before a port, a path, or the end.
_URL = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])\.?(?::([0-9]{1,5}))?(/.*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_PORTS = {"https": "443", "http": "80"}


@frozen
class Endpoints:
    """The URLs at which STS and IAM are called, and the one to which StartSession goes."""

    sts: str
    iam: str
    ssm: str

    def shown(self) -> dict[str, str]:
        """Return the URLs by service, for messages and records: without user info and query."""
        return {name: shown(getattr(self, name)) for name in NAMES}


@frozen
class Partition:
    """An AWS partition: its name, the DNS suffixes of its endpoints, and its regions' pattern."""

    name: str
    dns_suffix: str
    dual_stack_dns_suffix: str
    region_pattern: str


def shown(url: str) -> str:
    """Return `url` as printable ASCII, without user information, query and fragment."""
    scheme, separator, rest = url.partition("://")
    rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    authority, slash, path = rest.partition("/")
    plain = f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"
    text = plain.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E else f"%{byte:02X}" for byte in text)


def origin(url: str) -> str | None:
    """Return `scheme://host:port` of an http or https URL, None for a URL of another shape.

    The result is in lower case, without the root's trailing dot, and with the default port.
    """
    found = _URL.fullmatch(url)
    if found is None:
        return None
    scheme, host, port, _path = found.groups()
    return f"{scheme}://{host}:{port or _PORTS[scheme.lower()]}".lower()


def is_own(url: str, service: str, partition: Partition) -> bool:
    """Return whether `url` is AWS's own https endpoint for `service` in `partition`.

    `service` is `sts`, `iam` or `ssm`. Only the name is checked: TLS checks that the host has a
    certificate for it. The regional, global, FIPS and dual-stack names are those of botocore's
    endpoint data; VPC endpoints are named `vpce-ID.SERVICE.REGION.vpce.SUFFIX` (and with the zone
    after the ID).
    https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
    """
    match = _URL.fullmatch(url)
    if match is None or match[4] not in (None, "/"):
        return False
    suffix, dual = re.escape(partition.dns_suffix), re.escape(partition.dual_stack_dns_suffix)
    region = partition.region_pattern.removeprefix("^").removesuffix("$")
    # The only partition whose global endpoint has its own name.
    extra = "|us-gov" if partition.name == "aws-us-gov" else ""
    name = f"{service}(?:-fips)?"
    pattern = (
        f"https://(?:{name}(?:\\.(?:global{extra}|{region}))?\\.(?:{suffix}|{dual})"
        f"|vpce-[a-z0-9-]+\\.{name}\\.(?:{region})\\.vpce\\.{suffix}):443"
    )
    return re.fullmatch(pattern, str(origin(url)), re.ASCII) is not None


def is_at_aws(url: str, partition: Partition) -> bool:
    """Return whether the host of `url` is below a DNS suffix of `partition`, AWS's own or not."""
    host = re.sub(r"^[^/]*//(?:[^/@]*@)?", "", url.lower())
    host = re.split(r"[:/?#]", host, maxsplit=1)[0].rstrip(".")
    return host.endswith((f".{partition.dns_suffix}", f".{partition.dual_stack_dns_suffix}"))


def not_at_aws(endpoints: Endpoints, partition: Partition) -> str:
    """Return a warning if StartSession goes to AWS, but STS or IAM is called elsewhere.

    It is empty if all endpoints are AWS's own, or if StartSession goes elsewhere too, for example
    to a local AWS.
    """
    urls = endpoints.shown()
    others = [
        f"{NAMES[name]} is {urls[name]}"
        for name in ("sts", "iam")
        if not is_own(getattr(endpoints, name), name, partition)
    ]
    if not others or not is_at_aws(endpoints.ssm, partition):
        return ""
    return (
        "the session starts at AWS, but AWS does not answer the access check: the endpoint of"
        f" {', of '.join(others)}, and of StartSession {urls['ssm']}"
    )
