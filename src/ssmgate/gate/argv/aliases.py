"""Parse any command line of `aws`, with aliases: does it start a session, and which?"""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from awscli.alias import AliasLoader, ExternalAliasCommand, ServiceAliasCommand
from botocore import xform_name

from ssmgate.gate.argv.parse import Driver, Invocation, MainParser, ServiceParser, Ssm, read_with
from ssmgate.gate.aws import errors
from ssmgate.gate.decision.errors import ControlFlow, InvalidRequest


@dataclass(frozen=True, slots=True)
class NotAStart:
    """A command line with which the real CLI starts no session."""


@dataclass(frozen=True, slots=True)
class ExternalAlias:
    """An alias that begins with `!`, with the shell command that the CLI would run."""

    command: str


def read_line(argv: list[str]) -> Invocation | NotAStart | ExternalAlias | int:
    """Parse `argv`, the arguments after `aws`, and expand aliases as AWS CLI v2 does.

    The CLI finds commands by their exact names: a command line without `ssm start-session` or an
    alias of it starts no session, also if this awscli does not know the command. Returns an exit
    status if an answer was printed (help, a skeleton).

    Only v2 has `[command ssm]` aliases; with v1 they are checked or run nevertheless. Raises as
    `parse.read` does, for options that the CLI would reject too. Raises `InvalidRequest` if
    `start-session` follows an option that is not known here: a CLI that knows the option might take
    the next argument for its value, and another one for the command.
    https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-alias.html
    """
    words, external = _reachable(argv)
    start = words >= {"ssm", "start-session"}
    if not start and not external:
        return NotAStart()
    try:
        line: Invocation | NotAStart | ExternalAlias | int = read_with(_AliasDriver, argv)
    except Version:
        return NotAStart()
    except _Uncertain:
        if not start:
            return NotAStart()
        raise
    return line


def _alias_loader() -> Any:
    # The CLI computes its own default when its module is imported.
    return AliasLoader(os.path.expanduser(os.path.join("~", ".aws", "cli", "alias")))


def _reachable(argv: Sequence[str]) -> tuple[set[str], bool]:
    """Return every word in `argv` and its aliases, and whether an alias begins with `!`."""
    loader = _alias_loader()
    try:
        loader.get_aliases()
    except Exception as error:
        raise errors.translate(error) from error
    words, external = set(argv), False
    aliases = [pair for entries in loader._aliases.values() for pair in entries.items()]
    while used := [pair for pair in aliases if pair[0] in words]:
        aliases = [pair for pair in aliases if pair[0] not in words]
        for _, value in used:
            external = external or value.strip().startswith("!")
            try:
                words.update(word.strip("\n") for word in shlex.split(value))
            except ValueError:  # the CLI rejects it if this alias is used
                external = True
    return words, external


class _Uncertain(InvalidRequest):
    """The command depends on options that are not known here."""

    def __init__(self, option: str) -> None:
        super().__init__(
            f"refused: ssmgate does not know {option!r} before the command: this line may start a"
            " session",
            code="ParamValidation",
            hints=("write the command first, or call the real aws by its path",),
        )


class Version(ControlFlow):
    """--version is in the command line. It takes precedence over every command."""


class _OtherCommand:
    """Any command but `ssm start-session`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, args: list[str], parsed_globals: Namespace) -> NotAStart:
        return NotAStart()


class _Commands(dict[str, Any]):
    """A command table that has an `_OtherCommand` for every other word."""

    def __missing__(self, name: str) -> _OtherCommand:
        return _OtherCommand(name)


class _AnyCommand:
    """A parser that accepts any command: the table decides which exist."""

    def _check_value(self, action: Any, value: Any) -> None:
        if action.dest not in ("command", "operation"):
            super()._check_value(action, value)  # type: ignore[misc]


class _MainParser(_AnyCommand, MainParser):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.doubts: list[Callable[[], str]] = []

    def parse_known_args(self, args: Any, namespace: Any = None) -> Any:
        """Parse `args` as the CLI does, and note a doubt about where the command is."""
        parsed, remaining = super().parse_known_args(args, namespace)
        self.doubts.append(lambda: self._doubt(args, parsed.command))
        return parsed, remaining

    def exit(self, status: int = 0, message: str | None = None) -> Any:
        """Raise `Version`: only --version exits here."""
        raise Version

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print nothing: the real CLI prints its version."""

    def _doubt(self, args: Sequence[str], command: str) -> str:
        """Return an unknown option before `command`, empty if there is none."""
        for place, word in enumerate(args):
            if word != command or command.startswith("-"):
                continue
            before = args[:place]
            try:
                parsed, unknown = super().parse_known_args([*before, _SOME_COMMAND])
            except InvalidRequest:
                continue  # this is an option's value
            if parsed.command == _SOME_COMMAND and not unknown and "--" not in before:
                return ""
        return next((word for word in args if word.startswith("-")), command)


_SOME_COMMAND = "\0"  # cannot be an argument


class _ServiceParser(_AnyCommand, ServiceParser):
    doubts: list[Callable[[], str]]

    def parse_known_args(self, args: Any, namespace: Any = None) -> Any:
        """Parse `args` as the CLI does, and note a doubt about where the operation is."""
        parsed, remaining = super().parse_known_args(args, namespace)
        # The main parser has removed the options that it knows.
        first = args[0]
        self.doubts.append(lambda: "" if first == parsed.operation != "--" else first)
        return parsed, remaining


class _AliasDriver(Driver):
    """The driver with the CLI's aliases, which also accepts other commands."""

    def read(self, argv: list[str]) -> Any:
        """Read `argv` as the CLI's driver does in its main()."""
        self.alias_loader = _alias_loader()
        commands = self._get_command_table()
        parser = self._create_parser(commands)
        commands["ssm"].main_parser = parser
        commands["ssm"].aliases = _operation_aliases(self.alias_loader)
        self._add_aliases(commands, parser)
        _shadow_the_rest(commands)
        _hold_external(commands)
        parsed, remaining = parser.parse_known_args(argv)
        self._error_format = parsed.cli_error_format
        command = commands[parsed.command]
        if isinstance(command, _OtherCommand):
            line: Any = NotAStart()  # its options are not checked
        else:
            line = self._run_command(command, parsed, remaining)
        if isinstance(line, NotAStart | ExternalAlias):
            for doubt in parser.doubts:
                if option := doubt():
                    raise _Uncertain(option)
        return line

    def _build_builtin_commands(self, session: Any) -> dict[str, Any]:
        return _Commands(ssm=_AliasSsm("ssm", session, "ssm"))

    def _create_parser(self, command_table: Any) -> _MainParser:
        return _MainParser(
            command_table, self.session.user_agent(), "", self._get_argument_table(), prog="aws"
        )


class _AliasSsm(Ssm):
    """`aws ssm` with v2's `[command ssm]` aliases."""

    main_parser: Any
    aliases: Mapping[str, str]

    def _create_command_table(self) -> dict[str, Any]:
        table = _Commands(super()._create_command_table())
        if self.aliases:
            for name in _operations(self.session):
                table.setdefault(name, _OtherCommand(name))
        for name, value in self.aliases.items():
            table[name] = (
                ExternalAliasCommand(name, value)
                if value.startswith("!")
                else _OperationAlias(name, value, self, table.get(name))
            )
        _hold_external(table)
        return table

    def _create_parser(self) -> _ServiceParser:
        parser = _ServiceParser(
            operations_table={**self._get_command_table(), "help": None}, service_name=self._name
        )
        parser.doubts = self.main_parser.doubts
        return parser


class _OperationAlias(ServiceAliasCommand):
    """An alias of `[command ssm]`, expanded as v2's InternalAliasSubCommand does."""

    def __init__(self, name: str, value: str, service: _AliasSsm, shadowed: Any) -> None:
        super().__init__(name, value, service.session, {}, service.main_parser)
        self._service = service
        self._shadowed = shadowed

    def __call__(self, args: list[str], parsed_globals: Namespace) -> Any:
        words = [parsed_globals.command, *self._get_alias_args()]
        parsed, remaining = self._parser.parse_known_args(words)
        self._update_parsed_globals(parsed, parsed_globals, remaining)
        remaining.extend(args)
        if self._shadowed is not None:
            # v2 drops the first word as the operation's own name, whatever it is.
            return self._shadowed(remaining[1:], parsed_globals)
        if remaining[:1] == [self.name]:  # an operation of the CLI that is not in this table
            return NotAStart()
        return self._service(remaining, parsed_globals)


def _operations(session: Any) -> list[str]:
    """Return the CLI's names of ssm's operations, and `wait`."""
    names = session.get_component("data_loader").operation_names("ssm")
    return ["wait", *(xform_name(name, "-") for name in names)]


def _operation_aliases(loader: Any) -> dict[str, str]:
    """Return the aliases below ssm, which v1's loader reads and ignores."""
    loader.get_aliases()
    aliases: dict[str, str] = {}
    for section, entries in loader._aliases.items():
        if section.startswith("command ") and section.split() == ["command", "ssm"]:
            aliases |= {name: value.strip() for name, value in entries.items()}
    return aliases


def _shadow_the_rest(commands: Mapping[str, Any]) -> None:
    """Let aliases with the name of a CLI command that is missing here refer to that command."""
    for name, command in commands.items():
        if isinstance(command, ServiceAliasCommand) and command._shadow_proxy_command is None:
            command._shadow_proxy_command = _OtherCommand(name)


def _hold_external(commands: Mapping[str, Any]) -> None:
    """Make aliases with `!` return what they would run instead of running it."""
    for command in commands.values():
        if isinstance(command, ExternalAliasCommand):
            command._invoker = lambda text, shell: ExternalAlias(text)
