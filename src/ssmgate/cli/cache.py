"""`ssmgate cache`: what is kept of IAM's answers, and how to forget it."""

from __future__ import annotations

import os

import click

from ssmgate.core import kept
from ssmgate.host import answers
from ssmgate.host import config as configuration


@click.group()
def cache() -> None:
    """Show or forget IAM's answers that starts use again for cache.ttl seconds."""


@cache.command()
def show() -> None:
    """Print who was allowed what, and for how many seconds it still counts.

    An answer counts for the very credentials, configuration and endpoints that it was given to.
    """
    config = configuration.load(os.environ)
    if config.locked or not config.cache_ttl:
        why = "the system's configuration locks keys" if config.locked else "cache.ttl is 0"
        click.echo(f"nothing is kept: {why}")
        return
    now = answers.now()
    for text in _folder().texts():
        age = kept.age(text, now)
        if age is None or not 0 <= age <= config.cache_ttl:
            continue
        name, *documents = kept.about(text)
        left = config.cache_ttl - age
        click.echo(f"{left:4.0f} s  {name}  {' '.join(documents) or 'who it is'}")


@cache.command()
def clear() -> None:
    """Forget everything: the next start asks."""
    _folder().clear()


def _folder() -> answers.Folder:
    return answers.Folder(
        os.path.abspath(os.environ.get("HOME", "/")), lambda line: click.echo(line, err=True)
    )
