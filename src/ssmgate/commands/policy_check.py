"""`ssmgate policy check FILE…`: evaluate policy files before they are attached."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ssmgate.commands import check as live
from ssmgate.commands.help import PassingVerb
from ssmgate.gate import waiting

if TYPE_CHECKING:
    from ssmgate.explain.offline import Scenario
    from ssmgate.explain.report import Report
    from ssmgate.explain.sources import Source
    from ssmgate.gate.argv.parse import Invocation
    from ssmgate.gate.decision.errors import InvalidRequest
    from ssmgate.gate.decision.question import ContextEntry
    from ssmgate.policy_language import PolicyKind

_VALUED = ("--boundary", "--scp", "--context", "--document-context", "--caller")
_FLAGS = live.FLAGS | {"--aws": "aws"}
_NEXT_LEVEL = "--scp-level"
_SYNTAX = "the policy files come first: ssmgate policy check FILE... --caller ARN --target TARGET"
_LARGEST = 131_072
"""How many characters a policy may have that IAM simulates.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""


_EPILOG = """\b
Exit status:
  0    allowed: the policies allow the document and the target
  3    denied
  4    unknown: the answer depends on a condition key without a value
  252  the command line or a policy is invalid
  253  no region is known
"""


@click.command(
    "check",
    cls=PassingVerb,
    own=(
        ("--caller ARN", "the caller: an IAM user or role; required"),
        ("--boundary FILE", "the permissions boundary of the caller"),
        ("--scp FILE", "a service control policy; may be given again"),
        ("--scp-level", "begin the next lower level; the first is the root"),
        ("--context KEY=VALUE", "a condition key; may be given again"),
        ("--document-context KEY=VALUE", "the same, for the document only"),
        ("--aws", "evaluate with iam:SimulateCustomPolicy"),
        live.EXPLAIN,
        live.REQUEST,
        live.REDACT,
        live.QUIET,
        live.JSON,
        live.ENFORCED,
    ),
    options_metavar="",
    epilog=_EPILOG,
    short_help="Evaluate a start-session command against policy files.",
)
@click.argument(
    "words", nargs=-1, type=click.UNPROCESSED, metavar="FILE... START-SESSION-ARGUMENTS..."
)
@click.pass_context
def check(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Evaluate policy files for a session document and a target, before they are deployed.

    FILE... are the identity-based policies of the caller; they come before the arguments of `aws
    ssm start-session`. Policies are evaluated locally: no AWS calls are made, and no credentials
    are needed.
    """
    report, flags, invocation = check_policies(words)
    ctx.exit(live.show(report, flags, invocation))


def split(words: tuple[str, ...]) -> tuple[list[str], dict[str, list[str]], set[str], list[str]]:
    """Split `words` into policy files, our options with their values, our flags, and the rest.

    Files are the words before the first option of start-session, because its values could look
    like files; `./-name` is a file whose name begins with a dash. An option is recognized by its
    full name only, up to `--`: abbreviations and all other words are returned unchanged for
    start-session's parser, which rejects them. Raises `InvalidRequest` for an option without a
    value. `--scp-level` is among the values of `--scp`: a file of that name is `./--scp-level`.
    """
    values: dict[str, list[str]] = {name: [] for name in _VALUED}
    flags: set[str] = set()
    files: list[str] = []
    rest: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        name, equals, value = word.partition("=")
        at += 1
        if word == "--":
            rest += words[at - 1 :]
            break
        if word == _NEXT_LEVEL:
            values["--scp"].append(word)
        elif word in _FLAGS:
            flags.add(_FLAGS[word])
        elif name in values and equals:
            values[name].append(value)
        elif name in values:
            if at == len(words):
                raise _usage(f"argument {name}: expected one argument")
            values[name].append(words[at])
            at += 1
        else:
            (rest if rest or word.startswith("-") else files).append(word)
    return files, values, flags, rest


def check_policies(words: tuple[str, ...]) -> tuple[Report, set[str], Invocation]:
    """Evaluate the policies that `words` name. Returns the report, the flags and the invocation.

    The local evaluator needs no credentials and no network. Raises `InvalidRequest` for a file
    that cannot be read or holds no policy, and for missing arguments; `ConfigurationProblem` if
    no region is known.
    """
    files, values, flags, rest = split(words)
    if not files:
        raise _usage("the following arguments are required: FILE", _SYNTAX)
    if not values["--caller"]:
        raise _usage(
            "the following arguments are required: --caller",
            "add the caller that has the policies: --caller arn:aws:iam::111122223333:role/NAME",
        )
    if len(values["--boundary"]) > 1:
        raise _usage(
            "--boundary was given more than once: a principal has one permissions boundary"
        )

    from ssmgate.explain import offline

    policy_files = offline.PolicyFiles(
        tuple(_source(path) for path in files),
        next((_source(path) for path in values["--boundary"]), None),
        _levels(values["--scp"]),
    )
    try:
        caller = offline.parse_caller(values["--caller"][-1])
    except ValueError as error:
        raise _usage(f"--caller {values['--caller'][-1]!r} {error}") from None
    context = _context("--context", values["--context"])
    invocation = live.read(rest)
    scenario = offline.Scenario(
        invocation.request,
        _region(invocation, context),
        caller,
        context,
        _context("--document-context", values["--document-context"]),
    )
    if "quiet" in flags:
        waiting.turn_off()
    if "aws" in flags:
        return _simulate(policy_files, scenario, invocation), flags, invocation
    return offline.check(policy_files, scenario), flags, invocation


def _simulate(policy_files: Any, scenario: Scenario, invocation: Invocation) -> Report:
    from ssmgate.explain import offline
    from ssmgate.gate.aws import errors
    from ssmgate.gate.aws.asking_session import only_ask
    from ssmgate.gate.aws.clients import open_clients

    only_ask(invocation.session)
    try:
        iam = open_clients(invocation.session, invocation.options).iam
    except Exception as error:
        raise errors.translate(error) from error
    return offline.simulate(policy_files, scenario, iam)


def _levels(paths: list[str]) -> tuple[tuple[Source, ...], ...]:
    """Return the service control policies of each level, the root first."""
    from ssmgate.explain.simulate_custom import MOST_LEVELS
    from ssmgate.policy_language import PolicyKind

    levels: list[list[Source]] = [[]] if paths else []
    for path in paths:
        if path == _NEXT_LEVEL:
            levels.append([])
        else:
            levels[-1].append(_source(path, PolicyKind.SERVICE_CONTROL))
    if not all(levels):
        raise _usage(f"{_NEXT_LEVEL} must have --scp FILE before and after it")
    if len(levels) > MOST_LEVELS:
        raise _usage(
            f"an organization has at most {MOST_LEVELS} levels, and {len(levels)} are given"
        )
    return tuple(map(tuple, levels))


def _source(path: str, kind: PolicyKind | None = None) -> Source:
    from ssmgate.explain import sources
    from ssmgate.policy_language import PolicyKind

    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise _usage(f"policy {path!r} cannot be read: {why}") from error
    if len(text) > _LARGEST:
        raise _usage(f"policy {path!r} has more than {_LARGEST} characters")
    try:
        return sources.parse(text, path, kind or PolicyKind.IDENTITY)
    except sources.PolicyError as error:
        line = "" if error.line is None else f", line {error.line}"
        raise _usage(f"policy {path!r}{line}: {error}") from error


def _context(option: str, texts: list[str]) -> tuple[ContextEntry, ...]:
    from ssmgate.explain.offline import entry

    entries = []
    for text in texts:
        try:
            entries.append(entry(text))
        except ValueError as error:
            raise _usage(f"{option} {text!r} {error}") from None
    return tuple(entries)


def _region(invocation: Invocation, context: tuple[ContextEntry, ...]) -> str:
    """Return the region as the AWS CLI does, without instance metadata; else from the context."""
    from ssmgate.gate.decision.errors import ConfigurationProblem

    region = invocation.options.region or os.environ.get("AWS_REGION")
    region = region or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        configured = invocation.session.get_scoped_config().get("region")
        region = configured if isinstance(configured, str) else None
    for entry in context:
        if not region and entry.key_name.lower() == "aws:requestedregion" and entry.values:
            region = entry.values[0]
    if not region:
        raise ConfigurationProblem(
            "You must specify a region: --region NAME or AWS_REGION", code="NoRegion"
        )
    return region


def _usage(message: str, *hints: str) -> InvalidRequest:
    from ssmgate.gate.decision.errors import InvalidRequest

    return InvalidRequest(message, hints=hints)
