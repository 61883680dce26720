"""Generate the files in completions/ from the program: `make completions`.

The fixed part of each file is in completions/parts/, in which a line `@TABLES@` is replaced.
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ssmgate.commands.main import main as program
from ssmgate.gate.argv.parse import Driver
from ssmgate.gate.aws.service_models import AwscliModels

HERE = Path(__file__).parents[1] / "completions"
FILES = {"bash": "ssmgate.bash", "zsh": "_ssmgate", "fish": "ssmgate.fish"}

# The values of an option: a kind of `ssmgate complete`, or files. By default any text.
VALUES = {
    "--profile": "profiles",
    "--region": "regions",
    "--target": "targets",
    "--document-name": "documents",
    "--ca-bundle": "files",
    "--seed": "files",
    "--boundary": "files",
    "--scp": "files",
    "--session-logs": "files",
}
# Used instead of the first sentence of the program's help, if that is too short or too long.
HELP = {
    "--target": "The managed node",
    "--document-name": "The session document",
    "--parameters": "The session document's parameters",
    "--cli-input-json": "The request as JSON",
    "--cli-input-yaml": "The request as YAML",
    "--generate-cli-skeleton": "Print a request to fill in",
    "--endpoint-url": "Where Session Manager is",
    "--no-verify-ssl": "Do not verify TLS certificates",
    "--profile": "The AWS profile",
    "--region": "The AWS region",
    "--cli-binary-format": "How binary values are given",
    "--no-cli-pager": "No pager for output",
    "--no-cli-auto-prompt": "No prompt for parameters",
    "--cli-error-format": "The look of errors",
}
# Options that ssmgate rejects.
REJECTED = ("--no-sign-request", "--cli-auto-prompt")


@dataclass(frozen=True)
class Option:
    """An option. `value` is empty for a flag, a value of VALUES, `any`, or `=` and the choices."""

    names: tuple[str, ...]
    value: str
    help: str
    repeatable: bool = False


@dataclass(frozen=True)
class Command:
    """A verb. `argument` describes its arguments, in the form of an option's `value`."""

    name: str
    help: str
    options: tuple[Option, ...]
    argument: str = ""


def start_session() -> Command:
    """Return start-session with the options that its parser accepts."""
    driver = Driver()
    driver.session.register_component("data_loader", AwscliModels(documented=True))
    commands = driver._get_command_table()
    operation = commands["ssm"]._get_command_table()["start-session"]
    descriptions = driver.session.get_data("cli")["options"]
    options = [
        _option(f"--{name}", "" if argument.cli_type_name == "boolean" else "any", argument)
        for name, argument in operation.arg_table.items()
    ]
    for action in driver._create_parser(commands)._actions:
        if not action.option_strings:
            continue
        name = action.option_strings[0]
        description = descriptions.get(name.removeprefix("--"), {}).get("help") or action.help or ""
        text = HELP.get(name) or _sentence(description)
        value = "" if action.nargs == 0 else _value(name, action.choices)
        options.append(Option((name,), value, text))
    accepted = tuple(option for option in options if option.names[0] not in REJECTED)
    return Command("start-session", "", accepted, "=help")


def _option(name: str, value: str, argument: object) -> Option:
    choices = getattr(argument, "choices", None)
    text = HELP.get(name) or _sentence(getattr(argument, "documentation", ""))
    return Option((name,), value and _value(name, choices), text)


def _value(name: str, choices: object) -> str:
    return f"={' '.join(map(str, choices))}" if choices else VALUES.get(name, "any")


def _sentence(documentation: str) -> str:
    """Return the first sentence without markup, at most 70 characters and an ellipsis."""
    text = html.unescape(re.sub(r"<[^>]*>|``", "", documentation))
    text = re.sub(r"\s+", " ", text).strip()
    first = re.split(r"\. |\.$", text, maxsplit=1)[0]
    return first if len(first) <= 70 else f"{first[:69].rpartition(' ')[0]} ..."


def commands() -> list[Command]:
    """Return ssmgate itself, its verbs, and start-session from its parser."""
    verbs = {name: verb for name, verb in program.commands.items() if not verb.hidden}
    start = start_session()
    own = tuple(_options(program, start).values())
    all_commands = [Command("ssmgate", "", own, f"={' '.join(sorted(verbs))}")]
    for name, verb in sorted(verbs.items()):
        text = verb.get_short_help_str(100).rstrip(".")
        if name == start.name:
            all_commands.append(Command(name, text, start.options, start.argument))
            continue
        argument = {"sandbox": "=env", "help": f"={' '.join(sorted(verbs))}"}.get(name, "")
        options = _options(verb, start)
        if isinstance(verb, click.Group):
            argument = f"={' '.join(sorted(verb.commands))}"
            # Those of every subcommand: the completions look at the first word only.
            for subcommand in verb.commands.values():
                options |= _options(subcommand, start)
        for parameter in verb.params:
            if isinstance(parameter, click.Argument) and isinstance(parameter.type, click.Choice):
                argument = _value("", parameter.type.choices)
        all_commands.append(Command(name, text, tuple(options.values()), argument))
    return all_commands


def _options(verb: click.Command, start: Command) -> dict[tuple[str, ...], Option]:
    """Return the options of `verb` by their names, `start`'s among them if it takes those too."""
    context = click.Context(verb, help_option_names=["-h", "--help"])
    options = []
    for parameter in verb.get_params(context):
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        names = sorted(parameter.opts, key=len, reverse=True)
        choices = parameter.type.choices if isinstance(parameter.type, click.Choice) else None
        value = "" if parameter.is_flag else _value(names[0], choices)
        help_text = (parameter.help or "").partition(". ")[0].rstrip(".")
        options.append(Option(tuple(names), value, help_text, parameter.multiple))
    if verb.ignore_unknown_options:
        options += [*_own(verb), *start.options]
    found: dict[tuple[str, ...], Option] = {}
    for option in options:
        found.setdefault(option.names, option)
    return found


_OWN = re.compile(r"(?:(-\w), )?(--[\w-]+)( [A-Z=]+)?")


def _own(verb: click.Command) -> Iterator[Option]:
    """Yield the options that a verb takes before start-session's parser."""
    for words, text in getattr(verb, "own", ()):
        if option := _OWN.fullmatch(words):
            short, name, value = option.groups("")
            names = (name, short) if short else (name,)
            yield Option(names, value and VALUES.get(name, "any"), text, "given again" in text)


# The tables of each shell


def bash(all_commands: list[Command]) -> str:
    lines = ["__ssmgate_options() {", "    case $1 in"]
    for command in all_commands:
        names = " ".join(option.names[0] for option in command.options)
        lines.append(f"        {command.name}) __ssmgate_found='{names}' ;;")
    lines += ["        *) __ssmgate_found= ;;", "    esac", "}", ""]
    lines += ["__ssmgate_argument() {", "    case $1 in"]
    for command in all_commands:
        if command.argument:
            lines.append(f"        {command.name}) __ssmgate_kind='{command.argument}' ;;")
    lines += ["        *) __ssmgate_kind= ;;", "    esac", "}", ""]
    lines += ["__ssmgate_value() {", '    case "$1 $2" in']
    for command in all_commands:
        for option in command.options:
            if option.value:
                lines.append(
                    f"        '{command.name} {option.names[0]}')"
                    f" __ssmgate_kind='{option.value}' ;;"
                )
    lines += ["        *) __ssmgate_kind= ;;", "    esac", "}"]
    return "\n".join(lines)


def zsh(all_commands: list[Command]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "'\\''") + "'"

    def action(value: str) -> str:
        if value.startswith("="):
            return f"({value[1:]})"
        return {"any": " ", "files": "_files"}.get(value, f"__ssmgate_values {value}")

    def specs(command: Command) -> Iterator[str]:
        for option in command.options:
            description = re.sub(r"([\[\]:\\])", r"\\\1", option.help)
            for name in option.names:
                rest = f":{name.lstrip('-')}:{action(option.value)}" if option.value else ""
                once = "*" if option.repeatable else f"({' '.join(option.names)})"
                spec = f"{once}{name}{'=' if option.value else ''}[{description}]{rest}"
                yield quoted(spec)

    lines = ["__ssmgate_verbs() {", "    local -a verbs", "    verbs=("]
    for command in all_commands[1:]:
        lines.append(f"        {quoted(f'{command.name}:{command.help}')}")
    lines += ["    )", "    _describe -t commands verb verbs", "}", ""]
    for command in all_commands:
        lines += [f"__ssmgate_options_{command.name.replace('-', '_')}=("]
        lines += [f"    {spec}" for spec in specs(command)]
        if command.argument and command is not all_commands[0]:
            lines.append(f"    '1: :{action(command.argument)}'")
        lines += [")"]
    taking = " ".join(o.names[0] for c in all_commands for o in c.options if takes(c, o))
    return "\n".join([*lines, f"__ssmgate_taking=({taking})"])


def fish(all_commands: list[Command]) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def line(option: Option, command: str, condition: str) -> str:
        words = ["complete", "-c", command, "-n", condition]
        for name in option.names:
            words += ["-l" if name.startswith("--") else "-s", name.lstrip("-")]
        if option.value.startswith("="):
            words += ["-x", "-a", quoted(option.value[1:])]
        elif option.value == "files":
            words += ["-r", "-F"]
        elif option.value:
            words.append("-x")
            if option.value != "any":
                words += ["-a", quoted(f"(__ssmgate_values {option.value})")]
        return " ".join([*words, "-d", quoted(option.help)])

    start = next(c for c in all_commands if c.name == "start-session")
    lines = ["function __ssmgate_start_session -a program condition"]
    lines += [f"    {line(option, '$program', '$condition')}" for option in start.options]
    lines += ["    complete -c $program -n $condition -f -a help -d 'The help of the AWS CLI'"]
    lines += ["end", ""]
    taking = " ".join(o.names[0] for o in start.options if takes(start, o))
    lines += [f"set -g __ssmgate_taking {taking}", ""]
    for command in all_commands:
        verb = "''" if command is all_commands[0] else command.name
        condition = f'"__ssmgate_at {verb}"'
        if command is start:
            lines.append(f"__ssmgate_start_session ssmgate {condition}")
        else:
            lines += [line(option, "ssmgate", condition) for option in command.options]
            if command.argument and command is not all_commands[0]:
                words = quoted(command.argument[1:])
                lines.append(f"complete -c ssmgate -n {condition} -a {words}")
        if command is not all_commands[0]:
            lines.append(
                f"complete -c ssmgate -n \"__ssmgate_at ''\" -a {command.name}"
                f" -d {quoted(command.help)}"
            )
    return "\n".join(lines)


def takes(command: Command, option: Option) -> bool:
    """Return whether the word after an option of start-session is its value."""
    return command.name == "start-session" and option.value != ""


def generated() -> dict[str, str]:
    """Return the text of each file by its name."""
    all_commands = commands()
    tables = {"bash": bash, "zsh": zsh, "fish": fish}
    return {
        name: (HERE / "parts" / f"ssmgate.{shell}")
        .read_text()
        .replace("@TABLES@", tables[shell](all_commands))
        for shell, name in FILES.items()
    }


if __name__ == "__main__":
    for name, text in generated().items():
        (HERE / name).write_text(text)
    sys.exit(0)
