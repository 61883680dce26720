"""`ssmgate models`: reduce awscli's service models to what a session start needs."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Mapping
from typing import Any

import click

from ssmgate.commands.common import Problem, Verb, installed
from ssmgate.commands.printer import Group, echo

_RULES = "endpoint-rule-set-1"
_WHOLE = ("cli", "partitions", "sdk-default-configuration")

# The services of `endpoints` by their prefixes there: ours, and those of credential providers.
_PREFIXES = ("ec2", "iam", "oidc", "portal.sso", "signin", "ssm", "sts")


@click.group(cls=Group, hidden=True)
def models() -> None:
    """Speed up session starts with another release of awscli than the tested one."""


@models.command(cls=Verb, short_help="Reduce the service models of the installed awscli.")
def build() -> None:
    """Reduce the service models of the installed awscli to what a session start needs.

    ssmgate includes reduced models, which it uses only with the data files of awscli that they were
    made from. With others it reads the models of awscli, and a session start takes about 0.1 s
    longer. This command reduces them again. It writes one file in the directory in which ssmgate is
    installed, so run it as the user who installed ssmgate.

    Exit status: 0, or 253 if the file cannot be written or this awscli is not supported.
    """
    from ssmgate.gate.aws.service_models import CUT_DOWN

    reduced = cut_down()
    try:
        _replace(CUT_DOWN, json.dumps(reduced, separators=(",", ":")))
    except OSError as error:
        raise Problem(
            f"{CUT_DOWN} cannot be written: {error.strerror}",
            f"as the user who installed ssmgate: {build_command()}",
        ) from error
    echo(f"made from awscli {reduced['awscli']}: {CUT_DOWN}")


def build_command() -> str:
    """Return the command line of `ssmgate models build` for this installation."""
    return shlex.join([installed("ssmgate"), "models", "build"])


def _replace(path: str, text: str) -> None:
    """Replace the file, whole: a session may be started at the same time."""
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # every user who starts sessions reads it
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def cut_down() -> dict[str, Any]:
    """Return the installed awscli's data for the operations of a start, without documentation.

    `awscli` is its release, `made_from` the digest of the files. The order of members is unchanged:
    options in help and members in a skeleton have it too.
    """
    import ssmgate.gate.aws.service_models as service_models
    from ssmgate.gate.aws import AWSCLI_VERSION, model_files

    whole = service_models.AwscliModels(documented=True)
    cut = {
        "awscli": AWSCLI_VERSION,
        "made_from": model_files.digest(),
        **{name: whole.load_data(name) for name in _WHOLE},
    }
    endpoints = whole.load_data("endpoints")
    partitions = [
        {**partition, "services": _only(partition["services"], _PREFIXES)}
        for partition in endpoints["partitions"]
    ]
    cut["endpoints"] = {**endpoints, "partitions": partitions}
    for service_name in service_models.CALLED:
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
