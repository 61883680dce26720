"""Errors as `--cli-error-format yaml` and `table` print them, by the libraries of AWS CLI v2."""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Mapping

from awscli.formatter import TableFormatter

from ssmgate.gate.argv import yaml as yaml_1_2
from ssmgate.gate.decision import printable


def yaml(error: Mapping[str, object]) -> str:
    """Return the members of an error as YAML, sorted as v2 does, without a line break at its end.

    Characters outside ASCII are escaped, so that a parser reads the original text, and a terminal
    shows it safely.
    """
    return yaml_1_2.dumped(dict(error)).removesuffix("\n")


def table(error: Mapping[str, object]) -> str:
    """Return the members of an error as a table, without a line break at its end.

    Values are escaped for a terminal. It has no colors, and is 80 columns wide where the width of
    the terminal is not known.
    """
    output = io.StringIO()
    formatter = TableFormatter(Namespace(query=None, color="off"))
    formatter("error", {name: _escaped(value) for name, value in error.items()}, output)
    return output.getvalue().removesuffix("\n")


def _escaped(value: object) -> object:
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return printable.line(value) if isinstance(value, str) else value
