"""AWS CLI v2's handling of arguments, added through the CLI's own extension points."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from functools import cached_property
from typing import Any

from awscli import shorthand
from awscli.argprocess import ParamError, ParamShorthandParser, ParamSyntaxError
from awscli.arguments import CustomArgument
from awscli.customizations import globalargs
from awscli.customizations.cliinputjson import CliInputJSONArgument
from awscli.customizations.generatecliskeleton import GenerateCliSkeletonArgument
from awscli.paramfile import (
    LOCAL_PREFIX_MAP,
    URIArgumentHandler,
    get_file,
    get_paramfile,
)

from ssmgate.gate.decision.errors import InvalidRequest
from ssmgate.gate.decision.printable import Layout


def handlers() -> list[tuple[str, Callable[..., Any]]]:
    """Return the CLI's events with v2's handlers for them, in the CLI's order."""
    return [
        ("building-top-level-params", _v2_global_options),
        ("top-level-args-parsed", _resolve_types),
        ("top-level-args-parsed", globalargs.no_sign_request),
        ("top-level-args-parsed", globalargs.resolve_verify_ssl),
        ("top-level-args-parsed", globalargs.resolve_cli_read_timeout),
        ("top-level-args-parsed", globalargs.resolve_cli_connect_timeout),
        # Local prefixes only: v2 sends an http(s) value as it stands, v1 fetches it.
        ("load-cli-arg", URIArgumentHandler(LOCAL_PREFIX_MAP)),
        ("process-cli-arg", _Shorthand()),
        ("building-argument-table", _add_inputs),
    ]


class _Shorthand(ParamShorthandParser):
    """The CLI's class, but it makes the parser only for the first value that needs one."""

    def __init__(self) -> None:
        """Do not make the parser, as the CLI does."""

    @cached_property
    def _parser(self) -> Any:
        return shorthand.ShorthandParser()

    @cached_property
    def _visitor(self) -> Any:
        return shorthand.BackCompatVisitor()


def _v2_global_options(argument_table: dict[str, Any], **_: Any) -> None:
    del argument_table["v2-debug"]
    argument_table["output"].choices.extend(["yaml", "yaml-stream", "off"])
    flag: dict[str, Any] = {"action": "store_true"}
    for name, kwargs in {
        "cli-binary-format": {"choices": ["base64", "raw-in-base64-out"]},
        "no-cli-pager": flag,
        "cli-auto-prompt": flag,
        "no-cli-auto-prompt": flag,
        "cli-error-format": {
            "choices": ["legacy", "json", "yaml", "text", "table", "enhanced"],
        },
    }.items():
        CustomArgument(name, dest=name.replace("-", "_"), **kwargs).add_to_arg_table(argument_table)


def _resolve_types(parsed_args: Namespace, **_: Any) -> None:
    try:
        globalargs.resolve_types(parsed_args)
    except ValueError as error:  # a usage error in v2, any error in v1
        # For an invalid query the message marks the position on a second line.
        raise InvalidRequest(Layout(error), code="ParamValidation") from error


def _get_file(prefix: str, path: str, mode: str) -> str | bytes:
    """Return a file:// value, in the encoding for which only v2 has an environment variable."""
    encoding = os.environ.get("AWS_CLI_FILE_ENCODING")
    if encoding is None:
        return get_file(prefix, path, mode)  # type: ignore[no-any-return]
    from ssmgate.gate.argv import encoded_file

    return encoded_file.read(prefix, path, encoding)


def prepare() -> None:
    """Make this process read file:// values as AWS CLI v2 does, also `key@=file://` in shorthand.

    Shorthand uses awscli's own table, so that is changed in place.
    """
    LOCAL_PREFIX_MAP["file://"] = (_get_file, {"mode": "r"})


def _add_inputs(
    session: Any, operation_model: Any, argument_table: dict[str, Any], **_: Any
) -> None:
    for argument in (
        _InputJson(session),
        _InputYaml(session),
        _Skeleton(session, operation_model),
    ):
        argument.add_to_arg_table(argument_table)


def _from_json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ParamError("cli-input-json", "Invalid JSON received.") from error


def _from_yaml(text: str | bytes) -> Any:
    # Imported only here, as few command lines have YAML.
    from ssmgate.gate.argv import yaml

    return yaml.load(text)


class _InputJson(CliInputJSONArgument):
    """v2's --cli-input-json: a mapping, and not together with --cli-input-yaml."""

    load = staticmethod(_from_json)

    def add_to_call_parameters(
        self, call_parameters: dict[str, Any], parsed_args: Namespace, **_: Any
    ) -> None:
        """Add the members of the input that were not given as options."""
        text = getattr(parsed_args, self.py_name, None)
        if text is None:
            return
        if None not in (parsed_args.cli_input_json, parsed_args.cli_input_yaml):
            raise ParamSyntaxError("Only one --cli-input- parameter may be specified.")
        from_file = get_paramfile(text, LOCAL_PREFIX_MAP)
        loaded = self.load(text if from_file is None else from_file)
        if not isinstance(loaded, dict):
            raise ParamError(self.cli_name, f"Invalid type: expecting map, received {type(loaded)}")
        self._update_call_parameters(call_parameters, loaded)


class _InputYaml(_InputJson):
    """--cli-input-yaml, which v1 does not have: YAML 1.2."""

    load = staticmethod(_from_yaml)
    ARG_DATA = {  # noqa: RUF012 - the CLI's own attribute
        "name": "cli-input-yaml",
        "help_text": (
            "Reads arguments from the YAML string provided. If other arguments are provided on"
            " the command line, those values will override the YAML-provided values. This may"
            " not be specified along with ``--cli-input-json``."
        ),
    }


class _Skeleton(GenerateCliSkeletonArgument):
    """--generate-cli-skeleton with v2's third choice, yaml-input."""

    ARG_DATA = {  # noqa: RUF012 - the CLI's own attribute
        **GenerateCliSkeletonArgument.ARG_DATA,
        "choices": ["input", "output", "yaml-input"],
    }

    def generate_json_skeleton(
        self, call_parameters: Any, parsed_args: Namespace, parsed_globals: Namespace, **_: Any
    ) -> Any:
        """Print the requested skeleton, and return the exit status."""
        kind = getattr(parsed_args, "generate_cli_skeleton", None)
        if not kind:
            return None
        from ssmgate.gate.argv import skeleton

        model = self._operation_model
        if kind == "output":
            return skeleton.print_output(self._session, model, call_parameters, parsed_globals)
        print_ = skeleton.print_input if kind == "input" else skeleton.print_yaml_input
        return print_(model.input_shape)
