"""Print skeletons as AWS CLI v2 does: of the input as JSON and YAML, of the output in any format.

All of them go through `printer.answer`, as the AWS CLI ignores errors of standard output.
"""

from __future__ import annotations

import io
import json
from argparse import Namespace
from typing import Any

from awscli.customizations.generatecliskeleton import StubbedCLIOperationCaller
from awscli.formatter import get_formatter
from botocore.utils import ArgumentGenerator
from ruamel.yaml import YAML

from ssmgate.gate import printer
from ssmgate.gate.argv import yaml


def print_input(shape: Any) -> int:
    """Print the members of `shape` as JSON, and return the exit status."""
    printer.answer(json.dumps(ArgumentGenerator().generate_skeleton(shape), indent=4) + "\n")
    return 0


def print_yaml_input(shape: Any) -> int:
    """Print the members of `shape` as YAML, and return the exit status."""
    skeleton = YAML().map()
    # Through JSON, as YAML would write an OrderedDict with a tag.
    skeleton.update(json.loads(json.dumps(ArgumentGenerator().generate_skeleton(shape))))
    for name in shape.required_members:
        skeleton.yaml_add_eol_comment("# [REQUIRED]", name)
    output = io.StringIO()
    YAML().dump(skeleton, output)
    printer.answer(output.getvalue())
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
        if output in ("yaml", "yaml-stream", "off"):
            response.pop("ResponseMetadata", None)
            if parsed_globals.query is not None:
                response = parsed_globals.query.search(response)
            if output == "yaml-stream":
                response = [response]
            printer.answer("" if output == "off" else yaml.dumped(response))
            return
        stream = io.StringIO()
        get_formatter(output, parsed_globals)(command_name, response, stream)
        printer.answer(stream.getvalue())
