"""Find out where clients send their requests, with botocore's endpoint data."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError

from ssmgate.gate.decision.endpoints import Partition


def url_of(client: Any) -> str:
    """Return the URL that a request of `client` goes to.

    `client.meta.endpoint_url` is made from older data, and differs for some variants of IAM's
    endpoint. If a request would fail because there is no endpoint, that older URL is returned.
    """
    model, resolver = client.meta.service_model, getattr(client, "_ruleset_resolver", None)
    with contextlib.suppress(BotoCoreError):
        if resolver is not None:
            return resolver.construct_endpoint(  # type: ignore[no-any-return]
                operation_model=model.operation_model(model.operation_names[0]),
                call_args={},
                request_context={},
            ).url
    return client.meta.endpoint_url  # type: ignore[no-any-return]


def partition_of(session: Any, region: str) -> Partition | None:
    """Return the partition that `region` belongs to, None if there is none."""
    data = session.get_component("data_loader").load_data("partitions")
    for partition in data["partitions"]:
        if region in partition["regions"] or re.match(partition["regionRegex"], region):
            outputs = partition["outputs"]
            return Partition(
                partition["id"],
                outputs["dnsSuffix"],
                outputs["dualStackDnsSuffix"],
                partition["regionRegex"],
            )
    return None


def create_asking(
    session: Any, service: str, region_name: str, *, config: ClientConfig, **arguments: Any
) -> Any:
    """Return a client of STS or IAM, for a FIPS or dual-stack endpoint only if that exists.

    Users set these variants in their AWS configuration for StartSession. botocore then makes a host
    name for each service and region, and most of these do not exist.
    `arguments` are further arguments of `create_client`. If no endpoint is both FIPS and
    dual-stack, FIPS is preferred.
    """
    fips = _wanted(session, "use_fips_endpoint")
    dual_stack = _wanted(session, "use_dualstack_endpoint")
    for variant in dict.fromkeys(
        ((fips, dual_stack), (fips, False), (False, dual_stack), (False, False))
    ):
        chosen = ClientConfig(use_fips_endpoint=variant[0], use_dualstack_endpoint=variant[1])
        standard = variant == (False, False)
        with contextlib.suppress(*() if standard else (BotoCoreError,)):
            client = session.create_client(
                service, region_name=region_name, config=config.merge(chosen), **arguments
            )
            if standard:
                return client
            # Imported only here, as few users set a variant.
            from ssmgate.gate.aws.endpoint_variants import known

            if url_of(client) in known(session, service, region_name):
                return client
    raise AssertionError("the last variant is the standard one")


def _wanted(session: Any, name: str) -> bool:
    return bool(session.get_config_variable(name))
