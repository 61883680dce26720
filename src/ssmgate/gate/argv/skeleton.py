"""The skeletons that AWS CLI v2 prints and v1 does not: YAML, and responses in v2's formats."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from awscli.customizations.generatecliskeleton import StubbedCLIOperationCaller
from botocore.utils import ArgumentGenerator
from ruamel.yaml import YAML

from ssmgate.gate.argv import yaml


def print_yaml_input(shape: Any) -> int:
    """Print the skeleton for the members of `shape`, and return the exit status."""
    skeleton = YAML().map()
    # Through JSON, as YAML would write an OrderedDict with a tag.
    skeleton.update(json.loads(json.dumps(ArgumentGenerator().generate_skeleton(shape))))
    for name in shape.required_members:
        skeleton.yaml_add_eol_comment("# [REQUIRED]", name)
    YAML().dump(skeleton, sys.stdout)
    return 0


def print_output(session: Any, model: Any, parameters: Any, parsed_globals: Namespace) -> int:
    """Print a response of the operation `model` without a call, and return the exit status."""
    status: int = _OutputCaller(session).invoke(
        model.service_model.service_name, model.name, parameters, parsed_globals
    )
    return status


class _OutputCaller(StubbedCLIOperationCaller):
    """The CLI's class, with the formats of v2: yaml, yaml-stream and off."""

    def _display_response(
        self, command_name: str, response: Any, parsed_globals: Namespace
    ) -> None:
        output = parsed_globals.output or self._session.get_config_variable("output")
        if output not in ("yaml", "yaml-stream", "off"):
            super()._display_response(command_name, response, parsed_globals)
            return
        response.pop("ResponseMetadata", None)
        if parsed_globals.query is not None:
            response = parsed_globals.query.search(response)
        if output == "yaml-stream":
            response = [response]
        if output != "off":
            sys.stdout.write(yaml.dumped(response))
