"""Where clients send their requests, by botocore's endpoint data."""

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
    endpoint. Where a request would fail for want of an endpoint, that older URL is returned.
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
    """Return the partition that `region` belongs to, None for a region of none."""
    data = session.get_component("data_loader").load_data("partitions")
    for one in data["partitions"]:
        if region in one["regions"] or re.match(one["regionRegex"], region):
            outputs = one["outputs"]
            return Partition(
                one["id"],
                outputs["dnsSuffix"],
                outputs["dualStackDnsSuffix"],
                one["regionRegex"],
            )
    return None


def create_asking(
    session: Any, service: str, region_name: str, *, config: ClientConfig, **arguments: Any
) -> Any:
    """Make a client of STS or IAM, for a FIPS or dual-stack endpoint only where there is one.

    The user's AWS configuration asks for these variants with StartSession in mind. With it
    botocore makes a host name for each service and region, of which most do not exist.
    `arguments` are more of those of `create_client`. FIPS comes before dual-stack
    where there is no endpoint that is both.
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
            # Here, as few ask for a variant.
            from ssmgate.gate.aws.endpoint_variants import known

            if url_of(client) in known(session, service, region_name):
                return client
    raise AssertionError("the last variant is the standard one")


def _wanted(session: Any, name: str) -> bool:
    return bool(session.get_config_variable(name))
