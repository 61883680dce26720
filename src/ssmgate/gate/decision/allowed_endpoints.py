"""Check which endpoints are allowed while keys are locked: AWS's own, and configured ones."""

from __future__ import annotations

from collections.abc import Collection

from ssmgate.gate.decision.endpoints import NAMES, Partition, is_own, origin, shown
from ssmgate.gate.decision.errors import ConfigurationProblem


def allowed_origin(text: str) -> str | None:
    """Return the origin of an entry of `aws.allowed_endpoints`, None for an invalid one.

    An entry is `HOST` or `HOST:PORT`, which mean https, or has its scheme in front.
    """
    url = text if "://" in text else f"https://{text}"
    return None if url.partition("://")[2].count("/") else origin(url)


def require_own(
    url: str, service: str, partition: Partition | None, allowed: Collection[str]
) -> None:
    """Raise `ConfigurationProblem` unless `url` is AWS's own for `service`, or one of `allowed`.

    `allowed` are origins, as `allowed_origin` returns them.
    """
    if origin(url) in allowed or (partition is not None and is_own(url, service, partition)):
        return
    raise ConfigurationProblem(
        f"refused: the endpoint of {NAMES[service]} is {shown(url)}, not an https endpoint of AWS"
        " in this partition; the system's configuration, which locks keys, allows no other",
        hints=(
            "remove endpoint_url from the AWS configuration, AWS_ENDPOINT_URL… from the"
            " environment, and --endpoint-url from the command line",
            "an administrator can add the host to aws.allowed_endpoints",
        ),
    )
