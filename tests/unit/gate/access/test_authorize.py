"""The way to the decision: when cached answers are used, and when AWS is called."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ssmgate.gate.access import authorize, refine
from ssmgate.gate.cache.entry import CacheEntry, Timestamp
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.controls import controls_of
from ssmgate.gate.decision.decision import Denial, Permit, SimulationAttempt, Unknown, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation, MatchedStatement
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.system import signals

ALICE = "arn:aws:iam::111122223333:user/alice"
CALLER = Caller("111122223333", ALICE, ALICE, "AIDA", "User", "aws")
ARN = "arn:aws:ssm:us-east-1:111122223333:document/Dev-Shell"
REQUEST = SessionRequest("i-1", "Dev-Shell")
QUESTION = Question.about(CALLER, ARN, region="us-east-1", secure_transport=True, mfa_done=False)
ALLOW = Evaluation(ARN, EvalDecision.ALLOWED)
DENY = Evaluation(ARN, EvalDecision.IMPLICIT_DENY)
ENDPOINTS = Endpoints("https://sts", "https://iam", "https://ssm")
CACHED = CacheEntry(
    CALLER, Timestamp(0, 0), (QUESTION,), (ALLOW,), (), replace(ENDPOINTS, sts="https://then")
)

INVOCATION: Any = SimpleNamespace(
    request=REQUEST, session="session", options="options", mfa=SimpleNamespace(done=False)
)
CLIENTS: Any = SimpleNamespace(
    sts="sts",
    iam="iam",
    partition="aws",
    region="us-east-1",
    secure_transport=True,
    endpoints=ENDPOINTS,
    resolve_checker=lambda: None,
    credentials=SimpleNamespace(session_token="t"),
)


class Cache:
    """A stub of `CachedAuthorization`: its consecutive results, and the calls."""

    def __init__(self, *found: CacheEntry | Exception | None, waited: bool = False) -> None:
        self._found = list(found)
        self._turn = SimpleNamespace(waited=waited, mark_failed=lambda: self.calls.append("failed"))
        self.known: Caller | None = None
        self.stores = True
        self.calls: list[object] = []

    def permit(self) -> CacheEntry | None:
        self.calls.append("permit")
        found = self._found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    @contextlib.contextmanager
    def single_flight(self) -> Iterator[Any]:
        yield self._turn

    def begin(self) -> Caller | None:
        return self.known

    def store(self, caller: Caller | None, attempt: SimulationAttempt, first: object) -> bool:
        self.calls.append((caller, attempt.decision, first))
        return self.stores


class Aws:
    """A stub of STS and IAM: the caller, and the answers."""

    def __init__(self) -> None:
        self.who: Caller | Unknown = CALLER
        self.evaluations: tuple[Evaluation, ...] = (ALLOW,)
        self.asked: list[str] = []
        self.slow = ""

    def identify(self, sts: Any, iam: Any, partition: str) -> Caller | Unknown:
        assert (sts, iam, partition) == ("sts", "iam", "aws")
        self._call("identity")
        return self.who

    def simulate(
        self, iam: Any, requests: Any, allow_wildcard_grants: bool
    ) -> list[SimulationAttempt]:
        assert iam == "iam"
        self._call("first")
        ((request, questions),) = requests
        decision = decide(
            request, questions, self.evaluations, allow_wildcard_grants=allow_wildcard_grants
        )
        return [SimulationAttempt(request, questions, self.evaluations, decision)]

    def resimulate(
        self,
        clients: Any,
        caller: Caller,
        first: list[SimulationAttempt],
        allow_wildcard_grants: bool,
    ) -> list[SimulationAttempt]:
        assert (clients, caller) == (CLIENTS, CALLER)
        self._call(f"second {allow_wildcard_grants}")
        return first

    def out_of_time(
        self, clients: Any, caller: Caller, first: SimulationAttempt
    ) -> SimulationAttempt:
        assert (clients, caller, first.evaluations) == (CLIENTS, CALLER, self.evaluations)
        return replace(first, decision=Unknown(Reason.TAGS_UNKNOWN, "no time"))

    def _call(self, what: str) -> None:
        self.asked.append(what)
        if what.startswith(self.slow or "-"):
            raise signals.TimeLimitExceeded


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    aws = Aws()
    monkeypatch.setattr(authorize.identity, "identify", aws.identify)
    monkeypatch.setattr(authorize.evaluate, "simulate_requests", aws.simulate)
    monkeypatch.setattr(refine, "resimulate", aws.resimulate)
    monkeypatch.setattr(refine, "out_of_time", aws.out_of_time)
    return aws


def authorized(cache: Any, config: Config | None = None) -> authorize.Authorization:
    return authorize.authorize(INVOCATION, CLIENTS, config or Config(), cache)


def test_cached_answer_to_same_questions_permits(aws: Aws) -> None:
    examined = authorized(Cache(CACHED))

    assert examined.decision == Permit(REQUEST)
    assert (examined.cached_at, examined.caller, aws.asked) == (CACHED.created_at.wall, CALLER, [])
    assert examined.attempt == SimulationAttempt(REQUEST, (QUESTION,), (ALLOW,), Permit(REQUEST))
    assert examined.endpoints == CACHED.endpoints


NAMES = MatchedStatement("user_alice_A", "IAM Policy", (3, 5), (9, 6))
CONTROLS = tuple(
    Evaluation(control.resource_arn, EvalDecision.IMPLICIT_DENY)
    for control in controls_of(QUESTION)
)


def test_cached_answer_without_controls_does_not_permit_under_explicit_grant_rule(aws: Aws) -> None:
    named = Config(allow_wildcard_grants=False)
    cached = replace(CACHED, evaluations=(replace(ALLOW, matched_statements=(NAMES,)),))

    assert authorized(Cache(cached), named).cached_at is None
    assert authorized(Cache(replace(cached, controls=CONTROLS[1:])), named).cached_at is None
    examined = authorized(Cache(replace(cached, controls=CONTROLS)), named)
    assert (examined.cached_at, examined.attempt.controls) == (cached.created_at.wall, CONTROLS)


TAG = ContextEntry("ssm:resourceTag/Team", "string", ("ops",))


@pytest.mark.parametrize(
    "cached",
    [
        pytest.param(None, id="nothing"),
        pytest.param(OSError("no directory"), id="an error"),
        pytest.param(replace(CACHED, evaluations=(DENY,)), id="a denial"),
        pytest.param(replace(CACHED, evaluations=()), id="no answer"),
        pytest.param(replace(CACHED, questions=()), id="no question"),
        pytest.param(
            replace(CACHED, questions=(replace(QUESTION, context=(*QUESTION.context, TAG)),)),
            id="another context",
        ),
        pytest.param(
            replace(CACHED, questions=(replace(QUESTION, action="ssm:ResumeSession"),)),
            id="another action",
        ),
        pytest.param(replace(CACHED, questions=(QUESTION, QUESTION)), id="one question too many"),
        pytest.param(replace(CACHED, caller=replace(CALLER, user_id="AIDB")), id="another caller"),
    ],
)
def test_simulates_unless_cached_answer_has_same_questions(
    aws: Aws, cached: CacheEntry | Exception | None
) -> None:
    aws.evaluations = (DENY,)
    cache = Cache(cached)

    examined = authorized(cache)

    assert isinstance(examined.decision, Denial)
    assert (examined.cached_at, aws.asked) == (None, ["identity", "first", "second True"])
    assert cache.calls == ["permit", (CALLER, examined.decision, (QUESTION,))]


def test_waiting_process_uses_answer_of_leader(aws: Aws) -> None:
    examined = authorized(Cache(None, CACHED, waited=True))

    assert (examined.cached_at, aws.asked) == (CACHED.created_at.wall, [])
    assert examined.decision == Permit(REQUEST)


def test_waiting_process_simulates_without_answer_of_leader(aws: Aws) -> None:
    examined = authorized(Cache(None, None, waited=True))

    assert (examined.cached_at, examined.decision) == (None, Permit(REQUEST))
    assert examined.endpoints == ENDPOINTS
    assert aws.asked == ["identity", "first"]


def test_marks_flight_as_failed_if_answer_is_not_cached(aws: Aws) -> None:
    cache = Cache(None)
    cache.stores = False

    authorized(cache)

    assert cache.calls[-1] == "failed"


def test_does_not_look_up_cached_caller(aws: Aws) -> None:
    cache = Cache(None)
    cache.known = CALLER

    assert authorized(cache).caller == CALLER
    assert aws.asked == ["first"]


def test_simulates_without_cache(aws: Aws) -> None:
    assert authorized(None).decision == Permit(REQUEST)
    assert aws.asked == ["identity", "first"]
    assert authorized(None).endpoints == ENDPOINTS
    assert "clients=" not in repr(authorized(None)), "they hold the credentials"


def test_resolves_checker_before_lock_and_time_limit(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Locked(Cache):
        def single_flight(self) -> Any:
            aws.asked.append("lock")
            return super().single_flight()

    monkeypatch.setattr(CLIENTS, "resolve_checker", lambda: aws.asked.append("checker"))

    authorized(Locked(CACHED))
    assert aws.asked == []
    authorized(Locked(None))
    assert aws.asked == ["checker", "lock", "identity", "first"]
    aws.asked.clear()
    authorized(None)
    assert aws.asked == ["checker", "identity", "first"]


def test_unknown_caller_is_unknown(aws: Aws) -> None:
    aws.who = Unknown(Reason.ROOT, "the root user has no policies")
    cache = Cache(None)

    examined = authorized(cache)

    assert (examined.caller, examined.decision) == (None, aws.who)
    assert aws.asked == ["identity"]
    assert cache.calls == ["permit", (None, aws.who, ())]


@pytest.mark.parametrize("slow", ["identity", "first"])
def test_late_answer_is_unknown(aws: Aws, slow: str) -> None:
    aws.slow = slow

    decision = authorized(None).decision

    assert isinstance(decision, Unknown)
    assert (decision.reason_code, decision.reason) == (
        Reason.TIMED_OUT,
        "STS and IAM took longer than 45 s",
    )


def test_second_simulation_that_times_out_is_not_allow(aws: Aws) -> None:
    aws.slow = "second"
    aws.evaluations = (DENY,)

    assert authorized(None).decision == Unknown(Reason.TAGS_UNKNOWN, "no time")


def test_each_question_has_configured_context_and_mfa(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(INVOCATION.mfa, "done", True)
    address = ContextEntry("aws:SourceIp", "ip", ("203.0.113.1",))
    config = Config(context=(address,), allow_wildcard_grants=False)

    examined = authorized(None, config)

    (question,) = examined.attempt.questions
    assert question == Question.about(
        CALLER, ARN, region="us-east-1", secure_transport=True, mfa_done=True, configured=(address,)
    )
    assert aws.asked[-1] == "second False"
