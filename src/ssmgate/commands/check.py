"""`ssmgate check`: whether the caller may start a session, and why not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from ssmgate.commands import printer
from ssmgate.commands.help import PassingVerb, Row
from ssmgate.gate import waiting

if TYPE_CHECKING:
    from ssmgate.explain.redact import Redactor
    from ssmgate.explain.report import DocumentsReport, Report
    from ssmgate.gate.argv.parse import Invocation

FLAGS = {
    "--explain": "explain",
    "-q": "quiet",
    "--quiet": "quiet",
    "--request": "request",
    "--redact": "redact",
    "--fail-on-unenforced": "fail on unenforced",
}

_EPILOG = """\b
Exit status:
  0    allowed: IAM allows the document and the target
  3    denied; with --fail-on-unenforced also if AWS may start a session
       on the target without checking the document
  4    unknown: access could not be checked, or not completely
  252  the command line is invalid
  253  no region, no credentials, or an invalid configuration of ssmgate
"""


def own_flags(words: tuple[str, ...], known: dict[str, str]) -> tuple[set[str], list[str]]:
    """Return the verb's own flags in `words`, and the other words for start-session's parser.

    Flags are recognized by their full names, up to `--`. A flag is never the value of an option:
    start-session's parser rejects values that begin with a dash and have no space.
    """
    end = words.index("--") if "--" in words else len(words)
    flags = {known[word] for word in words[:end] if word in known}
    return flags, [word for word in words[:end] if word not in known] + list(words[end:])


def take_values(name: str, words: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Return the values of every option `name` in `words`, up to `--`, and the other words.

    Raises `InvalidRequest` for an option without a value.
    """
    end = words.index("--") if "--" in words else len(words)
    values: list[str] = []
    rest: list[str] = []
    at = 0
    while at < end:
        word = words[at]
        at += 1
        if word.startswith(f"{name}="):
            values.append(word.partition("=")[2])
        elif word != name:
            rest.append(word)
        elif at == end:
            from ssmgate.gate.decision.errors import InvalidRequest

            raise InvalidRequest(f"argument {name}: expected one argument", code="ParamValidation")
        else:
            values.append(words[at])
            at += 1
    return values, (*rest, *words[end:])


EXPLAIN: Row = ("--explain", "show statements, missing keys and near misses")
REQUEST: Row = ("--request", "print a request to your administrator")
REDACT: Row = ("--redact", "replace account IDs and names with placeholders")
QUIET: Row = ("-q, --quiet", "print nothing: the exit status is the answer")
JSON: Row = ("--output json", "print JSON; --query filters it")
ENFORCED: Row = (
    "--fail-on-unenforced",
    "exit 3 if AWS may not check the document",
)


@click.command(
    "check",
    cls=PassingVerb,
    own=(
        EXPLAIN,
        REQUEST,
        REDACT,
        QUIET,
        JSON,
        (
            "--without POLICY",
            "ignore a policy: an ARN, a name, boundary or scp; may be given again",
        ),
        ENFORCED,
    ),
    options_metavar="[OPTIONS]",
    epilog=_EPILOG,
    short_help="Check whether you may start a session, and why not.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="START-SESSION-ARGUMENTS...")
@click.pass_context
def check(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Check whether the caller may use the session document and start sessions on the target.

    Takes the arguments of `aws ssm start-session`. Prints allowed, denied or unknown for the
    document and for the target, each with its reason. Starts nothing.

    To check policy files: `ssmgate policy check`.
    """
    without, words = take_values("--without", words)
    flags, rest = own_flags(words, FLAGS)
    from ssmgate.explain import live

    if "quiet" in flags:
        waiting.turn_off()
    invocation = read(rest)
    machine = wants_json(invocation)
    report = live.check(
        invocation,
        configuration(),
        explain=machine or bool(flags & {"explain", "request"}),
        without=without,
    )
    ctx.exit(show(report, flags, invocation))


def show(report: Report, flags: set[str], invocation: Invocation) -> int:
    """Print the report in the form that the flags select. Returns the exit status."""
    from ssmgate.explain import text

    mask = redactor(report) if "redact" in flags else None
    status = exit_status(report, flags)
    if "quiet" in flags:
        return status
    if wants_json(invocation):
        print_json(report, invocation, mask)
        return status
    style = text.Style(colour=colour(invocation))
    if "request" in flags:
        output = text.request(report)
    elif "explain" in flags:
        output = text.explained(report, style)
    else:
        output = text.brief(report, style)
    printer.echo_lines(output if mask is None else mask.text(output), colour=style.colour)
    return status


def exit_status(report: Report, flags: set[str]) -> int:
    """Return the exit status of the answer.

    With --fail-on-unenforced an allowed session exits with 3 if the policies do not make the
    service check the document, and with 4 if that is not known.
    """
    from ssmgate.explain.report import Verdict

    if report.verdict is not Verdict.ALLOWED or "fail on unenforced" not in flags:
        return report.verdict.exit_code
    enforced = {True: Verdict.ALLOWED, False: Verdict.DENIED, None: Verdict.UNKNOWN}
    return enforced[report.target.enforced].exit_code


def read(words: list[str]) -> Invocation:
    """Return `words` as parsed for start-session. Exits if the parser itself printed the answer."""
    from ssmgate.gate.argv import parse

    invocation = parse.read(["ssm", "start-session", *words])
    if isinstance(invocation, int):
        raise click.exceptions.Exit(invocation)
    return invocation


def configuration() -> Any:
    """Return ssmgate's configuration, as start-session loads it."""
    from ssmgate.gate.config import load

    return load.load(os.environ)


def wants_json(invocation: Invocation) -> bool:
    """Return whether to print JSON. Ignores the profile's `output`.

    Raises `InvalidRequest` for another --output, and for --query without JSON.
    """
    from ssmgate.gate.decision.errors import InvalidRequest

    options = invocation.options
    machine = options.output in ("json", "yaml")  # JSON is YAML
    if options.output not in ("json", "yaml", "text", None):
        raise InvalidRequest(
            f"--output {options.output} is not supported here: use json, yaml or text"
        )
    if options.query is not None and not machine:
        raise InvalidRequest("--query needs --output json")
    return machine


def redactor(report: Report | DocumentsReport) -> Redactor:
    """Return a redactor that has learnt every name in the report."""
    from ssmgate.explain.redact import Redactor
    from ssmgate.explain.report import to_json

    mask = Redactor()
    mask.learn(to_json(report))
    return mask


def print_json(
    report: Report | DocumentsReport, invocation: Invocation, mask: Redactor | None = None
) -> None:
    """Print the report, or the result of --query on it."""
    from ssmgate.explain.report import to_json

    shown: Any = to_json(report) if mask is None else mask.json(to_json(report))
    if invocation.options.query is not None:
        shown = invocation.options.query.search(shown)
    printer.echo_lines(json.dumps(shown, indent=2))


def colour(invocation: Invocation) -> bool:
    """Return whether to use colour: as --color says, else on a terminal without NO_COLOR."""
    match invocation.options.color:
        case "on":
            return True
        case "off":
            return False
    return not os.environ.get("NO_COLOR") and os.isatty(1)
