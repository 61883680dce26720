"""What a cached answer depends on, and that a permit never outlives its question.

The question and the answering service are stubs here, all between them is real.
"""

from __future__ import annotations

import time
import urllib.request
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.examples import examples
from ssmgate.gate.access import authorize
from ssmgate.gate.aws.clients import Credentials
from ssmgate.gate.cache import entry, key
from ssmgate.gate.cache.cached_authorization import CachedAuthorization, open_cache
from ssmgate.gate.cache.entry import Timestamp
from ssmgate.gate.config.load import Checker, Config, Login, Records
from ssmgate.gate.decision.decision import Permit, SimulationAttempt, decide
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.evaluation import EvalDecision, Evaluation
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.request import SessionRequest
from ssmgate.gate.decision.restrictions import Restrictions

DEFAULT = "SSM-SessionManagerRunShell"
ENDPOINTS = Endpoints("https://sts", "https://iam", "https://ssm")
CREDENTIALS = Credentials("AKIA", "secret", "token")


def answers_of(home: Path | str, **changes: Any) -> CachedAuthorization | None:
    """Return the cache of a usual start with `changes`."""
    request = changes.get("request", SessionRequest("i-1"))
    options = {"region": None, "profile": None, "endpoint_url": None, "verify": None}
    invocation: Any = SimpleNamespace(
        request=request,
        options=SimpleNamespace(**{**options, **changes.get("options", {})}),
        session=SimpleNamespace(full_config=changes.get("aws", {"profiles": {}})),
        mfa=SimpleNamespace(done=changes.get("mfa", False)),
    )
    clients: Any = SimpleNamespace(
        ssm=SimpleNamespace(meta=SimpleNamespace(endpoint_url=changes.get("ssm", "https://ssm"))),
        partition=changes.get("partition", "aws"),
        region=changes.get("region", "us-east-1"),
        credentials=changes.get("credentials", CREDENTIALS),
        endpoints=changes.get("endpoints", ENDPOINTS),
    )
    environ = {"HOME": str(home), **changes.get("environ", {})}
    return open_cache(invocation, clients, changes.get("config", Config()), environ, print)


def entry_name(home: Path, **changes: Any) -> str:
    found = answers_of(home, **changes)
    assert found is not None
    return found._permit_key.name


CONFIGURED = {
    "permissive": True,
    "on_unknown": "service",
    "allow_wildcard_grants": False,
    "aws_path": "/aws",
    "checker": Checker(role_arn="arn:aws:iam::1:role/r"),
    "context": (ContextEntry("aws:SourceIp", "ip", ("10.0.0.1",)),),
    "pass_credentials": True,
    "plugin_path": "/plugin",
    "rules": Restrictions(documents_deny=("x",)),
    "records": Records(required=True),
    "cache_ttl": 59,
    "daemon": "off",
    "login": Login(options=("region",)),
    "locked": None,  # nothing is cached there
    "allowed_endpoints": ("https://iam.example:443",),
}


@pytest.mark.parametrize("name", [one.name for one in fields(Config)])
def test_each_configuration_key_is_classified(tmp_path: Path, name: str) -> None:
    """Add a row for each new key."""
    if CONFIGURED[name] is not None:
        config = replace(Config(), **{name: CONFIGURED[name]})
        assert entry_name(tmp_path, config=config) != entry_name(tmp_path)


PROFILE = {"profiles": {"default": {"region": "us-east-1"}}}


@pytest.mark.parametrize(
    ("one", "another"),
    [
        pytest.param({}, {"credentials": replace(CREDENTIALS, access_key_id="X")}, id="key id"),
        pytest.param({}, {"credentials": replace(CREDENTIALS, secret_access_key="x")}, id="key"),
        pytest.param({}, {"credentials": replace(CREDENTIALS, session_token="x")}, id="token"),
        pytest.param({}, {"credentials": replace(CREDENTIALS, session_token=None)}, id="no token"),
        pytest.param({}, {"partition": "aws-cn"}, id="partition"),
        pytest.param({}, {"region": "eu-west-1"}, id="region"),
        pytest.param({}, {"ssm": "http://ssm"}, id="TLS"),
        pytest.param({}, {"mfa": True}, id="MFA"),
        pytest.param({}, {"request": SessionRequest("i-1", "Other")}, id="document"),
        pytest.param({}, {"request": SessionRequest("i-1", DEFAULT)}, id="the default by its name"),
        pytest.param({}, {"options": {"verify": False}}, id="--no-verify-ssl"),
        pytest.param({}, {"options": {"verify": "/ca"}}, id="--ca-bundle"),
        pytest.param({}, {"options": {"region": "us-east-1"}}, id="--region"),
        pytest.param({}, {"options": {"profile": "p"}}, id="--profile"),
        pytest.param({}, {"options": {"endpoint_url": "https://ssm"}}, id="--endpoint-url"),
        pytest.param({}, {"aws": PROFILE}, id="AWS configuration"),
        pytest.param(
            {"environ": {"AWS_X": "a"}}, {"environ": {"AWS_X": "b"}}, id="an AWS variable"
        ),
        pytest.param(
            {"environ": {"AWS_A": "1,AWS_B"}}, {"environ": {"AWS_A": "1", "AWS_B": ""}},
            id="one variable or two",
        ),
        pytest.param(
            {"options": {"region": "x"}}, {"options": {"profile": "x"}}, id="another option"
        ),
        *(
            pytest.param({}, {"environ": {name: "x"}}, id=name)
            for name in (*key._VARIABLES, "https_proxy", "ALL_PROXY", "no_proxy")
            if name != "HOME"
        ),
        pytest.param(
            {"config": Config(context=(ContextEntry("aws:SourceIp", "ip", ("1", "2")),))},
            {"config": Config(context=(ContextEntry("aws:SourceIp", "ip", ("2", "1")),))},
            id="order of context",
        ),
        pytest.param(
            {"config": Config(context=(ContextEntry("a:key", "numeric", ("1",)),))},
            {"config": Config(context=(ContextEntry("a:key", "string", ("1",)),))},
            id="type of context",
        ),
        pytest.param(
            {"config": Config(checker=Checker("p"))},
            {"config": Config(checker=Checker(role_arn="p"))},
            id="the checker's profile or role",
        ),
    ],
)  # fmt: skip
def test_key_contains_dependencies_of_answer(tmp_path: Path, one: Any, another: Any) -> None:
    assert entry_name(tmp_path, **one) != entry_name(tmp_path, **another)
    assert entry_name(tmp_path, **one) == entry_name(tmp_path, **one)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("ssmgate.gate.cache.key.__version__", "0"),
        ("ssmgate.gate.cache.key.AWSCLI_VERSION", "0"),
        ("ssmgate.gate.cache.key.BOTOCORE_VERSION", "0"),
        ("os.getuid", lambda: 12345),
        ("os.geteuid", lambda: 12345),
        ("ssmgate.gate.cache.key.boot_id", lambda: "another, or this one before it was started"),
        ("urllib.request.getproxies", lambda: {"https": "http://proxy.of.the.system"}),
    ],
)
def test_key_contains_process_state(tmp_path: Path, place: str, value: object) -> None:
    before = entry_name(tmp_path)
    with mock.patch(place, value):
        assert entry_name(tmp_path) != before


def test_key_contains_proxy_exceptions_of_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = entry_name(tmp_path)
    settings = {"exclude_simple": True, "exceptions": ["*.local"]}
    monkeypatch.setattr(urllib.request, "_get_proxy_settings", lambda: settings, raising=False)
    assert entry_name(tmp_path) != before


@pytest.mark.parametrize(
    "request_", [SessionRequest("i-2"), SessionRequest("i-1", reason="r")], ids=["target", "reason"]
)
def test_key_omits_irrelevant_values(tmp_path: Path, request_: SessionRequest) -> None:
    assert entry_name(tmp_path, request=request_) == entry_name(tmp_path)
    assert entry_name(tmp_path, environ={"PWD": "/"}) == entry_name(tmp_path)


def test_cache_is_unavailable_in_these_cases(tmp_path: Path) -> None:
    assert answers_of(tmp_path) is not None
    assert answers_of(tmp_path, config=Config(locked=frozenset({"mode"}))) is None
    assert answers_of(tmp_path, config=Config(cache_ttl=0)) is None
    assert answers_of("relative") is None
    assert answers_of("") is None
    assert answers_of(tmp_path, aws={"profiles": {"default": object()}}) is None
    assert answers_of(tmp_path, aws={"profiles": {"default": {"x": b"?"}}}) is None


def permitted(home: Path) -> tuple[Caller, SimulationAttempt, tuple[Question, ...]]:
    caller = Caller("1", "arn:a", "arn:a", "AIDA", "User", "aws")
    questions = (Question("arn:a", "arn:d", ()),)
    request = SessionRequest("i-1")
    return caller, SimulationAttempt(request, questions, (), Permit(request)), questions


def test_expired_credentials_have_no_cached_answers(tmp_path: Path) -> None:
    found = answers_of(tmp_path)
    assert found
    found.begin()
    assert found.store(*permitted(tmp_path))

    for ends_in, known in ((100, True), (-1, False)):
        ending = replace(CREDENTIALS, expires_at=time.time() + ends_in)
        there = answers_of(tmp_path, credentials=ending)
        assert there
        assert (there.permit() is not None) is known
        assert (there.begin() is not None) is known


def test_ttl_begins_with_request_and_not_with_answer(tmp_path: Path) -> None:
    """Also where the caller was looked up earlier, and however often that is used."""
    clock = {"now": 1000.0}

    def now() -> Timestamp:
        return Timestamp(1_700_000_000 + clock["now"], clock["now"])

    def start() -> bool:
        """Return whether the caller was known."""
        found = answers_of(tmp_path)
        assert found
        known = found.begin() is not None
        clock["now"] += 20  # AWS takes its time
        found.store(*permitted(tmp_path))
        return known

    with mock.patch.object(entry, "now", now):
        assert not start()
        found = answers_of(tmp_path)
        assert found
        clock["now"] = 1055
        assert found.permit()
        assert start()
        assert found.permit() is None
        assert not start()
        assert found.permit()


def test_reports_entry_that_was_not_stored(tmp_path: Path) -> None:
    """Waiting processes have to know."""
    found = answers_of(tmp_path / "nothing" / "there")
    assert found
    found.begin()

    assert found.store(*permitted(tmp_path)) is False


# Interleavings


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """Generate `usual` in most cases: otherwise few steps would share a question."""
    return st.sampled_from([usual] * 3 * len(others) + [*others])


STEPS = st.lists(
    st.tuples(
        mostly("start", "grant", "revoke", "another path"),
        mostly("alice", "bob"),
        mostly(None, DEFAULT, "Other"),
        mostly(60, 5),  # cache.ttl
        mostly("", "10.0.0.1"),  # configured context
        mostly(None, 2.0, -1.0),  # in how many seconds the credentials end
        mostly(0.0, 3.0, 50.0),  # how long AWS takes
        st.sampled_from([0.0, 1.0, 4.0, 30.0, 59.0, 61.0]),  # time that passes before
        mostly(0.0, -45.0, -3600.0, 3600.0),  # by which the clock is set
    ),
    min_size=2,
    max_size=14,
)


# The caller was looked up too long ago; then the answer of IAM for that caller is used.
STALE = [
    (action, "alice", document, 60, "", None, 0.0, passes, 0.0)
    for action, document, passes in [
        ("start", None, 0.0), ("another path", None, 1.0), ("start", "Other", 58.0),
        ("start", "Other", 30.0),
    ]
]  # fmt: skip
SLOW = [("start", "alice", None, 60, "", None, 50.0, passes, 0.0) for passes in (0.0, 30.0)]


@settings(deadline=None, max_examples=examples(200))
@given(STEPS)
@example(STALE)
@example(SLOW)
def test_permit_never_outlives_its_question(tmp_path_factory: Any, steps: Any) -> None:
    """Each permit has an allow for the same question, asked at most `cache.ttl` seconds ago."""
    home = str(tmp_path_factory.mktemp("home"))
    clock = {"wall": 1_700_000_000.0, "boot": 1000.0}
    here = "arn:aws:ssm:us-east-1:111122223333:document/"
    granted = {(who, here + name) for who in ("alice", "bob") for name in (DEFAULT, "Other")}
    said_yes: dict[object, float] = {}  # question, caller, options -> when the request began
    paths = {"alice": 0, "bob": 0}
    left: dict[object, float] = {}  # a path that a caller had -> until when

    def caller_of(who: str) -> Caller:
        arn = f"arn:aws:iam::111122223333:user/{paths[who]}/{who}"
        return Caller("111122223333", arn, arn, f"AIDA{who}", "User", "aws")

    def ask(invocation: Any, clients: Any, config: Any, caller: Any = None, *, takes: float) -> Any:
        who, began = clients.credentials.who, clock["boot"]
        caller = caller or caller_of(who)
        questions = authorize._questions(invocation, clients, caller, config)
        evaluations = []
        for one in questions:
            allowed = (who, one.resource_arn) in granted
            word = EvalDecision.ALLOWED if allowed else EvalDecision.IMPLICIT_DENY
            evaluations.append(Evaluation(one.resource_arn, word))
            if allowed:
                said_yes[who, one] = began
        decision = decide(invocation.request, questions, evaluations)
        clock["boot"] += takes
        clock["wall"] += takes
        return caller, SimulationAttempt(
            invocation.request, questions, tuple(evaluations), decision
        )

    def clients_of(who: str, ends: float | None) -> Any:
        return SimpleNamespace(
            ssm=SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://ssm")),
            partition="aws",
            region="us-east-1",
            secure_transport=True,
            endpoints=ENDPOINTS,
            resolve_checker=lambda: None,
            credentials=SimpleNamespace(
                who=who,
                session_token=None,
                expires_at=None if ends is None else clock["wall"] + ends,
                for_client=lambda: {"aws_access_key_id": who},
            ),
        )

    for action, who, document, ttl, address, ends, takes, passes, step in steps:
        clock["boot"] += passes
        clock["wall"] += passes + step
        arn = here + (document or DEFAULT)
        if action == "another path":
            left[caller_of(who)] = clock["boot"]
            paths[who] += 1
        elif action != "start":
            (granted.add if action == "grant" else granted.discard)((who, arn))
        if action != "start":
            continue
        config = Config(
            cache_ttl=ttl,
            context=(ContextEntry("aws:SourceIp", "ip", (address,)),) if address else (),
        )
        invocation = SimpleNamespace(
            request=SessionRequest("i-1", document),
            options=SimpleNamespace(region=None, profile=None, endpoint_url=None, verify=None),
            session=SimpleNamespace(full_config={}),
            mfa=SimpleNamespace(done=False),
        )
        began = clock["boot"]
        with (
            mock.patch.object(entry, "now", side_effect=lambda: Timestamp(**clock)),
            mock.patch.object(authorize, "_ask", partial(ask, takes=takes)),
        ):
            clients: Any = clients_of(who, ends)
            line: Any = invocation
            cache = open_cache(line, clients, config, {"HOME": home}, print)
            result = authorize.authorize(line, clients, config, cache)
        if isinstance(result.decision, Permit):
            assert result.decision.request == invocation.request
            assert result.endpoints == ENDPOINTS
            assert result.caller is not None
            assert result.caller.user_id == f"AIDA{who}"
            # Who it is, too, was true less than that long ago.
            assert began - left.get(result.caller, began) <= ttl
            assert not (result.cached_at is not None and ends is not None and ends <= 0)
            for question in result.attempt.questions:
                assert question.policy_source_arn == result.caller.policy_source_arn
                assert began - said_yes[who, question] <= ttl
            assert {q.resource_arn for q in result.attempt.questions} >= {arn}
        else:
            assert (who, arn) not in granted
