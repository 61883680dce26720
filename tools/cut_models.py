"""Cut the service models of the installed awscli down to what a start needs.

    python tools/cut_models.py

Writes src/ssmgate/gate/aws/service_models.json. For a new release of awscli.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import awscli

# Before botocore, so that awscli's own botocore is imported.
from ssmgate.gate.aws.service_models import CALLED, CUT_DOWN, AwscliModels

_RULES = "endpoint-rule-set-1"
_WHOLE = ("cli", "partitions", "sdk-default-configuration")

# The services of `endpoints` by their prefixes there: ours, and those of credential providers.
_PREFIXES = ("ec2", "iam", "oidc", "portal.sso", "signin", "ssm", "sts")


def cut_down() -> dict[str, Any]:
    """Return the installed awscli's data for the operations of a start, without documentation.

    The order of members is unchanged: options in help and members in a skeleton have it too.
    """
    whole = AwscliModels(documented=True)
    cut = {"awscli": awscli.__version__, **{name: whole.load_data(name) for name in _WHOLE}}
    endpoints = whole.load_data("endpoints")
    partitions = [
        {**partition, "services": _only(partition["services"], _PREFIXES)}
        for partition in endpoints["partitions"]
    ]
    cut["endpoints"] = {**endpoints, "partitions": partitions}
    for service_name in CALLED:
        cut[f"{service_name}/{_RULES}"] = whole.load_service_model(service_name, _RULES)
        model = whole.load_service_model(service_name, "service-2")
        shapes = _only(model["shapes"], _reached(model))
        cut[f"{service_name}/service-2"] = _undocumented({**model, "shapes": shapes})
    return cut


def _only(table: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name in names}


def _reached(model: Mapping[str, Any]) -> set[str]:
    """Return the names of the shapes that the model's operations use."""
    reached: set[str] = set()
    waiting: list[Any] = [model["operations"]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            name = node.get("shape")
            if isinstance(name, str) and name not in reached:
                reached.add(name)
                waiting.append(model["shapes"][name])
    return reached


def _undocumented(data: Any) -> Any:
    if isinstance(data, list):
        return [_undocumented(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        name: _undocumented(value)
        for name, value in data.items()
        # A member may have that name too, but its value is not a string.
        if not (name == "documentation" and isinstance(value, str))
    }


if __name__ == "__main__":
    with open(CUT_DOWN, "w") as file:
        json.dump(cut_down(), file, separators=(",", ":"))
