"""`ssmgate check --policy FILE…`: the files' own answer, before they are anybody's policies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssmgate.explain.offline import Scenario
    from ssmgate.explain.report import Report
    from ssmgate.explain.sources import Source
    from ssmgate.gate.argv.parse import Invocation
    from ssmgate.gate.decision.errors import InvalidRequest
    from ssmgate.gate.decision.question import ContextEntry

_VALUED = ("--policy", "--boundary", "--scp", "--context", "--document-context", "--caller")
_FLAGS = {"--aws": "aws"}
_LARGEST = 131_072
"""Characters of a policy that IAM simulates.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
"""


def is_meant(words: tuple[str, ...]) -> bool:
    """Whether this line of `check` is about policies from files."""
    end = words.index("--") if "--" in words else len(words)
    own = (*_VALUED, *_FLAGS)
    return any(word.partition("=")[0] in own for word in words[:end])


def split(
    words: tuple[str, ...], flags: dict[str, str]
) -> tuple[dict[str, list[str]], set[str], list[str]]:
    """The verb's own options with their values, its flags, and start-session's words, untouched.

    An option is taken by its full name only, up to `--`: `--pol` and `--cont` stay with
    start-session's parser, which refuses them. Raises `InvalidRequest` for one without a value.
    """
    values: dict[str, list[str]] = {name: [] for name in _VALUED}
    found: set[str] = set()
    rest: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        name, equals, value = word.partition("=")
        at += 1
        if word == "--":
            return values, found, [*rest, *words[at - 1 :]]
        if word in flags:
            found.add(flags[word])
        elif name in values and equals:
            values[name].append(value)
        elif name in values:
            if at == len(words):
                raise _usage(f"argument {name}: expected one argument")
            values[name].append(words[at])
            at += 1
        else:
            rest.append(word)
    return values, found, rest


def check_policies(
    words: tuple[str, ...], flags: dict[str, str]
) -> tuple[Report, set[str], Invocation]:
    """Check the policies that `words` name, with the flags among them and start-session's part.

    `flags` are those of `check` itself. The local evaluator needs no credentials and no network.
    Raises `InvalidRequest` for a file that cannot be read or is no policy, and for what is
    missing; `ConfigurationProblem` where no region is known.
    """
    values, found, rest = split(words, flags | _FLAGS)
    if not values["--policy"]:
        raise _usage("the following arguments are required: --policy")
    if not values["--caller"]:
        raise _usage(
            "the following arguments are required: --caller",
            "--caller arn:aws:iam::111122223333:role/NAME, whom the policies are for",
        )
    if "aws" in found and values["--scp"]:
        raise _usage("--aws cannot be used with --scp: IAM's simulation takes none")
    if len(values["--boundary"]) > 1:
        raise _usage("a principal has one permissions boundary: --boundary was given twice")

    from ssmgate.commands.check import read
    from ssmgate.explain import offline

    given = offline.Given(
        tuple(_source(path) for path in values["--policy"]),
        next((_source(path) for path in values["--boundary"]), None),
        tuple(_source(path) for path in values["--scp"]),
    )
    try:
        caller = offline.caller_of(values["--caller"][-1])
    except ValueError as error:
        raise _usage(f"--caller {values['--caller'][-1]!r} {error}") from None
    context = _context("--context", values["--context"])
    invocation = read(rest)
    situation = offline.Scenario(
        invocation.request,
        _region(invocation, context),
        caller,
        context,
        _context("--document-context", values["--document-context"]),
    )
    if "aws" in found:
        return _by_iam(given, situation, invocation), found, invocation
    return offline.check(given, situation), found, invocation


def _by_iam(given: Any, situation: Scenario, invocation: Invocation) -> Report:
    from ssmgate.explain import offline
    from ssmgate.gate.aws import errors
    from ssmgate.gate.aws.clients import open_clients
    from ssmgate.gate.aws.session import only_ask

    only_ask(invocation.session)
    try:
        iam = open_clients(invocation.session, invocation.options).iam
    except Exception as error:
        raise errors.translate(error) from error
    return offline.simulate(given, situation, iam)


def _source(path: str) -> Source:
    from ssmgate.explain import sources

    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise _usage(f"policy {path!r} cannot be read: {why}") from error
    if len(text) > _LARGEST:
        raise _usage(f"policy {path!r} has more than {_LARGEST} characters")
    try:
        return sources.parse(text, path)
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
    """As the AWS CLI finds it, but for the instance metadata; else what the context says."""
    from ssmgate.gate.decision.errors import ConfigurationProblem

    said = invocation.options.region or os.environ.get("AWS_REGION")
    said = said or os.environ.get("AWS_DEFAULT_REGION")
    if not said:
        configured = invocation.session.get_scoped_config().get("region")
        said = configured if isinstance(configured, str) else None
    for one in context:
        if not said and one.key_name.lower() == "aws:requestedregion" and one.values:
            said = one.values[0]
    if not said:
        raise ConfigurationProblem(
            "You must specify a region: --region NAME or AWS_REGION", code="NoRegion"
        )
    return said


def _usage(message: str, *hints: str) -> InvalidRequest:
    from ssmgate.gate.decision.errors import InvalidRequest

    return InvalidRequest(message, code="ParamValidation", hints=hints)
