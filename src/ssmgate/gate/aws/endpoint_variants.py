"""Which FIPS and dual-stack endpoints exist, by botocore's data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def known(session: Any, service: str, region: str) -> Iterator[str]:
    """The URLs of the service's variants that botocore's data name in full.

    A name made of a template alone says nothing: there is one for each service and region. STS
    has dual-stack endpoints in every region of the partitions that have any.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_dual-stack_endpoint_support.html
    """
    loader = session.get_component("data_loader")
    for partition in loader.load_data("endpoints")["partitions"]:
        for endpoint in partition["services"].get(service, {}).get("endpoints", {}).values():
            for one in (endpoint, *endpoint.get("variants", ())):
                if "hostname" in one:
                    yield f"https://{one['hostname']}"
        for one in partition["defaults"].get("variants", ()):
            if service == "sts" and one["tags"] == ["dualstack"]:
                yield f"https://sts.{region}.{one['dnsSuffix']}"
    yield from _literals(loader.load_service_model(service, "endpoint-rule-set-1"))


def _literals(rules: Any) -> Iterator[str]:
    """The URLs in a rule set that have no part to be filled in."""
    if isinstance(rules, list):
        for one in rules:
            yield from _literals(one)
    elif isinstance(rules, Mapping):
        url = rules.get("url")
        if isinstance(url, str) and "{" not in url:
            yield url
        for one in rules.values():
            yield from _literals(one)
