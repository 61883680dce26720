"""Start a session, in steps that depend on each other. Every session start makes these calls:

    invocation = read(argv)                         # with the AWS CLI's parser, only once
    permitted = permit(invocation, environ)         # configure, find the plugin, authorize, record
    with started(permitted) as session:             # StartSession; terminated if the block fails
        session.exec()                              # session-manager-plugin

Each step needs the value of the one before. Explanations of errors are added outside the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import Any, NoReturn

from ssmgate.gate import printer
from ssmgate.gate.access.authorize import Authorization, authorize
from ssmgate.gate.argv.parse import Invocation, read
from ssmgate.gate.aws import AWSCLI_VERSION
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.aws.start_session import StartedSession, start_session, terminate_session
from ssmgate.gate.cache.cached_authorization import open_cache
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Decision, Permit, override
from ssmgate.gate.decision.endpoints import not_at_aws
from ssmgate.gate.decision.errors import ServiceFailed
from ssmgate.gate.decision.frozen import frozen
from ssmgate.gate.decision.restrictions import LocalDenial, Restrictions
from ssmgate.gate.plugin.find import Plugin, find
from ssmgate.gate.plugin.handover import Handover, handover, require_executable
from ssmgate.gate.records.optional import AnyRecorder, open_recorder
from ssmgate.gate.system import signals

__all__ = ["PermittedSession", "ReadySession", "permit", "read", "started"]

WARNING_SECONDS = 1
"""How long a warning may take while a session waits for its plugin: a pipe may be full."""


@frozen
class PermittedSession:
    """A session that may be started, and everything needed to start it."""

    permit: Permit
    authorization: Authorization
    plugin: Plugin
    config: Config
    recorder: AnyRecorder = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)


def permit(
    invocation: Invocation,
    environ: Mapping[str, str],
    *,
    config: Config | None = None,
    recorder: AnyRecorder | None = None,
) -> PermittedSession:
    """Decide about `invocation`, and record the decision.

    `environ` becomes the plugin's. `config` is loaded, and `recorder` made from it, if they are
    None. Prints warnings about the later steps: once the session exists, standard error may block.

    Raises `GateError` if no session may start. Its `evidence` is the `Authorization` if the
    decision is from IAM.
    """
    with _translated(invocation):
        config = config or configuration.load(environ)
        plugin = find(environ, config.plugin_path)
        require_executable(invocation.request.to_parameters())
        recorder = recorder or open_recorder(config, environ)
        recorder.versions.update(awscli=AWSCLI_VERSION, plugin=plugin.version_text)
        opened = open_clients(invocation.session, invocation.options, config)
        clients: Clients = recorder.watch(opened)
        cache = open_cache(invocation, clients, config, environ, printer.eprint)
        authorization = authorize(invocation, clients, config, cache)
        if config.on_unknown == "service":
            from ssmgate.gate.access import unasked

            authorization = unasked.left_to_service(authorization, config)
        decision = _restricted(authorization, config.rules)
        _warn_unrecorded(
            recorder.decision(
                authorization.caller,
                authorization.attempt,
                decision,
                cached_at=authorization.cached_at,
                endpoints=authorization.endpoints,
            )
        )
        granted = _permit(authorization, decision, config)
        _warn_of_what_follows(authorization, plugin, config)
        return PermittedSession(granted, authorization, plugin, config, recorder, environ)


@frozen
class ReadySession:
    """A started session whose plugin has not taken over yet."""

    handover: Handover
    held: signals.HeldSignals

    def exec(self) -> NoReturn:
        """Become the plugin. Does not return.

        Raises `GateError` if that fails, `signals.Interrupted` if a signal arrived.
        """
        self.handover.exec(self.held.check)


@contextmanager
def started(
    permitted: PermittedSession, on_start: Callable[[str], object] = lambda _: None
) -> Iterator[ReadySession]:
    """Start the session that was permitted, and terminate it unless the block becomes the plugin.

    `on_start` gets the session's id. Signals that would end this process are held in the block,
    once there is a connection. Raises `GateError`, and `signals.Interrupted` if a signal arrived.
    """
    authorization = permitted.authorization
    ssm, recorder = authorization.clients.ssm, permitted.recorder
    with _translated(authorization.invocation), signals.held() as held:
        ssm.meta.events.register_first("before-send.ssm.StartSession", lambda **_: held.check())
        session = _send(ssm, permitted.permit)
        with _terminated_on_failure(ssm, session):
            on_start(session.session_id)
            ready = _handover(permitted, session)
            problem = recorder.start(
                authorization.caller, session.request, session.session_id, authorization.endpoints
            )
            with suppress(signals.TimeLimitExceeded), signals.time_limit(WARNING_SECONDS):
                _warn_unrecorded(problem)
            yield ReadySession(ready, held)


@contextmanager
def _translated(invocation: Invocation) -> Iterator[None]:
    """Raise errors of awscli and botocore as `GateError`, in the format of the command line."""
    try:
        yield
    except Exception as error:
        from ssmgate.gate.aws import errors

        profile, target = invocation.options.profile, invocation.request.target
        translated = errors.translate(error, profile=profile, target=target)
        translated.error_format = translated.error_format or invocation.options.error_format
        if translated is error:
            raise
        raise translated from error


def _restricted(authorization: Authorization, rules: Restrictions) -> Decision | LocalDenial:
    """Return the decision, or the denial by a rule of this machine if IAM allows."""
    attempt, caller = authorization.attempt, authorization.caller
    allowed = isinstance(attempt.decision, Permit)
    if not allowed or caller is None or rules == Restrictions():
        return attempt.decision
    # Imported only here, as most machines have no restrictions.
    from ssmgate.gate.decision import apply_restrictions

    arns = tuple(question.resource_arn for question in attempt.questions)
    denial = apply_restrictions.denial_by(rules, attempt.request, arns, caller.account)
    return denial or attempt.decision


def _permit(
    authorization: Authorization, decision: Decision | LocalDenial, config: Config
) -> Permit:
    if isinstance(decision, Permit):
        if unknown := decision.left_to_service:
            document = decision.request.document_name
            printer.eprint(
                f"ssmgate: session document {document}: checked by AWS, not simulated"
                f" ({unknown.reason})"
            )
        return decision
    from ssmgate.gate.decision import messages

    request = authorization.invocation.request
    options = authorization.invocation.options.repeated()
    denial = messages.explain(decision, request, authorization.caller, options)
    if not config.permissive:
        denial.evidence = authorization
        raise denial
    printer.warn(denial.message)
    printer.eprint("ssmgate: session started anyway, because mode is 'permissive'")
    return override(request, decision)


def _warn_unrecorded(problem: str) -> None:
    if problem:
        printer.warn(f"cannot write the audit record: {problem}")


def _send(ssm: Any, permit: Permit) -> StartedSession:
    try:
        return start_session(ssm, permit)
    except ServiceFailed as failed:
        simulated = permit.overridden is None and permit.left_to_service is None
        if failed.error_code == "AccessDeniedException" and simulated:
            from ssmgate.gate.decision import messages

            failed.notes += messages.BEYOND_SIMULATION
        raise


def _warn_of_what_follows(authorization: Authorization, plugin: Plugin, config: Config) -> None:
    """Print the warnings about endpoints and about the plugin, whose errors may lack a reason."""
    clients, endpoints = authorization.clients, authorization.endpoints
    if plugin.warning:
        printer.eprint(plugin.warning)
    if endpoints and clients.home and (warning := not_at_aws(endpoints, clients.home)):
        printer.warn(warning)
    only_here = clients.credentials.only_here
    if only_here and plugin.signs_channel and not config.pass_credentials:
        from ssmgate.gate.decision import messages

        printer.warn(f"{messages.OTHER_CREDENTIALS} {only_here}")
        printer.eprint(f"ssmgate: hint: {messages.PASS_CREDENTIALS}")


def _handover(permitted: PermittedSession, session: StartedSession) -> Handover:
    clients, caller = permitted.authorization.clients, permitted.authorization.caller
    passed = clients.credentials.for_environment() if permitted.config.pass_credentials else None
    return handover(
        permitted.plugin,
        response={
            "SessionId": session.session_id,
            "TokenValue": session.token_value,
            "StreamUrl": session.stream_url,
        },
        region=clients.ssm.meta.region_name,
        profile=permitted.authorization.invocation.options.profile or "",  # not AWS_PROFILE
        parameters=session.request.to_parameters(),
        endpoint_url=clients.ssm.meta.endpoint_url,
        environ=permitted.environ,
        credentials=passed,
        afterwards=permitted.recorder.end(caller, session.request, session.session_id),
    )


@contextmanager
def _terminated_on_failure(ssm: Any, session: StartedSession) -> Iterator[None]:
    """Terminate the session if the block raises anything instead of becoming the plugin."""
    try:
        yield
    except BaseException as error:
        failure = terminate_session(ssm, session.session_id)
        end = "was terminated" if failure is None else f"could not be terminated: {failure}"
        error.add_note(f"session {session.session_id} {end}")
        raise
