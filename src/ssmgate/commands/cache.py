"""`ssmgate cache`: show and clear the cached IAM decisions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import click

from ssmgate.commands.help import Group
from ssmgate.commands.printer import echo, echo_lines
from ssmgate.gate.cache import entry, inspect, store
from ssmgate.gate.config import load as configuration


@click.group(cls=Group)
def cache() -> None:
    """Inspect or clear the cache of IAM allow decisions."""


@cache.command(short_help="Print the cached decisions.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="The format.")
def show(output: str) -> None:
    """Print each cached decision: its remaining seconds, caller and documents.

    A decision is used only with the same credentials, configuration and endpoints, and never after
    the credentials expire. JSON is a list of objects with seconds_left, caller and documents, the
    last two as ARNs. An entry without documents is the caller's identity.
    """
    config = configuration.load(os.environ)
    if config.locked or not config.cache_ttl:
        why = "the system's configuration locks keys" if config.locked else "cache.ttl is 0"
        echo(f"nothing is cached: {why}", err=True)
        cached = []
    else:
        cached = list(_entries(config.cache_ttl))
    if output == "json":
        entries = [
            {"seconds_left": round(seconds_left, 1), "caller": caller, "documents": documents}
            for seconds_left, caller, *documents in cached
        ]
        echo_lines(json.dumps(entries, indent=4))
        return
    for seconds_left, caller, *documents in cached:
        echo(f"{seconds_left:4.0f} s  {caller}  {' '.join(documents) or '(caller identity)'}")


@cache.command()
def clear() -> None:
    """Clear the cache.

    A session that is being started at the same time may still add its decision.
    """
    count = inspect.clear(_cache())
    echo(f"{count} {'entry' if count == 1 else 'entries'} deleted", err=True)


def _entries(ttl: int) -> Iterator[tuple[float, str, *tuple[str, ...]]]:
    now = entry.now()
    for text in inspect.texts(_cache()):
        age = inspect.age(text, now)
        if age is not None and 0 <= age <= ttl:
            # The entry is not authenticated here, because that needs the credentials.
            caller, *documents = inspect.describe(text)
            yield ttl - age, caller, *documents


def _cache() -> store.DecisionCache:
    return store.DecisionCache(
        os.path.abspath(os.environ.get("HOME", "/")), lambda line: echo(line, err=True)
    )
