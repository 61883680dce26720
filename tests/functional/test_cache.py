"""Answers of IAM that are used again: for whom, for what, for how long."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import TARGET, Machine
from fakes.scripted_aws import (
    context_keys,
    document_tags,
    evaluation,
    identity,
    slowly,
    xml_error,
)

FOLDER = ".cache/ssmgate/answers"
ALLOWED = ["GetCallerIdentity", "SimulatePrincipalPolicy", "StartSession"]


@pytest.fixture
def cached(machine: Machine) -> Machine:
    del machine.environ["SSMGATE_CACHE_TTL"]
    return machine


def kept(machine: Machine) -> list[Path]:
    folder = machine.home / FOLDER
    return sorted(p for p in folder.iterdir() if p.suffix != ".lock") if folder.exists() else []


def start(machine: Machine, *words: str, **environ: str | None) -> list[str]:
    """Start a session; what was called for it."""
    before = len(machine.aws.operations)
    ended = machine.run("--target", TARGET, *words, **environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    return machine.aws.operations[before:]


def test_the_second_start_asks_nobody(cached: Machine) -> None:
    assert start(cached) == ALLOWED
    assert start(cached) == ["StartSession"]
    # Another node is no other question.
    assert cached.run("--target", "i-2", "--reason", "r").returncode == 0
    assert cached.aws.operations[-2:] == ["StartSession", "StartSession"]
    assert cached.aws.received[-1].parameters == {"Target": "i-2", "Reason": "r"}


def test_another_document_of_the_same_caller(cached: Machine) -> None:
    start(cached)

    assert start(cached, "--document-name", "Other") == ALLOWED[1:]
    assert start(cached, "--document-name", "Other") == ["StartSession"]
    # By its name it is another question, though the same document.
    assert start(cached, "--document-name", "SSM-SessionManagerRunShell") == ALLOWED[1:]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"AWS_ACCESS_KEY_ID": "AKIAOTHER"}, id="access key"),
        pytest.param({"AWS_SECRET_ACCESS_KEY": "other"}, id="secret"),
        pytest.param({"AWS_SESSION_TOKEN": "token"}, id="session token"),
        pytest.param({"AWS_REGION": "eu-west-1"}, id="region"),
        pytest.param({"AWS_ENDPOINT_URL_IAM": "{url}"}, id="IAM's endpoint"),
        pytest.param({"AWS_ENDPOINT_URL_STS": "{url}"}, id="STS's endpoint"),
        pytest.param({"AWS_ENDPOINT_URL_SSM": "{url}/"}, id="SSM's endpoint"),
        pytest.param({"AWS_CA_BUNDLE": "/ca.pem"}, id="CA bundle"),
        pytest.param({"REQUESTS_CA_BUNDLE": "/ca.pem"}, id="another CA bundle"),
        pytest.param({"no_proxy": "127.0.0.1"}, id="proxy"),
        pytest.param({"SSMGATE_CONTEXT": '{{"aws:SourceIp": "10.0.0.1"}}'}, id="context"),
        pytest.param({"SSMGATE_CACHE_TTL": "0"}, id="switched off"),
        pytest.param({"SSMGATE_CACHE_TTL": "59"}, id="another time"),
        pytest.param({"SSMGATE_MODE": "permissive"}, id="another mode"),
        pytest.param({"AWS_CONFIG_FILE": "{home}/config"}, id="AWS configuration"),
        pytest.param({"HOME": "{home}/other"}, id="home"),
    ],
)
def test_whatever_the_answer_depends_on(cached: Machine, other: dict[str, str]) -> None:
    (cached.home / "config").write_text("[default]\nsts_regional_endpoints = legacy\n")
    (cached.home / "other").mkdir()
    start(cached)
    changed = {k: v.format(url=cached.aws.url, home=cached.home) for k, v in other.items()}

    assert start(cached, **changed) == ALLOWED


def test_a_changed_file_of_the_aws_configuration(cached: Machine) -> None:
    config = cached.home / "config"
    config.write_text("[default]\nmax_attempts = 3\n")
    start(cached, AWS_CONFIG_FILE=str(config))
    config.write_text("[default]\nmax_attempts = 2\n")

    assert start(cached, AWS_CONFIG_FILE=str(config)) == ALLOWED


@pytest.mark.parametrize("words", [("--no-verify-ssl",), ("--region", "eu-west-1")])
def test_options_that_matter(cached: Machine, words: tuple[str, ...]) -> None:
    start(cached)

    assert start(cached, *words) == ALLOWED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(evaluation("implicitDeny"), id="no"),
        pytest.param(evaluation("explicitDeny"), id="denied"),
        pytest.param(xml_error("AccessDenied", "not allowed to simulate", 403), id="cannot tell"),
        pytest.param(xml_error("Throttling", "slow down"), id="throttled"),
    ],
)
def test_only_a_yes_is_kept(cached: Machine, answer: Any) -> None:
    cached.aws.script("GetContextKeysForPrincipalPolicy", context_keys())
    cached.aws.script("SimulatePrincipalPolicy", answer)
    assert cached.run("--target", TARGET).returncode == 254
    assert len(kept(cached)) == 1  # who the caller is
    cached.aws.script("SimulatePrincipalPolicy", evaluation())

    assert start(cached) == ALLOWED[1:]


def test_a_yes_that_hangs_on_tags_is_not_kept(cached: Machine) -> None:
    missing = evaluation("implicitDeny", missing=("ssm:resourceTag/team",))
    cached.aws.script("SimulatePrincipalPolicy", missing, evaluation(), missing, evaluation())
    cached.aws.script("ListTagsForResource", document_tags(team="ops"))
    first = start(cached)

    assert first.count("SimulatePrincipalPolicy") == 2
    assert start(cached).count("SimulatePrincipalPolicy") == 2


def test_what_mode_permissive_sets_aside_is_not_kept(cached: Machine) -> None:
    cached.aws.script("SimulatePrincipalPolicy", evaluation("explicitDeny"))
    cached.aws.script("GetContextKeysForPrincipalPolicy", context_keys())
    for _ in range(2):
        ended = cached.run("--target", TARGET, SSMGATE_MODE="permissive")
        assert ended.returncode == 0
        assert "started all the same" in ended.stderr


def test_local_rules_refuse_after_a_hit(cached: Machine) -> None:
    start(cached)
    file = cached.home / ".config/ssmgate/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('documents.deny = ["SSM-*"]\n')
    assert cached.run("--target", TARGET).returncode == 254
    # Also where the answer to this very question is kept.
    assert cached.run("--target", TARGET).returncode == 254
    assert cached.aws.operations.count("StartSession") == 1
    assert cached.aws.operations.count("SimulatePrincipalPolicy") == 2


def test_a_short_time(cached: Machine) -> None:
    start(cached, SSMGATE_CACHE_TTL="1")
    time.sleep(1.2)

    assert start(cached, SSMGATE_CACHE_TTL="1") == ALLOWED


def test_a_kept_answer_that_was_changed_is_asked_anew(cached: Machine) -> None:
    start(cached)
    for file in kept(cached):
        text = json.loads(file.read_text())
        for question in text["questions"]:
            question["resource_arn"] += "x"
        text["caller"]["user_id"] += "x"
        text["made"][0] += 3600
        file.write_text(json.dumps(text))

    assert start(cached) == ALLOWED


def test_an_entry_under_the_name_of_another(cached: Machine) -> None:
    start(cached)
    start(cached, AWS_ACCESS_KEY_ID="AKIAOTHER")
    files = kept(cached)
    texts = [file.read_text() for file in files]
    for file, text in zip(files, [*texts[1:], texts[0]], strict=True):
        file.write_text(text)

    assert start(cached) == ALLOWED


def test_a_folder_of_everybodys_is_told_and_not_used(cached: Machine) -> None:
    start(cached)
    (cached.home / FOLDER).chmod(0o777)
    ended = cached.run("--target", TARGET)

    assert ended.returncode == 0
    assert ended.stderr.startswith("ssmgate: [WARNING]: nothing is cached: ")
    assert ended.stderr.count("\n") == 1
    assert cached.aws.operations == ALLOWED * 2


def test_no_secret_is_kept(cached: Machine) -> None:
    start(cached, AWS_SESSION_TOKEN="session-token-of-example")
    texts = "".join(file.read_text() for file in kept(cached))

    for secret in ("secret-of-example", "session-token-of-example", "AKIAEXAMPLE"):
        assert secret not in texts
    assert "arn:aws:iam::111122223333:user/alice" in texts


def test_many_at_once_ask_once(cached: Machine) -> None:
    cached.aws.script(
        "GetCallerIdentity", slowly(identity("arn:aws:iam::111122223333:user/alice"), 3)
    )
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(cached.run("--target", TARGET).returncode))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [0] * 6
    assert cached.aws.operations.count("GetCallerIdentity") == 1
    assert cached.aws.operations.count("SimulatePrincipalPolicy") == 1
    assert cached.aws.operations.count("StartSession") == 6


def verb(machine: Machine, *words: str, **environ: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", "ssmgate", "cache", *words],
        env=machine.variables(**environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return ended.stdout


def test_show_and_clear(cached: Machine) -> None:
    assert verb(cached, "show") == ""
    start(cached)
    lines = [re.sub(r"^ *[0-9]+ s", "N s", line) for line in verb(cached, "show").splitlines()]
    alice = "arn:aws:iam::111122223333:user/alice"
    default = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"

    assert sorted(lines) == [f"N s  {alice}  {default}", f"N s  {alice}  who it is"]
    assert verb(cached, "show", SSMGATE_CACHE_TTL="0") == "nothing is kept: cache.ttl is 0\n"
    assert verb(cached, "clear") == ""
    assert verb(cached, "show") == ""
    assert start(cached) == ALLOWED


def opened_with(home: Path, *, expires_at: float | None = None, **config: Any) -> Any:
    from ssmgate.aws.answers import opened
    from ssmgate.core.request import SessionRequest
    from ssmgate.host.config import Config

    invocation: Any = SimpleNamespace(
        request=SessionRequest("i-1"),
        options=SimpleNamespace(region=None, profile=None, endpoint_url=None, verify=None),
        session=SimpleNamespace(full_config={}),
        mfa=SimpleNamespace(done=False),
    )
    clients: Any = SimpleNamespace(
        ssm=SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://ssm")),
        partition="aws",
        region="us-east-1",
        credentials=SimpleNamespace(expires_at=expires_at, for_client=dict),
    )
    environ = {"HOME": str(home)} if home else {}
    return opened(invocation, clients, Config(**config), environ, print)


def test_where_nothing_is_kept(tmp_path: Path) -> None:
    assert opened_with(tmp_path) is not None
    assert opened_with(tmp_path, locked=frozenset({"mode"})) is None
    assert opened_with(tmp_path, cache_ttl=0) is None
    assert opened_with(Path("relative")) is None


def test_credentials_that_ended_have_no_answers(tmp_path: Path) -> None:
    from ssmgate.core.decision import Look, Permit
    from ssmgate.core.question import Caller, Question
    from ssmgate.core.request import SessionRequest

    caller = Caller("1", "arn:a", "arn:a", "AIDA", "User", "aws")
    questions = (Question("arn:a", "arn:d", ()),)
    request = SessionRequest("i-1")
    look = Look(request, questions, (), Permit(request))
    assert opened_with(tmp_path).keep(caller, look, questions)

    assert opened_with(tmp_path, expires_at=time.time() + 100).permit() is not None
    ended = opened_with(tmp_path, expires_at=time.time() - 1)
    assert (ended.permit(), ended.caller()) == (None, None)


# Interleavings, in this process: what is asked and who answers are replaced, nothing between.


def mostly(usual: object, *others: object) -> st.SearchStrategy[Any]:
    """`usual` in most cases: else hardly two steps would be about the same."""
    return st.sampled_from([usual] * 3 * len(others) + [*others])


DEFAULT = "SSM-SessionManagerRunShell"
STEPS = st.lists(
    st.tuples(
        mostly("start", "grant", "revoke"),
        mostly("alice", "bob"),
        mostly(None, DEFAULT, "Other"),
        mostly(60, 5),  # cache.ttl
        mostly("", "10.0.0.1"),  # configured context
        st.sampled_from([0.0, 1.0, 4.0, 30.0, 59.0, 61.0]),  # time that passes before
        mostly(0.0, -45.0, -3600.0, 3600.0),  # by which the clock is set
    ),
    min_size=2,
    max_size=14,
)


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_a_permit_never_outlives_its_question(tmp_path_factory: Any, steps: Any) -> None:
    """Each permit stands on a yes to this very question, `cache.ttl` seconds ago at most."""
    from ssmgate import examination
    from ssmgate.aws.answers import opened
    from ssmgate.core.decision import Permit, decide
    from ssmgate.core.evaluation import EvalDecision, Evaluation
    from ssmgate.core.kept import Moment
    from ssmgate.core.question import Caller, ContextEntry
    from ssmgate.core.request import SessionRequest
    from ssmgate.host import answers as host
    from ssmgate.host.config import Config

    home = str(tmp_path_factory.mktemp("home"))
    clock = {"wall": 1_700_000_000.0, "boot": 1000.0}
    here = "arn:aws:ssm:us-east-1:111122223333:document/"
    granted = {(who, here + name) for who in ("alice", "bob") for name in (DEFAULT, "Other")}
    said_yes: dict[object, float] = {}  # what was asked, by whom, how -> when it was allowed

    def caller_of(who: str) -> Caller:
        arn = f"arn:aws:iam::111122223333:user/{who}"
        return Caller("111122223333", arn, arn, f"AIDA{who}", "User", "aws")

    def ask(invocation: Any, clients: Any, config: Any, caller: Any = None) -> Any:
        who = clients.credentials.who
        assert caller in (None, caller_of(who))
        questions = examination._questions(invocation, clients, caller_of(who), config)
        evaluations = []
        for one in questions:
            allowed = (who, one.resource_arn) in granted
            word = EvalDecision.ALLOWED if allowed else EvalDecision.IMPLICIT_DENY
            evaluations.append(Evaluation(one.resource_arn, word))
            if allowed:
                said_yes[who, one] = clock["boot"]
        outcome = decide(invocation.request, questions, evaluations)
        look = examination.Look(invocation.request, questions, tuple(evaluations), outcome)
        return caller_of(who), look

    def clients_of(who: str) -> Any:
        return SimpleNamespace(
            ssm=SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://ssm")),
            partition="aws",
            region="us-east-1",
            secure_transport=True,
            credentials=SimpleNamespace(
                who=who, expires_at=None, for_client=lambda: {"aws_access_key_id": who}
            ),
        )

    for action, who, document, ttl, address, passes, step in steps:
        clock["boot"] += passes
        clock["wall"] += passes + step
        arn = here + (document or DEFAULT)
        if action != "start":
            (granted.add if action == "grant" else granted.discard)((who, arn))
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
        with (
            mock.patch.object(host, "now", return_value=Moment(**clock)),
            mock.patch.object(examination, "open_clients", return_value=clients_of(who)),
            mock.patch.object(examination, "_ask", ask),
        ):
            keep = partial(opened, invocation, config=config, environ={"HOME": home}, tell=print)
            result = examination.examine(invocation, config, keep)  # type: ignore[arg-type]
        if isinstance(result.outcome, Permit):
            assert result.outcome.request == invocation.request
            assert result.caller == caller_of(who)
            for question in result.look.questions:
                assert question.policy_source_arn == caller_of(who).policy_source_arn
                assert clock["boot"] - said_yes[who, question] <= ttl
            assert {q.resource_arn for q in result.look.questions} >= {arn}
        else:
            assert (who, arn) not in granted
