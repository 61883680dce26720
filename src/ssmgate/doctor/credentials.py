"""Check the region and the credentials that a session start would use."""

from __future__ import annotations

import difflib
import shlex
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

from ssmgate.doctor.calls import OutOfTimeError, Step
from ssmgate.doctor.lines import Lines, StopError
from ssmgate.doctor.results import Result, ok, problem, warning
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import errors
from ssmgate.gate.aws.clients import Credentials, freeze
from ssmgate.gate.aws.endpoints import partition_of
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.system import signals

_REGION_SECONDS = 3
_PROMPT_SECONDS = 60  # for typing an MFA code

_EXPIRES_SOON_SECONDS = 600


def region(invocation: Invocation, lines: Lines) -> str:
    """Add the line about the region, and return it. Raises `StopError`."""
    session = invocation.session
    found: str | None = invocation.options.region
    try:
        if found is None:
            read = partial(session.get_config_variable, "region")
            found = Step(read).result(time.monotonic() + _REGION_SECONDS)
    except OutOfTimeError:
        pass  # the last resort is the instance metadata service
    except Exception as error:
        _stop(lines, _failed(session, error))
    fix = "export AWS_REGION=us-east-1"
    if found is None:
        _stop(lines, problem("region", "no region is configured", fix))
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    known = [name for partition in partitions for name in partition["regions"]]
    if found in known:
        lines.add(ok("region", found))
        return found
    near = difflib.get_close_matches(found, known, 1)
    fix = f"export AWS_REGION={near[0]}" if near else fix
    if partition_of(session, found) is None:
        what = "an availability zone" if found[:-1] in known else "not a region"
        _stop(lines, problem("region", f"{found!r} is {what}", fix))
    lines.add(warning("region", f"{found!r} is not a region that botocore knows", fix))
    return found


def resolve(invocation: Invocation, lines: Lines, until: float) -> tuple[Credentials, float]:
    """Return the caller's credentials, and for how many seconds this may have prompted.

    `until` is a time of `time.monotonic`; it does not apply to a prompt. Adds the line
    about credentials only if there are none, and raises `StopError` then.
    """
    session = invocation.session
    began = time.monotonic()
    try:
        if session.get_scoped_config().get("mfa_serial"):
            # It may prompt on the terminal, so Ctrl-C has to reach it.
            with signals.time_limit(_PROMPT_SECONDS):
                return freeze(session), time.monotonic() - began
        return Step(partial(freeze, session), "credentials").result(until), 0.0
    except (OutOfTimeError, signals.TimeLimitExceeded):
        text = f"they could not be resolved within {time.monotonic() - began:.0f} s"
        _stop(lines, problem("credentials", text, login_command(session)))
    except Exception as error:
        _stop(lines, _failed(session, error))


def _stop(lines: Lines, found: Result) -> NoReturn:
    lines.add(found)
    raise StopError(found.name)


def _failed(session: Any, error: Exception) -> Result:
    """Return the result for `error`, raised while the profile or the credentials were read."""
    translated = errors.translate(error)
    fix = login_command(session)
    if type(error).__name__ == "ProfileNotFound":
        fix = "aws configure list-profiles"
    elif type(error).__name__ == "MissingDependencyException" and translated.hints:
        fix = translated.hints[0]
    text = translated.message.partition(". You can configure credentials")[0]
    return problem("credentials", text, fix)


def login_command(session: Any) -> str:
    """Return the command that gets new credentials for the profile of `session`."""
    try:
        profile, scoped = session.profile, session.get_scoped_config()
    except Exception:
        profile, scoped = None, {}
    option = f" --profile {shlex.quote(profile)}" if profile else ""
    if scoped.get("sso_session") or scoped.get("sso_start_url"):
        return f"aws sso login{option}"
    return f"aws login{option}" if scoped.get("login_session") else f"aws configure{option}"


def valid(caller: Caller, credentials: Credentials, session: Any) -> Result:
    """Return the line for credentials that STS accepted: whose they are, and until when."""
    text = f"{caller.caller_arn} (from {session.get_credentials().method})"
    if credentials.expires_at is None:
        until = "their expiry is not known" if credentials.session_token else "they do not expire"
        return ok("credentials", f"{text}; {until}")
    when = datetime.fromtimestamp(credentials.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if credentials.expires_at - time.time() < _EXPIRES_SOON_SECONDS:
        return warning("credentials", f"{text}; they expire at {when}", login_command(session))
    return ok("credentials", f"{text}; valid until {when}")
