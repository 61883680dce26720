"""`ssmgate records`: read the records of decisions and sessions."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import resources

import click

from ssmgate.commands.common import Problem, Verb, WrongUse
from ssmgate.commands.help import Group
from ssmgate.commands.printer import echo, echo_lines
from ssmgate.gate import exits
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.records import cloudtrail, files, read, text
from ssmgate.records import follow as following
from ssmgate.records import stats as counting
from ssmgate.records import verify as chain

OUTPUT = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="The format."
)


@click.group(cls=Group)
def records() -> None:
    """Read the records of decisions and sessions."""


class _Head(click.ParamType):  # type: ignore[type-arg] # not generic in older releases
    name = "SEQ:HASH"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> chain.Head:
        """Return the `Head` in `value`. Fails with a usage error for another text."""
        try:
            return chain.Head.parse(value)
        except ValueError as error:
            self.fail(f"{value!r} is {error}", param, ctx)


@records.command(
    cls=Verb,
    short_help="Verify the chain of record files.",
    epilog="""\b
Exit status:
  0    the chain is intact
  3    a line was changed, removed, moved or added
  4    a line or a file has no chain, or a file cannot be read
  252  the command line is invalid
""",
)
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--head", "heads", type=_Head(), multiple=True, help="A head that was stored elsewhere."
)
@OUTPUT
@click.pass_context
def verify(
    ctx: click.Context, paths: tuple[str, ...], heads: tuple[chain.Head, ...], output: str
) -> None:
    """Verify the chain that record.chain = true writes.

    Finds lines that were changed, removed, moved or added, and prints where. FILE is a record file
    or '-'; rotated files come before the current one, and may be compressed with gzip.

    \b
      ssmgate records verify alice.jsonl.1 alice.jsonl

    The last line cannot be verified, and a user who can write the file can write all of it anew.
    So store the printed head elsewhere, and pass it to --head later.
    """
    try:
        lines = [chain.Line(*line) for line in files.all_lines(paths)]
    except files.Unreadable as error:
        echo(f"ssmgate: [ERROR]: {error}", err=True)
        ctx.exit(exits.UNKNOWN)
    result = chain.verify(lines, heads)
    if output == "json":
        echo_lines(json.dumps(asdict(result), indent=4))
    else:
        for finding in result.findings:
            echo(f"{finding.file}:{finding.number}: {finding.kind}: {finding.text}")
        for line in _summary(result):
            echo(line)
    ctx.exit(_status(result))


def _status(result: chain.Result) -> int:
    if any(finding.kind != "not chained" for finding in result.findings):
        return exits.DENIED
    if result.findings or result.unchained or not result.records:
        return exits.UNKNOWN
    return exits.OK


def _summary(result: chain.Result) -> list[str]:
    if result.first is None or result.head is None:
        return ["no line has a chain"]
    counted = f"{result.records} {'record' if result.records == 1 else 'records'}"
    number = len(result.findings)
    state = (
        f"{number} {'finding' if number == 1 else 'findings'}" if number else "the chain is intact"
    )
    found = [f"{counted}, {result.first.seq} to {result.head.seq}: {state}"]
    if result.first.hash:
        found.append(f"the record before the first: {result.first.seq - 1}:{result.first.hash}")
    if result.unchained:
        found.append(f"{result.unchained} lines before them have no chain")
    if result.torn:
        found.append(f"{result.torn} lines are incomplete records, as after a full disk")
    return [*found, f"head: {result.head}"]


class _Since(click.ParamType):  # type: ignore[type-arg]
    name = "TIME"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return read.since(value, datetime.now(UTC))
        except ValueError:
            self.fail(f"{value!r} is neither a date or time nor a number like 30m, 8h, 7d", param)


SINCE = click.option("--since", type=_Since(), help="A time, or how long ago: 8h, 7d.")
PATHS = click.argument("paths", nargs=-1, metavar="[FILE]...")


@records.command(
    cls=Verb,
    short_help="List records.",
    epilog="""\b
Exit status:
  0    the records were listed
  4    a file cannot be read, or has lines that are not records
  252  the command line is invalid
""",
)
@PATHS
@SINCE
@click.option("--user", help="A unix user, or a caller's ARN or the end of it.")
@click.option("--document", help="The name or the ARN of a session document.")
@click.option("--denied", is_flag=True, help="Decisions that deny, or are unknown.")
@click.option("--session", metavar="ID", help="One session, with its decision.")
@click.option("--follow", is_flag=True, help="Wait for more records of one FILE.")
@OUTPUT
@click.pass_context
def show(
    ctx: click.Context, /, paths: tuple[str, ...], output: str, follow: bool, **chosen: object
) -> None:
    """List records, one a line: time, user, what happened, target, document.

    FILE is a record file, may be compressed with gzip, or '-' for standard input; without FILE it
    is your own, as record.file is configured. With --output json each line is a record.

    \b
      ssmgate records show --denied --since 7d /var/lib/ssmgate/records/*.jsonl
      journalctl -t ssmgate -o cat | ssmgate records show -
    """
    wanted = read.Filter(**chosen)  # type: ignore[arg-type]
    paths = paths or (_own_file(),)
    if follow:
        if len(paths) != 1 or paths[0] == files.STDIN or wanted.session is not None:
            raise WrongUse("--follow takes one file and no --session", ctx.command_path + " --help")
        _follow(paths[0], wanted, output)
    found = _read(ctx, paths)
    for record in wanted.select(found.records):
        _print(record, output)
    ctx.exit(_skipped(found))


@records.command(
    cls=Verb,
    short_help="Count who starts which sessions, and what denies.",
    epilog="""\b
Exit status:
  0    the records were counted
  4    a file cannot be read, or has lines that are not records
  252  the command line is invalid
""",
)
@PATHS
@SINCE
@OUTPUT
@click.pass_context
def stats(ctx: click.Context, paths: tuple[str, ...], since: str | None, output: str) -> None:
    """Count decisions by caller and document, and denials by policy.

    In permissive mode "started" is how many sessions were started although they would be denied:
    these stop working with mode = "enforce". FILE as for 'records show'.
    """
    found = _read(ctx, paths or (_own_file(),))
    result = counting.stats(list(read.Filter(since=since).select(found.records)))
    if output == "json":
        echo_lines(json.dumps(asdict(result), indent=4))
    else:
        for line in text.stats(result):
            echo(line)
    ctx.exit(_skipped(found))


@records.command(
    cls=Verb,
    short_help="Compare with the StartSession events of CloudTrail.",
    epilog="""\b
Exit status:
  0    each session has a record and an event
  3    some sessions have only one of them
  4    a file cannot be read, or has lines that are not records
  252  the command line is invalid
""",
)
@PATHS
@click.option(
    "--cloudtrail",
    "trails",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Events of CloudTrail; may be given again.",
)
@SINCE
@OUTPUT
@click.pass_context
def join(
    ctx: click.Context,
    paths: tuple[str, ...],
    trails: tuple[str, ...],
    since: str | None,
    output: str,
) -> None:
    """Print each session beside its event in CloudTrail, and those that have only one of them.

    The events are a log file of CloudTrail (may be compressed with gzip), or the output of

    \b
      aws cloudtrail lookup-events --output json \\
          --lookup-attributes AttributeKey=EventName,AttributeValue=StartSession

    Both have to cover the same time: see --since. FILE as for 'records show'.
    """
    found = _read(ctx, paths or (_own_file(),))
    events = _events(ctx, trails)
    wanted = list(read.Filter(since=since).select(found.records))
    joined = cloudtrail.join(wanted, [e for e in events if since is None or e.time >= since])
    if output == "json":
        echo_lines(json.dumps(asdict(joined), indent=4))
    else:
        for line in text.join(joined):
            echo(line)
    alone = joined.only_cloudtrail or joined.only_records
    ctx.exit(exits.DENIED if alone else _skipped(found))


@records.command(cls=Verb, short_help="Print the journal's explanations of records.")
def catalog() -> None:
    """Print the catalog file for systemd-journald, which explains records in journalctl -x.

    \b
      ssmgate records catalog | sudo tee /usr/lib/systemd/catalog/ssmgate.catalog
      sudo journalctl --update-catalog
    """
    echo_lines(resources.files("ssmgate.records").joinpath("ssmgate.catalog").read_text().rstrip())


def _own_file() -> str:
    """Return the caller's own record file. Raises `Problem` if none is configured."""
    path = configuration.load(os.environ).records.file
    if path is None:
        raise Problem(
            "no FILE is given, and record.file is not set",
            "records in syslog: journalctl -t ssmgate -o cat | ssmgate records show -",
        )
    if USER_PLACEHOLDER not in path:
        return path
    try:
        return path.replace(USER_PLACEHOLDER, pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        raise Problem(f"{path}: this unix user has no name", "id") from None


def _read(ctx: click.Context, paths: tuple[str, ...]) -> read.Records:
    try:
        return read.Records.read(line for _, _, line in files.all_lines(paths))
    except files.Unreadable as error:
        echo(f"ssmgate: [ERROR]: {error}", err=True)
        ctx.exit(exits.UNKNOWN)


def _events(ctx: click.Context, paths: tuple[str, ...]) -> list[cloudtrail.Event]:
    found: list[cloudtrail.Event] = []
    for path in paths:
        try:
            lines = [line for _, line in files.lines(path, longest=-1)]
            found += cloudtrail.events(b"\n".join(lines).decode("utf-8", "replace"))
        except files.Unreadable as error:
            echo(f"ssmgate: [ERROR]: {error}", err=True)
            ctx.exit(exits.UNKNOWN)
        except cloudtrail.NotCloudTrail as error:
            echo(f"ssmgate: [ERROR]: {path}: not CloudTrail's events: {error}", err=True)
            ctx.exit(exits.UNKNOWN)
    return found


def _skipped(found: read.Records) -> int:
    if not found.skipped:
        return exits.OK
    lines = (
        "1 line is not a record" if found.skipped == 1 else f"{found.skipped} lines are not records"
    )
    echo(f"ssmgate: [WARNING]: {lines}", err=True)
    return exits.UNKNOWN


def _print(record: read.Record, output: str) -> None:
    if output == "json":
        echo_lines(json.dumps(record))
    else:
        echo(text.shown(record))


def _follow(path: str, wanted: read.Filter, output: str) -> None:
    try:
        for line in following.follow(path, from_start=wanted.since is not None):
            record = None if line is None else read.parse(line)
            if record is not None and wanted.matches(record):
                _print(record, output)
    except files.Unreadable as error:
        raise Problem(str(error), f"ls -l {path}") from error
