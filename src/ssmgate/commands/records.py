"""`ssmgate records`: read the records of decisions and sessions."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ssmgate.commands.common import Verb
from ssmgate.commands.help import Group
from ssmgate.commands.printer import echo, echo_lines
from ssmgate.gate import exits
from ssmgate.records import files
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
        found.append(f"the first follows on {result.first.seq - 1}:{result.first.hash}")
    if result.unchained:
        found.append(f"{result.unchained} lines before them have no chain")
    if result.torn:
        found.append(f"{result.torn} lines are half a record, as after a full disk")
    return [*found, f"head: {result.head}"]
