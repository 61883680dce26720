"""The story of a checked start, from the words typed to the plugin that takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from ssmgate.aws import arguments, failures
from ssmgate.aws.start_session import StartedSession, start_session, terminate_session
from ssmgate.core import wording
from ssmgate.core.decision import Permit, override
from ssmgate.examination import Examination, examine
from ssmgate.host import config as configuration
from ssmgate.host import plugin as plugins
from ssmgate.host import signals
from ssmgate.host.config import Config
from ssmgate.host.plugin import Handover, Plugin


def start(
    argv: list[str],
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], object],
    become: Callable[[Handover], NoReturn] = Handover.become,
) -> int:
    """Check, start, and become the plugin.

    `argv` are the words after `aws`. `tell` takes lines for stderr. `become` does not return; if
    it raises, the session is terminated. Returns an exit code only for lines that ask for no
    session (help, a skeleton).

    Raises `GateError` for every other end, and `signals.Interrupted` for a signal that came
    while the session was being handed over.
    """
    invocation = arguments.read(argv)
    if isinstance(invocation, int):
        return invocation
    try:
        config = configuration.load(environ)
        plugin = plugins.find(environ)
        examination = examine(invocation, config)
        permit = _permit(examination, config, tell)
        with signals.held() as window:
            started = start_session(examination.clients.ssm, permit)
            with _terminated_if_not_taken(examination.clients.ssm, started):
                if warning := plugin.warning:
                    tell(warning)
                handover = _handover(examination, plugin, started, environ)
                window.check()
                become(handover)
    except Exception as error:
        translated = failures.translate(error)
        translated.error_format = translated.error_format or invocation.options.error_format
        if translated is error:
            raise
        raise translated from error


def _permit(examination: Examination, config: Config, tell: Callable[[str], object]) -> Permit:
    outcome = examination.outcome
    if isinstance(outcome, Permit):
        return outcome
    request = examination.invocation.request
    refusal = wording.explain(outcome, request, examination.caller)
    if not config.permissive:
        raise refusal
    tell(f"ssmgate: [WARNING]: {refusal.message}")
    tell("ssmgate: started all the same, as mode is 'permissive'")
    return override(request, outcome)


def _handover(
    examination: Examination,
    plugin: Plugin,
    started: StartedSession,
    environ: Mapping[str, str],
) -> Handover:
    ssm = examination.clients.ssm
    return plugins.handover(
        plugin,
        response={
            "SessionId": started.session_id,
            "TokenValue": started.token_value,
            "StreamUrl": started.stream_url,
        },
        region=ssm.meta.region_name,
        # What the flag said, nothing else: AWS_PROFILE reaches the plugin by the environment.
        profile=examination.invocation.options.profile or "",
        parameters=started.request.to_parameters(),
        endpoint_url=ssm.meta.endpoint_url,
        environ=environ,
    )


@contextmanager
def _terminated_if_not_taken(ssm: Any, started: StartedSession) -> Iterator[None]:
    """End the session unless the block ends in the plugin, whatever ends the block instead."""
    try:
        yield
    except BaseException as error:
        failure = terminate_session(ssm, started.session_id)
        end = "was terminated" if failure is None else f"could not be terminated: {failure}"
        error.add_note(f"session {started.session_id} {end}")
        raise
