"""The story of a checked start, from the words typed to the plugin that takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from ssmgate.gate.access.authorize import Authorization, authorize
from ssmgate.gate.argv import parse
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import AWSCLI_VERSION, errors
from ssmgate.gate.aws.start_session import StartedSession, start_session, terminate_session
from ssmgate.gate.cache import key
from ssmgate.gate.config import load as configuration
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision import messages, restrictions
from ssmgate.gate.decision.decision import Denial, Outcome, Permit, override
from ssmgate.gate.decision.endpoints import not_at_aws
from ssmgate.gate.decision.errors import GateError, ServiceFailed
from ssmgate.gate.decision.restrictions import LocalDenial, Restrictions
from ssmgate.gate.plugin import find
from ssmgate.gate.plugin.find import Plugin
from ssmgate.gate.plugin.handover import Handover, handover
from ssmgate.gate.records.writer import Recorder
from ssmgate.gate.system import signals

EXPLAIN_SECONDS = 5
"""How long a person refused waits for what came close."""

MAX_LINES = 10
"""Of a refusal, its explanation among them."""

TELL_SECONDS = 1
"""How long a warning may take while a session waits for its plugin."""

Become = Callable[[Handover, Callable[[], object]], NoReturn]
"""Becomes the plugin. Calls its second argument just before, and passes on what that raises."""


def start(
    argv: list[str],
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], object],
    become: Become = Handover.become,
    recorder: Recorder | None = None,
    vet: Callable[[Invocation], object] = lambda _invocation: None,
    permitted: Callable[[Config], object] = lambda _config: None,
) -> int:
    """Check, start, and become the plugin.

    `argv` are the words after `aws`. `tell` takes lines for stderr. `become` does not return; if
    it raises, the session is terminated. `recorder` is None where one is made of the configuration.
    `vet` may raise for what was parsed; `permitted` is called before the session is there. Returns
    an exit code only for lines that ask for no session (help, a skeleton).

    Raises `GateError` for every other end, and `signals.Interrupted` for a signal that came
    while the session was being handed over.
    """
    invocation = parse.read(argv)
    if isinstance(invocation, int):
        return invocation
    vet(invocation)
    return go_on(
        invocation, environ, tell=tell, become=become, recorder=recorder, permitted=permitted
    )


def go_on(
    invocation: Invocation,
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], object],
    become: Become,
    recorder: Recorder | None = None,
    config: Config | None = None,
    permitted: Callable[[Config], object] = lambda _config: None,
) -> NoReturn:
    """`start`, from the line that was read on. `config` is None where it is to be loaded."""
    try:
        config = config or configuration.load(environ)
        plugin = find.find(environ, config.plugin_path)
        recorder = recorder or Recorder(config.records, environ, config.permissive)
        recorder.versions.update(awscli=AWSCLI_VERSION, plugin=plugin.version_text)
        examination = authorize(
            invocation,
            config,
            lambda clients: key.opened(invocation, clients, config, environ, tell),
        )
        outcome = _by_local_rules(examination, config.rules)
        caller, look, kept = examination.caller, examination.look, examination.kept
        endpoints = examination.endpoints
        recorded = recorder.decision(caller, look, outcome, kept=kept, endpoints=endpoints)
        _warn(recorded, tell)
        permit = _permit(examination, outcome, config, tell)
        _foretell(examination, plugin, config, tell)
        permitted(config)
        with signals.held() as window:
            started = _send(examination.clients.ssm, permit)
            with _terminated_if_not_taken(examination.clients.ssm, started):
                ready = _handover(examination, plugin, config, started, environ)
                session_id = started.session_id
                problem = recorder.start(caller, started.request, session_id, endpoints)
                # A full pipe must not hold the session open.
                with suppress(signals.TimeLimitExceeded), signals.time_limit(TELL_SECONDS):
                    _warn(problem, tell)
                become(ready, window.check)
    except Exception as error:
        translated = errors.translate(error)
        translated.error_format = translated.error_format or invocation.options.error_format
        if translated is error:
            raise
        raise translated from error


def run_aws_line(
    argv: list[str],
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], object],
    permitted: Callable[[Config], object] = lambda _config: None,
    shim_folder: str,
    real_aws: str,
) -> int:
    """Do what `aws` with `argv` would do, with a session start checked.

    `shim_folder` holds the `aws` that stands before the real one; `real_aws` is that one's path,
    empty if there is none; `aws.path` of the configuration comes before it. Returns and raises as
    `start` does; a line that starts no session becomes the real AWS CLI.
    """
    # Here, as a start by ssmgate's own name needs no more than the parser.
    from ssmgate.gate.argv import passthrough
    from ssmgate.gate.argv.aliases import ExternalAlias, NotAStart, read_line

    line = read_line(argv)
    if isinstance(line, NotAStart):
        configured = configuration.load(environ).aws_path
        passthrough.exec_aws(configured or real_aws, argv, environ)
    if isinstance(line, ExternalAlias):
        passthrough.exec_shell(line.command, shim_folder, environ)
    if isinstance(line, int):
        return line
    return go_on(line, environ, tell=tell, become=Handover.become, permitted=permitted)


def _permit(
    examination: Authorization,
    outcome: Outcome | LocalDenial,
    config: Config,
    tell: Callable[[str], object],
) -> Permit:
    if isinstance(outcome, Permit):
        return outcome
    request = examination.invocation.request
    refusal = messages.explain(outcome, request, examination.caller)
    if not config.permissive:
        raise _explained(refusal, examination)
    tell(f"ssmgate: [WARNING]: {refusal.message}")
    tell("ssmgate: started all the same, as mode is 'permissive'")
    return override(request, outcome)


def _by_local_rules(examination: Authorization, rules: Restrictions) -> Outcome | LocalDenial:
    """The outcome, or what the machine's own rules say against a permit."""
    look, caller = examination.look, examination.caller
    if not isinstance(look.outcome, Permit) or caller is None:
        return look.outcome
    arns = tuple(question.resource_arn for question in look.questions)
    return restrictions.refusal(rules, look.request, arns, caller.account) or look.outcome


def _warn(problem: str, tell: Callable[[str], object]) -> None:
    if problem:
        tell(f"ssmgate: [WARNING]: this could not be recorded: {problem}")


def _explained(refusal: GateError, examination: Authorization) -> GateError:
    """`refusal` with what came close, where policies may be read, in the lines that are left.

    The outcome is certain: whatever happens here, Ctrl-C among it, `refusal` is what is raised.
    """
    left = MAX_LINES - 1 - len(refusal.notes) - len(refusal.hints)
    if left <= 0 or not isinstance(examination.outcome, Denial):
        return refusal
    try:
        # Only here: an allowed start never loads it.
        from ssmgate.explain.summary import summary

        refusal.notes += summary(examination, EXPLAIN_SECONDS)[:left]
    except (Exception, KeyboardInterrupt, signals.TimeLimitExceeded):  # noqa: S110 - it explains, no more
        pass
    return refusal


def _send(ssm: Any, permit: Permit) -> StartedSession:
    try:
        return start_session(ssm, permit)
    except ServiceFailed as failed:
        if failed.error_code == "AccessDeniedException" and permit.overridden is None:
            failed.notes += messages.BEYOND_SIMULATION
        raise


def _foretell(
    examination: Authorization, plugin: Plugin, config: Config, tell: Callable[[str], object]
) -> None:
    """Print the warnings about endpoints and about the plugin, which may fail without a reason.

    Afterwards a reader that is slow would hold a session. The CLI prints its own warning, about
    an outdated plugin, after the start.
    """
    if warning := plugin.warning:
        tell(warning)
    home, endpoints = examination.clients.home, examination.endpoints
    if endpoints and home and (warning := not_at_aws(endpoints, home)):
        tell(f"ssmgate: [WARNING]: {warning}")
    only_here = examination.clients.credentials.only_here
    if only_here and plugin.signs_channel and not config.pass_credentials:
        tell(
            "ssmgate: [WARNING]: session-manager-plugin looks for credentials of its own, and may"
            f" not find those of {only_here}"
        )
        tell(
            f"ssmgate: hint: plugin.pass_credentials = true in {messages.CONFIG_FILE}"
            " passes them to it"
        )


def _handover(
    examination: Authorization,
    plugin: Plugin,
    config: Config,
    started: StartedSession,
    environ: Mapping[str, str],
) -> Handover:
    ssm = examination.clients.ssm
    return handover(
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
        credentials=(
            examination.clients.credentials.for_environment() if config.pass_credentials else None
        ),
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
