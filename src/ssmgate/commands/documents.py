"""`ssmgate documents`: list the session documents that the caller may use."""

from __future__ import annotations

import click

from ssmgate.commands.check import (
    JSON,
    REDACT,
    colour,
    configuration,
    own_flags,
    print_json,
    read,
    redactor,
    wants_json,
)
from ssmgate.commands.help import PassingVerb
from ssmgate.commands.printer import echo_lines

# The parser requires a target. This one is replaced by a --target on the command line, because
# the last one is used.
_NO_TARGET = "i-none"

_EPILOG = """\b
Exit status:
  0    every document is listed and its answer is known, allowed or denied
  4    an answer is unknown, or not all documents could be listed
  252  the command line is invalid
  253  no region, no credentials, or an invalid configuration of ssmgate
"""


@click.command(
    "documents",
    cls=PassingVerb,
    own=(("--target NODE", "also check whether sessions on it are allowed"), REDACT, JSON),
    options_metavar="[OPTIONS]",
    epilog=_EPILOG,
    short_help="List the session documents that you may use.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--target NODE]")
@click.pass_context
def documents(ctx: click.Context, words: tuple[str, ...]) -> None:
    """List the session documents of the account and of AWS, and whether you may use each.

    Prints allowed, denied or unknown for each document, its kind and its owner. Also prints the
    session preferences that the default document sets, if the caller may read them.
    """
    from ssmgate.explain import documents as listing
    from ssmgate.explain import text
    from ssmgate.gate.decision.errors import InvalidRequest

    flags, rest = own_flags(words, {"--redact": "redact"})
    invocation = read(["--target", _NO_TARGET, *rest])
    if invocation.request.document_name is not None:
        raise InvalidRequest(
            "documents takes no --document-name: to check one document, use 'ssmgate check'"
        )
    target = invocation.request.target
    machine = wants_json(invocation)
    report = listing.list_and_simulate(
        invocation, configuration(), target=None if target == _NO_TARGET else target
    )
    mask = redactor(report) if flags else None
    if machine:
        print_json(report, invocation, mask)
    else:
        style = text.Style(colour=colour(invocation))
        shown = text.documents(report, style)
        echo_lines(shown if mask is None else mask.text(shown), colour=style.colour)
    ctx.exit(report.exit_code)
