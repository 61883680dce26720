"""The story of a checked start, from the words typed to the plugin that takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from ssmgate.aws import arguments, failures, identity, second_look, simulation
from ssmgate.aws.arguments import Invocation
from ssmgate.aws.clients import Clients, open_clients
from ssmgate.aws.second_look import FirstLook
from ssmgate.aws.start_session import StartedSession, start_session, terminate_session
from ssmgate.core import wording
from ssmgate.core.arn import document_arns
from ssmgate.core.decision import CannotTell, Outcome, Permit, decide, override
from ssmgate.core.evaluation import Evaluation
from ssmgate.core.question import Caller, Question
from ssmgate.host import config as configuration
from ssmgate.host import plugin as plugins
from ssmgate.host import signals, terminal
from ssmgate.host.config import Config
from ssmgate.host.plugin import Handover, Plugin

CHECK_SECONDS = 45
"""How long STS and IAM may take altogether before the answer is no."""

SECOND_LOOK_SECONDS = 15
"""How long it may take to look into a denial before it stands as it is."""


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything up to the decision, and the decision. Nothing has been started."""

    invocation: Invocation
    plugin: Plugin
    clients: Clients = field(repr=False)
    caller: Caller | None
    outcome: Outcome


def examine(invocation: Invocation, environ: Mapping[str, str], config: Config) -> Examination:
    """Decide whether `invocation` may start its session. Starts nothing.

    `environ` is the caller's environment, as it was before awscli added to it. Raises
    `GateError` where the machine or its configuration stands in the way; what AWS says, or
    fails to say, is the outcome.
    """
    plugin = plugins.find(environ)
    clients = open_clients(invocation, config.checker)
    caller, outcome = _ask(invocation, clients, config)
    return Examination(invocation, plugin, clients, caller, outcome)


def _ask(invocation: Invocation, clients: Clients, config: Config) -> tuple[Caller | None, Outcome]:
    caller: Caller | None = None
    try:
        with signals.time_limit(CHECK_SECONDS):
            who = identity.identify(clients.sts, clients.iam, clients.partition)
            if isinstance(who, CannotTell):
                return None, who
            caller = who
            first = _question_iam(invocation, clients, caller, config)
    except signals.OutOfTime:
        late = CannotTell("timed-out", f"STS and IAM took longer than {CHECK_SECONDS} s")
        return caller, late
    try:
        with signals.time_limit(SECOND_LOOK_SECONDS):
            return caller, second_look.look_again(clients, caller, first)
    except signals.OutOfTime:
        return caller, first.outcome


def _question_iam(
    invocation: Invocation, clients: Clients, caller: Caller, config: Config
) -> FirstLook:
    questions = tuple(
        Question.about(
            caller,
            document_arn,
            region=clients.region,
            secure_transport=clients.secure_transport,
            mfa_done=invocation.mfa.done,
            configured=config.context,
        )
        for document_arn in document_arns(
            invocation.request.document_name,
            partition=clients.partition,
            region=clients.region,
            account=caller.account,
        )
    )
    evaluations: tuple[Evaluation, ...] = ()
    for question in questions:
        answer = simulation.simulate(clients.iam, question, datetime.now(UTC))
        if isinstance(answer, CannotTell):
            return FirstLook(invocation.request, questions, evaluations, answer)
        evaluations += answer
    outcome = decide(invocation.request, questions, evaluations)
    return FirstLook(invocation.request, questions, evaluations, outcome)


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
    return _start(invocation, environ, tell, become)


def _start(
    invocation: Invocation,
    environ: Mapping[str, str],
    tell: Callable[[str], object],
    become: Callable[[Handover], NoReturn],
) -> NoReturn:
    try:
        config = configuration.load(environ)
        examination = examine(invocation, environ, config)
        permit = _permit(examination, config, tell)
        _foretell(examination, config, tell)
        with signals.held() as window:
            started = start_session(examination.clients.ssm, permit)
            with _terminated_if_not_taken(examination.clients.ssm, started):
                if warning := examination.plugin.warning:
                    tell(warning)
                handover = _handover(examination, config, started, environ)
                window.check()
                become(handover)
    except Exception as error:
        translated = failures.translate(error)
        translated.error_format = translated.error_format or invocation.options.error_format
        if translated is error:
            raise
        raise translated from error


def go_through(
    argv: list[str],
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], object],
    shim_folder: str,
    real_aws: str,
) -> int:
    """Do what `aws` with `argv` would do, with a session start checked.

    `shim_folder` holds the `aws` that stands before the real one; `real_aws` is that one's path,
    empty if there is none; `aws.path` of the configuration comes before it. Returns and raises as
    `start` does; a line that starts no session becomes the real AWS CLI.
    """
    # Here, as a start by ssmgate's own name needs no more than the parser.
    from ssmgate.aws.command_line import ExternalAlias, NotAStart, read_line
    from ssmgate.host import elsewhere

    line = read_line(argv)
    if isinstance(line, NotAStart):
        configured = configuration.load(environ).aws_path
        elsewhere.become_aws(configured or real_aws, argv, environ)
    if isinstance(line, ExternalAlias):
        elsewhere.become_shell(line.command, shim_folder, environ)
    if isinstance(line, int):
        return line
    return _start(line, environ, tell, Handover.become)


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


def _foretell(examination: Examination, config: Config, tell: Callable[[str], object]) -> None:
    """Say before the start what the plugin will otherwise fail of without saying why."""
    only_here = examination.clients.credentials.only_here
    if only_here and examination.plugin.signs_channel and not config.resolved_credentials:
        tell(
            "ssmgate: [WARNING]: session-manager-plugin looks for credentials of its own, and may"
            f" not find those of {only_here}"
        )
        tell(
            f'ssmgate: hint: plugin.credentials = "resolved" in {wording.CONFIG_FILE} hands them on'
        )


def _handover(
    examination: Examination,
    config: Config,
    started: StartedSession,
    environ: Mapping[str, str],
) -> Handover:
    ssm = examination.clients.ssm
    handover = plugins.handover(
        examination.plugin,
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
            examination.clients.credentials.for_environment()
            if config.resolved_credentials
            else None
        ),
    )
    return terminal.kept(handover) if terminal.is_ours() else handover


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
