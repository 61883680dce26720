"""Check the way to AWS and what the caller may do there. Calls services, and starts nothing."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ssmgate.doctor import access, credentials, network
from ssmgate.doctor.calls import OutOfTimeError, Step, Watched
from ssmgate.doctor.lines import IMAGINARY_TARGET, NAMES, Lines, StopError
from ssmgate.doctor.results import State, not_checked, problem
from ssmgate.explain import session_documents
from ssmgate.explain.target import TargetAttempt, simulate_target
from ssmgate.gate.access.documents import authorize_documents
from ssmgate.gate.access.questions import QuestionBuilder
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import errors
from ssmgate.gate.aws.asking_session import DIAGNOSE, only_ask
from ssmgate.gate.aws.clients import Clients, Credentials, open_clients
from ssmgate.gate.aws.endpoints import create_asking, url_of
from ssmgate.gate.aws.identity import identify
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.arn import document_arns
from ssmgate.gate.decision.decision import Unknown
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import DEFAULT_DOCUMENT_NAME
from ssmgate.gate.plugin.find import Plugin

T = TypeVar("T")

SECONDS = 15
"""Time limit for everything, without the time in which a person types an MFA code."""

# How long before that the credentials and the caller have to be known.
_CREDENTIALS_BEFORE = 8
_CALLER_BEFORE = 4


def look(
    invocation: Invocation,
    config: Config,
    environ: Mapping[str, str],
    *,
    broken: str,
    plugin: Callable[[], Plugin | None],
) -> tuple[Lines, str | None]:
    """Return the lines, and `only_here` of the credentials, None if there are none.

    `broken` is the name of a line without which no call can succeed, empty if there is none.
    `plugin` waits for the
    plugin that was found. Takes at most `SECONDS`.
    """
    lines = Lines()
    only_here = None
    until = time.monotonic() + SECONDS
    try:
        region = credentials.region(invocation, lines)
        lines.stop_if(broken)
        found, prompted = credentials.resolve(invocation, lines, until - _CREDENTIALS_BEFORE)
        until += prompted
        only_here = found.only_here
        connected = _connect(invocation, config, region, found, lines, until)
        lines.require(network.endpoints(connected.endpoints, connected.clients.home, environ))
        _call(connected, invocation, config, environ, lines, until, plugin=plugin)
    except StopError as stopped:
        lines.fill(NAMES, stopped.because)
    return lines, only_here


@dataclass(frozen=True, slots=True)
class _Connected:
    """The clients of one report: for single, short calls, which are noted.

    `iam` is None if the checker, whose credentials it needs, cannot be used.
    """

    clients: Clients
    credentials: Credentials
    sts: Watched
    iam: Watched | None
    ssm: Watched

    @property
    def endpoints(self) -> Endpoints:
        """Return where the clients send their requests."""
        return Endpoints(*(url_of(c) for c in (self.sts, self.iam or self.sts, self.ssm)))


class _NoClient:
    """Has no operation: each call fails."""


def _connect(
    invocation: Invocation,
    config: Config,
    region: str,
    found: Credentials,
    lines: Lines,
    until: float,
) -> _Connected:
    """Return the clients. Adds lines about what prevents that, and raises `StopError`."""
    session, options = invocation.session, invocation.options
    only_ask(session)
    common: dict[str, Any] = {
        "region_name": region,
        "verify": options.verify,
        "config": DIAGNOSE,
    }
    frozen: dict[str, Any] = found.for_client()
    try:
        made = open_clients(session, options, config)
        sts = Watched(create_asking(session, "sts", **common, **frozen))
        make: Any = made.another
        another = partial(make, config=DIAGNOSE)
        ssm = Watched(another("ssm", endpoint_url=options.endpoint_url))
        iam: Watched | None = Watched(create_asking(session, "iam", **common, **frozen))
    except Exception as error:
        text = errors.translate(error).message
        lines.add(problem("endpoints", text, "env | grep -i endpoint_url"))
        raise StopError("endpoints") from error

    if config.checker is not None:
        iam = _checkers_iam(made, config, (session, frozen), common, lines, until)
    asking = iam or _NoClient()
    clients = replace(made, ssm=ssm, another=another, asking=lambda: (sts, asking))
    return _Connected(clients, found, sts, iam, ssm)


def _checkers_iam(
    made: Any,
    config: Config,
    own: tuple[Any, dict[str, Any]],
    common: dict[str, Any],
    lines: Lines,
    until: float,
) -> Watched | None:
    """Return the client for IAM with the checker's credentials, None if there are none.

    `own` is the caller's session and credentials. Adds a line about what prevents it.
    """
    from ssmgate.gate.aws import checker

    def open_iam() -> Any:
        session, keys = made.resolve_checker() or own
        return checker.open_iam(config, session, keys, made.home, common)

    try:
        return Watched(Step(open_iam).result(until - _CREDENTIALS_BEFORE))
    except Exception as error:
        text = "took too long" if isinstance(error, OutOfTimeError) else _message(error)
        fix = "ssmgate config show --origin"
        lines.add(problem("simulation", f"credentials of the checker: {text}", fix))
        return None


def _message(error: Exception) -> str:
    return errors.translate(error).message


def _call(
    connected: _Connected,
    invocation: Invocation,
    config: Config,
    environ: Mapping[str, str],
    lines: Lines,
    until: float,
    *,
    plugin: Callable[[], Plugin | None],
) -> None:
    """Add the lines about the services and about access."""
    clients = connected.clients
    content = Step(partial(session_documents.content, clients.ssm, DEFAULT_DOCUMENT_NAME))
    identity = Step(partial(identify, clients.sts, clients.iam, clients.partition))
    who = _result(identity, until - _CALLER_BEFORE, _same)
    asked = None
    if isinstance(who, Caller) and connected.iam is not None and not _unreachable(connected.iam):
        builder = QuestionBuilder.live(who, invocation, clients, config)
        asked = _Asked(clients, builder, connected.iam, invocation, config, plugin=plugin)
    outcome = None if asked is None else _result(asked.document, until, _same)
    document = _result(content, until, lambda _: None)
    _services(connected, environ, lines)
    caller = _caller(who, connected, invocation, lines)
    (arn,) = document_arns(
        None, partition=clients.partition, region=clients.region, account=caller.account
    )
    if (call := connected.ssm.outcome()) is not None:
        lines.add(access.default_document(call, document, arn))
    if connected.iam is not None:
        lines.add(access.role_path(caller, connected.iam.calls))
    lines.stop_if("IAM" if lines.is_problem("IAM") else "")
    if asked is None or outcome is None:
        raise StopError("simulation")
    lines.add(access.simulation(outcome, caller))
    lines.stop_if("" if lines.results["simulation"].state is State.OK else "simulation")
    lines.add(access.document_access(outcome, asked.command))
    check = _result(asked.check, until, TargetAttempt)
    lines.add(access.document_check(check, target=asked.target))
    for name, step in (("data channel", asked.channel), ("termination", asked.termination)):
        lines.add(_result(step, until, partial(access.not_simulated, name)))


def _result(step: Step[T], until: float, instead: Callable[[Unknown], T]) -> T:
    """Return the result of `step`, or that of `instead` for why there is none."""
    try:
        return step.result(until)
    except OutOfTimeError:
        return instead(Unknown(Reason.TIMED_OUT, "AWS took too long"))
    except Exception as error:  # no answer may end the report
        why = f"AWS's answer cannot be read ({type(error).__name__})"
        return instead(Unknown(Reason.UNREADABLE, why))


def _same(why: Unknown) -> Any:
    return why


def _unreachable(client: Watched) -> bool:
    call = client.outcome()
    return call is not None and call.obstacle() is not None


class _Asked:
    """The simulations for one caller, which run at the same time."""

    def __init__(
        self,
        clients: Clients,
        builder: QuestionBuilder,
        iam: Any,
        invocation: Invocation,
        config: Config,
        *,
        plugin: Callable[[], Plugin | None],
    ) -> None:
        target = invocation.request.target
        self.target = None if target == IMAGINARY_TARGET else target
        self.command = "ssmgate documents"
        if self.target is not None:
            self.command = f"ssmgate check --request --target {shlex.quote(target)}"

        def authorize() -> Any:
            names, wildcards = [DEFAULT_DOCUMENT_NAME], config.allow_wildcard_grants
            (attempt,) = authorize_documents(clients, builder, names, wildcards, most_tagged=1)
            return attempt.decision

        def check() -> TargetAttempt:
            if self.target is None:
                return access.imaginary_target(iam, builder, target)
            return simulate_target(clients, builder, target, None)

        self.document = Step(authorize)
        self.check = Step(check)
        self.channel = Step(partial(access.data_channel, iam, builder, plugin))
        self.termination = Step(partial(access.termination, iam, builder))


def _services(connected: _Connected, environ: Mapping[str, str], lines: Lines) -> None:
    """Add the lines about the three services and the clock."""
    proxy = bool(environ.get("HTTPS_PROXY") or environ.get("https_proxy"))
    dates: list[tuple[float, str]] = []
    for name, client in (("STS", connected.sts), ("IAM", connected.iam), ("SSM", connected.ssm)):
        call = None if client is None else client.outcome()
        if client is not None and call is not None:
            url, why = url_of(client), call.obstacle()
            dates += client.dates()
            lines.add(network.reached(name, url, call.elapsed(), why, proxy=proxy))
        elif client is None:
            lines.add(not_checked(name, "simulation"))
    lines.add(network.clock(dates))


def _caller(
    who: Caller | Unknown, connected: _Connected, invocation: Invocation, lines: Lines
) -> Caller:
    """Add the line about the credentials, and return the caller. Raises `StopError`."""
    session = invocation.session
    if isinstance(who, Caller):
        lines.add(credentials.valid(who, connected.credentials, session))
        return who
    for because in ("STS", "clock"):
        if lines.is_problem(because):
            raise StopError(because)
    text = f"{who.reason} (from {session.get_credentials().method})"
    if who.reason_code in (Reason.ROOT, Reason.FEDERATED_USER, Reason.IDENTITY):
        text = f"{who.reason}: use an IAM user or role"
    lines.require(problem("credentials", text, credentials.login_command(session)))
    raise AssertionError("it is a problem")
