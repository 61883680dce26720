"""List the FIPS and dual-stack endpoints that exist according to botocore's data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def known(session: Any, service: str, region: str) -> Iterator[str]:
    """Yield the URLs of the service's variants that botocore's data contain in full.

    A name made from a template need not exist: there is one for each service and region. STS
    has dual-stack endpoints in every region of the partitions that have any.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_dual-stack_endpoint_support.html
    """
    loader = session.get_component("data_loader")
    for partition in loader.load_data("endpoints")["partitions"]:
        for endpoint in partition["services"].get(service, {}).get("endpoints", {}).values():
            for variant in (endpoint, *endpoint.get("variants", ())):
                if "hostname" in variant:
                    yield f"https://{variant['hostname']}"
        for variant in partition["defaults"].get("variants", ()):
            if service == "sts" and variant["tags"] == ["dualstack"]:
                yield f"https://sts.{region}.{variant['dnsSuffix']}"
    yield from _literals(loader.load_service_model(service, "endpoint-rule-set-1"))


def _literals(rules: Any) -> Iterator[str]:
    """Yield the URLs in a rule set that have no placeholders."""
    if isinstance(rules, list):
        for rule in rules:
            yield from _literals(rule)
    elif isinstance(rules, Mapping):
        url = rules.get("url")
        if isinstance(url, str) and "{" not in url:
            yield url
        for rule in rules.values():
            yield from _literals(rule)
