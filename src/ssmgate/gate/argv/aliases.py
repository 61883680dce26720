"""A whole command line of `aws`, aliases included: does it start a session, and which?"""

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
    """The real CLI starts no session of such a line, whatever else it does with it."""


@dataclass(frozen=True, slots=True)
class ExternalAlias:
    """An alias that begins with `!`: the shell command that the CLI would run."""

    command: str


def read_line(argv: list[str]) -> Invocation | NotAStart | ExternalAlias | int:
    """Parse `argv`, the words after `aws`, and expand aliases as AWS CLI v2 does.

    The CLI finds commands by their exact names: what is neither `ssm start-session` nor an alias
    of it starts no session, also where this awscli does not know the command. An int is the exit
    code of what was answered (help, a skeleton).

    `[command ssm]` aliases are v2's alone; under v1 they are gated or run all the same. Raises as
    `arguments.read` does, for a line with an option that the CLI would refuse too. Raises
    `InvalidRequest` where the words of a start are on the line behind an option that is not known
    here: a CLI that knows it might take the next word for its value, and another for the command.
    https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-alias.html
    """
    words, external = _reachable(argv)
    start = words >= {"ssm", "start-session"}
    if not start and not external:
        return NotAStart()
    try:
        line: Invocation | NotAStart | ExternalAlias | int = read_with(_Line, argv)
    except Version:
        return NotAStart()
    except _Uncertain:
        if not start:
            return NotAStart()
        raise
    return line


def _alias_loader() -> Any:
    # The CLI's own default is of the moment when its module was imported.
    return AliasLoader(os.path.expanduser(os.path.join("~", ".aws", "cli", "alias")))


def _reachable(argv: Sequence[str]) -> tuple[set[str], bool]:
    """Every word that `argv` or an alias that it can lead to has; whether one begins with `!`."""
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
            except ValueError:  # the CLI refuses it, once it is the alias that is meant
                external = True
    return words, external


class _Uncertain(InvalidRequest):
    """It depends on options that are not known here what the command is."""

    def __init__(self, option: str) -> None:
        super().__init__(
            f"this line may start a session, as {option!r} before the command is not known to"
            " ssmgate: refused",
            code="ParamValidation",
            hints=("write the command first, or call the real aws by its path",),
        )


class Version(ControlFlow):
    """--version was among the words. It wins over every command."""


class _Elsewhere:
    """Any command but the one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, args: list[str], parsed_globals: Namespace) -> NotAStart:
        return NotAStart()


class _Commands(dict[str, Any]):
    """A command table in which every other word leads elsewhere."""

    def __missing__(self, name: str) -> _Elsewhere:
        return _Elsewhere(name)


class _AnyCommand:
    """A parser that leaves it to the table which commands there are."""

    def _check_value(self, action: Any, value: Any) -> None:
        if action.dest not in ("command", "operation"):
            super()._check_value(action, value)  # type: ignore[misc]


class _MainParser(_AnyCommand, MainParser):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.doubts: list[Callable[[], str]] = []

    def parse_known_args(self, args: Any, namespace: Any = None) -> Any:
        parsed, remaining = super().parse_known_args(args, namespace)
        self.doubts.append(lambda: self._doubt(args, parsed.command))
        return parsed, remaining

    def exit(self, status: int = 0, message: str | None = None) -> Any:
        raise Version

    def _print_message(self, message: str, file: Any = None) -> None:
        """The real CLI prints its version."""

    def _doubt(self, args: Sequence[str], command: str) -> str:
        """What stands before `command` and is no option known here, empty if nothing does."""
        for place, word in enumerate(args):
            if word != command or command.startswith("-"):
                continue
            before = args[:place]
            try:
                parsed, unknown = super().parse_known_args([*before, _SOME_COMMAND])
            except InvalidRequest:
                continue  # this one is an option's value
            if parsed.command == _SOME_COMMAND and not unknown and "--" not in before:
                return ""
        return next((word for word in args if word.startswith("-")), command)


_SOME_COMMAND = "\0"  # no word of a command line's


class _ServiceParser(_AnyCommand, ServiceParser):
    doubts: list[Callable[[], str]]

    def parse_known_args(self, args: Any, namespace: Any = None) -> Any:
        parsed, remaining = super().parse_known_args(args, namespace)
        # The main parser took out the options that it knows.
        first = args[0]
        self.doubts.append(lambda: "" if first == parsed.operation != "--" else first)
        return parsed, remaining


class _Line(Driver):
    """The driver with the CLI's aliases, and with an answer for lines that are no start."""

    def read(self, argv: list[str]) -> Any:
        """As the CLI's driver in its main()."""
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
        if isinstance(command, _Elsewhere):
            line: Any = NotAStart()  # its options are not ours to judge
        else:
            line = self._go_on(command, parsed, remaining)
        if isinstance(line, NotAStart | ExternalAlias):
            for doubt in parser.doubts:
                if option := doubt():
                    raise _Uncertain(option)
        return line

    def _build_builtin_commands(self, session: Any) -> dict[str, Any]:
        return _Commands(ssm=_LineSsm("ssm", session, "ssm"))

    def _create_parser(self, command_table: Any) -> _MainParser:
        return _MainParser(
            command_table, self.session.user_agent(), "", self._get_argument_table(), prog="aws"
        )


class _LineSsm(Ssm):
    """`aws ssm` with v2's `[command ssm]` aliases."""

    main_parser: Any
    aliases: Mapping[str, str]

    def _create_command_table(self) -> dict[str, Any]:
        table = _Commands(super()._create_command_table())
        if self.aliases:
            for name in _operations(self.session):
                table.setdefault(name, _Elsewhere(name))
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

    def __init__(self, name: str, value: str, service: _LineSsm, shadowed: Any) -> None:
        super().__init__(name, value, service.session, {}, service.main_parser)
        self._service = service
        self._shadowed = shadowed

    def __call__(self, args: list[str], parsed_globals: Namespace) -> Any:
        words = [parsed_globals.command, *self._get_alias_args()]
        parsed, remaining = self._parser.parse_known_args(words)
        self._update_parsed_globals(parsed, parsed_globals, remaining)
        remaining.extend(args)
        if self._shadowed is not None:
            # v2 takes the first word for the operation's own name, whatever it is.
            return self._shadowed(remaining[1:], parsed_globals)
        if remaining[:1] == [self.name]:  # an operation of the CLI's that is not in this table
            return NotAStart()
        return self._service(remaining, parsed_globals)


def _operations(session: Any) -> list[str]:
    """The CLI's names of what ssm has: its operations, and `wait`."""
    names = session.get_component("data_loader").operation_names("ssm")
    return ["wait", *(xform_name(name, "-") for name in names)]


def _operation_aliases(loader: Any) -> dict[str, str]:
    """The aliases below ssm, which v1's loader reads and leaves alone."""
    loader.get_aliases()
    aliases: dict[str, str] = {}
    for section, entries in loader._aliases.items():
        if section.startswith("command ") and section.split() == ["command", "ssm"]:
            aliases |= {name: value.strip() for name, value in entries.items()}
    return aliases


def _shadow_the_rest(commands: Mapping[str, Any]) -> None:
    """An alias that leads to a command of its own name means the CLI's, which is not here."""
    for name, command in commands.items():
        if isinstance(command, ServiceAliasCommand) and command._shadow_proxy_command is None:
            command._shadow_proxy_command = _Elsewhere(name)


def _hold_external(commands: Mapping[str, Any]) -> None:
    """Have aliases with `!` tell what they would run instead of running it."""
    for command in commands.values():
        if isinstance(command, ExternalAliasCommand):
            command._invoker = lambda text, shell: ExternalAlias(text)
