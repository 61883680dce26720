"""Read a command line as the AWS CLI does, with the AWS CLI's own parser.

The parser of awscli (v1) runs until it would call the service; then it returns the parameters.
Where CLI v2 reads a command line differently, its behavior is added through the extension points
of v1.
"""

from __future__ import annotations

import os
from argparse import ArgumentError, Namespace
from collections.abc import Mapping
from dataclasses import field
from typing import Any, NoReturn

from awscli.argparser import ArgTableArgParser, MainArgParser, ServiceArgParser
from awscli.clidriver import CLIDriver, ServiceCommand, ServiceOperation
from botocore.exceptions import BotoCoreError, ParamValidationError
from botocore.validate import ParamValidator

from ssmgate.gate.argv import v2
from ssmgate.gate.aws.options import Options
from ssmgate.gate.aws.session import MfaPrompt, new_session
from ssmgate.gate.decision.errors import GateError, InvalidRequest
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.request import MEMBERS, SessionRequest, is_for_ssh


@frozen
class Invocation:
    """A parsed command line: the request, the options, and botocore's session for them."""

    request: SessionRequest
    options: Options
    session: Any = field(repr=False)
    mfa: MfaPrompt = field(repr=False)


def read(argv: list[str], driver: Driver | None = None) -> Invocation | int:
    """Read `argv`, the arguments after `aws` of a session start, without aliases.

    `driver` is one that was made in advance and has read nothing. Returns, raises and reads what
    `read_with` does.
    """
    invocation: Invocation | int = read_with(Driver, argv, driver)
    return invocation


def read_with(driver_class: type[Driver], argv: list[str], driver: Any = None) -> Any:
    """Parse `argv`, the arguments after `aws`, up to the call that the CLI would make.

    Returns an `Invocation`, or what `driver_class` returns for other command lines.

    Returns the exit status instead if an answer was printed: help, a skeleton, the version.

    Raises `InvalidRequest` for a command line that AWS CLI v2 rejects, for an unsigned request, and
    for a document name that the API's pattern does not match; other `GateError`s for other errors
    of the parser (an unknown profile, an unreadable configuration file).

    Reads the files that file:// names, as the CLI does. Calls no service.
    """
    if "--cli-auto-prompt" in argv:
        from ssmgate.gate.argv import usage

        usage.reject_prompting(argv)
    driver = driver or driver_class()
    try:
        captured = driver.read(argv)
    except SystemExit as leaving:  # from argparse, for --version
        if leaving.code:
            raise
        return 0
    except GateError as error:
        if "the following arguments are required" in error.message:
            from ssmgate.gate.aws import hints

            error.hints += hints.about_options(argv)
        error.error_format = driver.error_format()
        raise
    except Exception as error:
        from ssmgate.gate.aws import errors

        translated = errors.translate(error)
        translated.error_format = driver.error_format()
        raise translated from error
    if captured is None or isinstance(captured, int):
        return captured or 0  # help ends in None
    if not isinstance(captured, _Captured):
        return captured  # a driver's own value
    try:
        return _invocation(captured, driver)
    except GateError as error:
        error.error_format = driver.error_format()
        raise


def _invocation(captured: _Captured, driver: Driver) -> Invocation:
    parsed = captured.parsed_globals
    if not parsed.sign_request:
        raise InvalidRequest(
            "--no-sign-request is not supported: an unsigned request has no caller to check",
            code="ParamValidation",
        )
    request = SessionRequest.from_parameters(captured.parameters)
    driver.mfa.reads_stdin = not is_for_ssh(request.document_name or "")
    return Invocation(
        request=request,
        options=Options(
            region=parsed.region,
            profile=parsed.profile,
            endpoint_url=parsed.endpoint_url,
            verify=parsed.verify_ssl,
            debug=bool(parsed.debug),
            error_format=driver.error_format(),
            output=parsed.output,
            query=parsed.query,
            color=parsed.color,
        ),
        session=driver.session,
        mfa=driver.mfa,
    )


# The parsers. As in CLI v2, they raise instead of exiting, with v2's message for invalid choices.


class _Raises:
    def error(self, message: str) -> NoReturn:
        """Raise a usage error with v2's text."""
        from ssmgate.gate.argv import usage

        raise usage.invalid(message)

    def _check_value(self, action: Any, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            from ssmgate.gate.argv import usage

            raise ArgumentError(action, usage.invalid_choice(value, action.choices))


class MainParser(_Raises, MainArgParser):
    """Parses the global options, and the first argument that is not one."""

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print the version: argparse would ignore that standard output is closed or full."""
        from ssmgate.gate import printer

        printer.answer(message)


class ServiceParser(_Raises, ServiceArgParser):
    """Parses the argument after `ssm`."""


class _OperationParser(_Raises, ArgTableArgParser):
    pass


# The command tree, reduced to one command: the CLI's driver, its ssm, its start-session.


@frozen
class _Captured:
    parameters: Mapping[str, Any]
    parsed_globals: Namespace


class _Capture:
    """Replaces the CLI's operation caller: it returns the parameters and sends nothing.

    It runs after every calling-command handler, so --cli-input-json has been merged. A handler
    of that event would run before the merge.
    """

    def __init__(self, input_shape: Any) -> None:
        self._input_shape = input_shape

    def invoke(
        self, service_name: str, operation_name: str, parameters: Any, parsed_globals: Namespace
    ) -> _Captured:
        """Validate the parameters as the CLI's call would, and return them."""
        # Also if parameter_validation is turned off: an unvalidated request could have an invalid
        # document.
        report = ParamValidator().validate(parameters, self._input_shape)
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())
        return _Captured(parameters, parsed_globals)


class _StartSession(ServiceOperation):
    def create_help_command(self) -> Any:
        """Return the CLI's own help of the command, with examples."""
        from ssmgate.gate.argv import help

        return help.create_command(self, super().create_help_command)

    def _create_operation_parser(self, arg_table: Any) -> _OperationParser:
        return _OperationParser(arg_table)

    def _detect_binary_file_migration_change(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: v1's advice on v2 would look up the profile too early."""


class Ssm(ServiceCommand):
    """`aws ssm` with one operation, start-session."""

    def _create_command_table(self) -> dict[str, Any]:
        model = self._get_service_model().operation_model("StartSession")
        # A further one is rejected if it is used, by `SessionRequest`.
        if not set(MEMBERS) <= set(model.input_shape.members):
            raise GateError("this awscli lacks a parameter of StartSession")
        table = {
            "start-session": _StartSession(
                "start-session", "ssm", _Capture(model.input_shape), model, self.session
            )
        }
        self._add_lineage(table)
        return table

    def create_help_command(self) -> None:
        """Return None: only the operation has help here."""

    def _create_parser(self) -> ServiceParser:
        return ServiceParser(
            operations_table={**self._get_command_table(), "help": None}, service_name=self._name
        )


class Driver(CLIDriver):
    """The CLI's driver without its main(), which prints v1's messages and expands aliases.

    It makes its own session. Neither reads the environment or a file before `read`.
    """

    _error_format: str | None = None

    def __init__(self) -> None:
        v2.prepare()
        self.mfa = MfaPrompt()
        super().__init__(new_session(self.mfa))
        for event, handler in v2.handlers():
            self.session.register(event, handler)

    def read(self, argv: list[str]) -> Any:
        """Return `_Captured`, or the exit status if an answer was printed."""
        commands = self._get_command_table()
        parsed, remaining = self._create_parser(commands).parse_known_args(argv)
        self._error_format = parsed.cli_error_format
        return self._run_command(commands[parsed.command], parsed, remaining)

    def _run_command(self, command: Any, parsed: Namespace, remaining: list[str]) -> Any:
        self._handle_top_level_args(parsed, remaining)
        self._emit_session_event(parsed)
        return command(remaining, parsed)

    def error_format(self) -> str | None:
        """Return the error format from the option, the environment or the profile."""
        if error_format := self._error_format or os.environ.get("AWS_CLI_ERROR_FORMAT"):
            return error_format
        try:
            configured = self.session.get_scoped_config().get("cli_error_format")
        except BotoCoreError:  # reported when the profile or the file is used
            return None
        return configured if isinstance(configured, str) else None

    def _build_builtin_commands(self, session: Any) -> dict[str, Any]:
        return {"ssm": Ssm("ssm", session, "ssm")}

    def create_help_command(self) -> None:
        """Return None: only the operation has help here."""

    def _create_parser(self, command_table: Any) -> MainParser:
        return MainParser(
            command_table, self.session.user_agent(), "", self._get_argument_table(), prog="aws"
        )
