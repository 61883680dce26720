"""Hand a started session over: the plugin's arguments and environment, and exec."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import NoReturn

from ssmgate.gate.decision.errors import GateError, InvalidRequest
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.plugin.find import PROGRAM, Plugin
from ssmgate.gate.system import takeover

LONGEST = 131_072
RESPONSE_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"


@frozen
class Handover:
    """The program to execute. Its environment, or an old plugin's arguments, contain the token.

    `afterwards` is what records the end of the session, as `restore_terminal.wrap` takes it.
    """

    path: str
    argv: tuple[str, ...] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    afterwards: Sequence[str] = ()

    def exec(self, last_check: Callable[[], object]) -> NoReturn:
        """Replace this process with the plugin, or with a shell that runs it: see `wrap`.

        `last_check` is called just before. Raises `GateError` if execution fails, and what
        `last_check` raises.
        """
        path, argv = self.path, self.argv
        ignored: Sequence[int] = takeover.IGNORED
        if self.afterwards or os.isatty(0):
            from ssmgate.gate.plugin import restore_terminal

            wrap = restore_terminal.wrap
            path, argv, ignored = wrap(path, argv, self.environ, self.afterwards)
        try:
            takeover.execute(path, argv, self.environ, last_check, ignored)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "invalid arguments"
            raise self.failed(str(why)) from None

    def failed(self, why: str) -> GateError:
        """Return the error for a plugin that could not be executed. `why` is a clause."""
        from ssmgate.gate.plugin import problems

        return problems.unusable(self.path, f"cannot be executed: {why}")


def require_executable(parameters: Mapping[str, object]) -> None:
    """Raise `InvalidRequest` if the plugin could not be executed with `parameters`: see execve(2).

    The session would exist by then.
    """
    if len(json.dumps(parameters)) >= LONGEST:
        raise InvalidRequest(
            f"the parameters are too long for {PROGRAM}: at most {LONGEST - 1:,} bytes of JSON"
        )


# What would override or complement the keys in the environment.
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
    afterwards: Sequence[str] = (),
) -> Handover:
    """Return the plugin with its six arguments and its environment, as the CLI makes them.

    `response` is SessionId, TokenValue and StreamUrl. `profile` is the value of --profile, empty
    without it. `parameters` is the request that was sent. `environ` is the caller's.
    `credentials` are environment variables that replace every profile and key in it. `afterwards`
    as for `Handover`.
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
    return Handover(plugin.path, argv, variables, tuple(afterwards))
