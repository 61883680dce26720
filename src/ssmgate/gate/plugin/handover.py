"""Hand a started session over: the plugin's arguments and environment, and exec."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import NoReturn

from ssmgate.gate.decision.errors import GateError
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.plugin.find import PROGRAM, Plugin, unusable
from ssmgate.gate.system import takeover

RESPONSE_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"


@frozen
class Handover:
    """The program to become. Arguments of old plugins and the environment hold the token."""

    path: str
    argv: tuple[str, ...] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def exec(self, last_check: Callable[[], object]) -> NoReturn:
        """Replace this process, by way of what keeps its terminal, if it has one.

        Raises `GateError` if the system refuses, and what `last_check` raises, which is called
        just before.
        """
        path, argv = self.path, self.argv
        if os.isatty(0):
            from ssmgate.gate.plugin import restore_terminal

            if restore_terminal.is_ours():
                path, argv = restore_terminal.kept(path, argv, self.environ)
        try:
            takeover.execute(path, argv, self.environ, last_check)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "invalid arguments"
            raise self.failed(str(why)) from None

    def failed(self, why: str) -> GateError:
        """The error for a plugin that could not be executed after all. `why` is a clause."""
        return unusable(self.path, f"cannot be executed: {why}")


# What would come before, or beside, the keys in the environment.
_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
)


def handover(
    plugin: Plugin,
    *,
    response: Mapping[str, str],
    region: str,
    profile: str,
    parameters: Mapping[str, object],
    endpoint_url: str,
    environ: Mapping[str, str],
    credentials: Mapping[str, str] | None = None,
) -> Handover:
    """The plugin's six arguments and its environment, as the CLI makes them.

    `response` is SessionId, TokenValue and StreamUrl. `profile` is what --profile said, empty
    without it. `parameters` is the request that was sent. `environ` is the caller's.
    `credentials` are variables that take the place of every profile and key there.
    """
    text = json.dumps(response)
    variables = dict(environ)
    if credentials is not None:
        for name in _CREDENTIALS:
            variables.pop(name, None)
        variables |= credentials
        profile = ""
    if plugin.reads_variable:
        variables[RESPONSE_VARIABLE] = text
        text = RESPONSE_VARIABLE
    argv = (PROGRAM, text, region, "StartSession", profile, json.dumps(parameters), endpoint_url)
    return Handover(plugin.path, argv, variables)
