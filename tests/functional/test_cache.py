"""Cached answers of IAM: for which caller, for which question, for how long."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from conftest import TARGET, Machine
from fakes.scripted_aws import (
    Received,
    after,
    all_decided,
    context_keys,
    document_tags,
    evaluation,
    identity,
    role,
    xml,
    xml_error,
)
from fakes.waiting import count_lock_owners, until

pytestmark = pytest.mark.starts

DIRECTORY = ".cache/ssmgate/answers"
ALLOWED = ["GetCallerIdentity", "SimulatePrincipalPolicy", "StartSession"]


@pytest.fixture
def cached(machine: Machine) -> Machine:
    machine.environ.pop("SSMGATE_CACHE_TTL", None)
    return machine


def entries(machine: Machine) -> list[Path]:
    directory = machine.home / DIRECTORY
    return (
        sorted(p for p in directory.iterdir() if p.suffix != ".lock") if directory.exists() else []
    )


def start(machine: Machine, *words: str, **environ: str | None) -> list[str]:
    """Start a session and return the operations that were called."""
    before = len(machine.aws.operations)
    ended = machine.run("--target", TARGET, *words, **environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    return machine.aws.operations[before:]


def test_second_start_uses_cached_answer(cached: Machine) -> None:
    assert start(cached) == ALLOWED
    assert start(cached) == ["StartSession"]
    # Another node is not another question.
    assert cached.run("--target", "i-2", "--reason", "r").returncode == 0
    assert cached.aws.operations[-2:] == ["StartSession", "StartSession"]
    assert cached.aws.received[-1].parameters == {"Target": "i-2", "Reason": "r"}


def test_other_document_is_not_cached(cached: Machine) -> None:
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
        pytest.param(
            {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}, id="HTTP_PROXY"
        ),
        pytest.param({"AWS_MAX_ATTEMPTS": "1"}, id="any other AWS variable"),
        pytest.param({"SSMGATE_CHECKER_PROFILE": "checker"}, id="checker"),
        pytest.param({"SSMGATE_CONTEXT": '{{"aws:SourceIp": "10.0.0.1"}}'}, id="context"),
        pytest.param({"SSMGATE_CACHE_TTL": "0"}, id="switched off"),
        pytest.param({"SSMGATE_CACHE_TTL": "59"}, id="another time"),
        pytest.param({"SSMGATE_MODE": "permissive"}, id="another mode"),
        pytest.param({"AWS_CONFIG_FILE": "{home}/config"}, id="AWS configuration"),
        pytest.param({"HOME": "{home}/other"}, id="home"),
    ],
)
def test_cache_misses_when_dependency_differs(cached: Machine, other: dict[str, str]) -> None:
    (cached.home / "config").write_text("[default]\nsts_regional_endpoints = legacy\n")
    (cached.home / "other").mkdir()
    (cached.home / ".aws").mkdir()
    (cached.home / ".aws" / "credentials").write_text(
        "[checker]\naws_access_key_id = AKIACHECKER\naws_secret_access_key = s\n"
    )
    start(cached)
    changed = {k: v.format(url=cached.aws.url, home=cached.home) for k, v in other.items()}

    assert start(cached, **changed) == ALLOWED


def test_cache_misses_after_change_of_aws_configuration_file(cached: Machine) -> None:
    config = cached.home / "config"
    config.write_text("[default]\nmax_attempts = 3\n")
    start(cached, AWS_CONFIG_FILE=str(config))
    config.write_text("[default]\nmax_attempts = 2\n")

    assert start(cached, AWS_CONFIG_FILE=str(config)) == ALLOWED


def test_cache_misses_after_change_of_checker_credentials(cached: Machine) -> None:
    file = cached.home / ".aws" / "credentials"
    file.parent.mkdir()
    file.write_text("[checker]\naws_access_key_id = AKIAONE\naws_secret_access_key = s\n")
    start(cached, SSMGATE_CHECKER_PROFILE="checker")
    assert start(cached, SSMGATE_CHECKER_PROFILE="checker") == ["StartSession"]
    file.write_text("[checker]\naws_access_key_id = AKIATWO\naws_secret_access_key = s\n")

    assert start(cached, SSMGATE_CHECKER_PROFILE="checker") == ALLOWED


@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile", "--ca-bundle"])
def test_cache_misses_after_change_of_ca_bundle(cached: Machine, how: str) -> None:
    """Its size and its modification time may be the same as before."""
    bundle = cached.home / "ca.pem"
    bundle.write_text("one")
    times = (bundle.stat().st_atime_ns, bundle.stat().st_mtime_ns)
    words = ("--ca-bundle", str(bundle)) if how.startswith("-") else ()
    environ = {how: str(bundle)} if how.isupper() else {}
    if how == "profile":
        (cached.home / "config").write_text(f"[default]\nca_bundle = {bundle}\n")
        environ = {"AWS_CONFIG_FILE": str(cached.home / "config")}
    start(cached, *words, **environ)
    assert start(cached, *words, **environ) == ["StartSession"]
    bundle.write_text("two")
    os.utime(bundle, ns=times)

    assert start(cached, *words, **environ) == ALLOWED


def test_cache_key_contains_proxies_in_use(cached: Machine) -> None:
    """In a CGI script the client sets HTTP_PROXY: it is not used."""
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    start(cached, **proxies)
    assert start(cached, **proxies) == ["StartSession"]

    assert start(cached, REQUEST_METHOD="GET", **proxies) == ALLOWED


@pytest.mark.parametrize("name", ["PWD", "TERM", "SSH_TTY", "WINDOWID", "PATH_OF_NOBODY"])
def test_cache_hits_despite_irrelevant_changes(cached: Machine, name: str) -> None:
    start(cached)

    assert start(cached, **{name: "other"}) == ["StartSession"]


@pytest.mark.parametrize("words", [("--no-verify-ssl",), ("--region", "eu-west-1")])
def test_cache_misses_with_other_options(cached: Machine, words: tuple[str, ...]) -> None:
    start(cached)

    assert start(cached, *words) == ALLOWED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(evaluation("implicitDeny"), id="implicit deny"),
        pytest.param(evaluation("explicitDeny"), id="denied"),
        pytest.param(xml_error("AccessDenied", "not allowed to simulate", 403), id="unknown"),
        pytest.param(xml_error("Throttling", "slow down"), id="throttled"),
    ],
)
def test_caches_only_allows(cached: Machine, answer: Any) -> None:
    cached.aws.script("GetContextKeysForPrincipalPolicy", context_keys())
    cached.aws.script("SimulatePrincipalPolicy", answer)
    assert cached.run("--target", TARGET).returncode == 254
    assert len(entries(cached)) == 1  # who the caller is
    cached.aws.script("SimulatePrincipalPolicy", evaluation())

    assert start(cached) == ALLOWED[1:]


def test_does_not_cache_allow_that_depends_on_tags(cached: Machine) -> None:
    missing = evaluation("implicitDeny", missing=("ssm:resourceTag/team",))
    cached.aws.script("SimulatePrincipalPolicy", missing, evaluation(), missing, evaluation())
    cached.aws.script("ListTagsForResource", document_tags(team="ops"))
    first = start(cached)

    assert first.count("SimulatePrincipalPolicy") == 2
    assert start(cached).count("SimulatePrincipalPolicy") == 2


def test_does_not_cache_denial_that_permissive_overrides(cached: Machine) -> None:
    cached.aws.script("SimulatePrincipalPolicy", evaluation("explicitDeny"))
    cached.aws.script("GetContextKeysForPrincipalPolicy", context_keys())
    for _ in range(2):
        ended = cached.run("--target", TARGET, SSMGATE_MODE="permissive")
        assert ended.returncode == 0
        assert "session started anyway" in ended.stderr


def test_local_rules_deny_after_cache_hit(cached: Machine) -> None:
    start(cached)
    file = cached.home / ".config/ssmgate/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('documents.deny = ["SSM-*"]\n')
    assert cached.run("--target", TARGET).returncode == 254
    # Also where the answer to the same question is cached.
    assert cached.run("--target", TARGET).returncode == 254
    assert cached.aws.operations.count("StartSession") == 1
    assert cached.aws.operations.count("SimulatePrincipalPolicy") == 2


def test_entry_expires_after_ttl(cached: Machine) -> None:
    start(cached, SSMGATE_CACHE_TTL="1")
    time.sleep(1.2)

    assert start(cached, SSMGATE_CACHE_TTL="1") == ALLOWED


def longer(text: str) -> str:
    seal, _, said = text.partition("\n")
    entry = json.loads(said)
    entry["created_at"] = [at + 3600 for at in entry["created_at"]]
    return f"{seal}\n{json.dumps(entry)}"


def with_other_caller(text: str) -> str:
    return text.replace("user/alice", "user/admin")


@pytest.mark.parametrize(
    "change",
    [
        longer,
        with_other_caller,
        lambda text: text.partition("\n")[2],
        lambda text: f"{'0' * 64}\n{text.partition(chr(10))[2]}",
        lambda text: f"\N{SNOWMAN}\n{text.partition(chr(10))[2]}",
        lambda text: text[:-1],
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "\0" * 900,
        lambda _: "[" * 60_000,
        lambda _: "x" * 70_000,
    ],
    ids=["longer", "another's", "no seal", "zeros", "a strange seal", "without an end", "half",
         "empty", "zeros of a crash", "deep", "big"],
)  # fmt: skip
def test_ignores_modified_entry(cached: Machine, change: Callable[[str], str]) -> None:
    start(cached)
    for file in entries(cached):
        file.write_text(change(file.read_text()))

    assert start(cached) == ALLOWED
    assert start(cached) == ["StartSession"]


def test_ignores_entry_from_before_boot(cached: Machine) -> None:
    """Or from another machine that shares the home: its boot clock has another origin."""
    cached.environ["SSMGATE_DAEMON"] = "off"  # the patch is this start's alone
    start(cached)
    assert start(cached) == ["StartSession"]
    patch = "from ssmgate.gate.cache import key; key.boot_id = lambda: 'another'"
    ended = subprocess.run(
        [
            sys.executable, "-c",
            f"{patch}\nimport sys; from ssmgate.__main__ import run; run(sys.argv[1:])",
            "ssm", "start-session", "--target", TARGET,
        ],
        env=cached.variables(), cwd=cached.home, capture_output=True, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert cached.aws.operations == [*ALLOWED, "StartSession", *ALLOWED]


def test_role_path_is_looked_up_until_known(cached: Machine) -> None:
    """The answer to the next question may differ."""
    arn = "arn:aws:sts::111122223333:assumed-role/Ops/alice"
    cached.aws.script("GetCallerIdentity", identity(arn, "AROAX:alice"))
    cached.aws.script("GetRole", xml_error("AccessDenied", "implicit deny", 403))
    start(cached)
    cached.aws.script("GetRole", role("arn:aws:iam::111122223333:role/path/Ops"))

    assert start(cached, "--document-name", "Other") == [ALLOWED[0], "GetRole", *ALLOWED[1:]]
    assert start(cached, "--document-name", "Third") == ALLOWED[1:]


def test_ignores_entry_under_name_of_another(cached: Machine) -> None:
    start(cached)
    start(cached, AWS_ACCESS_KEY_ID="AKIAOTHER")
    files = entries(cached)
    texts = [file.read_text() for file in files]
    for file, text in zip(files, [*texts[1:], texts[0]], strict=True):
        file.write_text(text)

    assert start(cached) == ALLOWED


def test_warns_of_and_skips_shared_cache_directory(cached: Machine) -> None:
    start(cached)
    (cached.home / DIRECTORY).chmod(0o777)
    ended = cached.run("--target", TARGET)

    assert ended.returncode == 0
    assert ended.stderr.startswith("ssmgate: [WARNING]: nothing is cached: ")
    assert ended.stderr.count("\n") == 1
    assert cached.aws.operations == ALLOWED * 2
    # ssh would show it at every connection.
    ended = cached.run("--target", TARGET, "--document-name", "AWS-StartSSHSession")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_cache_contains_no_secret(cached: Machine) -> None:
    start(cached, AWS_SESSION_TOKEN="session-token-of-example")
    texts = "".join(file.read_text() for file in entries(cached))

    for secret in ("secret-of-example", "session-token-of-example", "AKIAEXAMPLE"):
        assert secret not in texts
    assert "arn:aws:iam::111122223333:user/alice" in texts


def waiting_for_one(cached: Machine, number: int) -> list[subprocess.Popen[str]]:
    """Begin `number` starts. STS answers once one of them holds the lock and all others wait."""
    go = threading.Event()
    alice = identity("arn:aws:iam::111122223333:user/alice")
    cached.aws.script("GetCallerIdentity", after(go, alice))
    programs = [cached.program() for _ in range(number)]
    until(lambda: count_lock_owners(cached.home) == number)
    go.set()
    return programs


def test_concurrent_starts_share_one_simulation(cached: Machine) -> None:
    programs = waiting_for_one(cached, 6)
    codes = [program.wait(60) for program in programs]
    for program in programs:
        program.communicate()

    assert codes == [0] * 6
    assert cached.aws.operations.count("GetCallerIdentity") == 1
    assert cached.aws.operations.count("SimulatePrincipalPolicy") == 1
    assert cached.aws.operations.count("StartSession") == 6


def test_starts_do_not_wait_for_killed_leader(cached: Machine) -> None:
    answer = threading.Event()
    alice = identity("arn:aws:iam::111122223333:user/alice")
    cached.aws.script("GetCallerIdentity", after(answer, alice), alice)
    first = cached.program()
    until(lambda: cached.aws.operations == ALLOWED[:1])
    others = [cached.program() for _ in range(3)]
    until(lambda: count_lock_owners(cached.home) == 4)
    assert cached.aws.operations == ALLOWED[:1]
    first.kill()
    first.communicate(timeout=30)
    codes = [other.wait(30) for other in others]
    errors = [other.communicate()[1] for other in others]
    answer.set()

    assert (codes, errors) == ([0] * 3, [""] * 3)
    assert cached.aws.operations.count("GetCallerIdentity") == 2
    assert cached.aws.operations.count("SimulatePrincipalPolicy") == 1
    assert cached.aws.operations.count("StartSession") == 3


def test_waiting_start_can_be_interrupted(cached: Machine) -> None:
    answer = threading.Event()
    alice = identity("arn:aws:iam::111122223333:user/alice")
    cached.aws.script("GetCallerIdentity", after(answer, alice))
    first = cached.program()
    until(lambda: cached.aws.operations == ALLOWED[:1])
    second = cached.program()
    until(lambda: count_lock_owners(cached.home) == 2)
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=10)
    answer.set()

    assert second.returncode == 130
    assert (first.communicate(timeout=30), first.returncode) == (("", ""), 0)
    assert cached.aws.operations == ALLOWED


def allow_with_position(handler: BaseHTTPRequestHandler, received: Received) -> None:
    """Allow with the position of the statement that allows."""
    arn = received.parameters["ResourceArns.member.1"]
    xml(
        "<IsTruncated>false</IsTruncated><EvaluationResults><member>"
        f"<EvalActionName>ssm:StartSession</EvalActionName><EvalResourceName>{arn}"
        "</EvalResourceName><EvalDecision>allowed</EvalDecision><MatchedStatements><member>"
        "<SourcePolicyId>user_alice_p</SourcePolicyId><SourcePolicyType>IAM Policy"
        "</SourcePolicyType><StartPosition><Line>1</Line><Column>2</Column></StartPosition>"
        "<EndPosition><Line>1</Line><Column>9</Column></EndPosition></member></MatchedStatements>"
        "</member></EvaluationResults>"
    )(handler, received)


def test_caches_control_answer_with_document_answer(cached: Machine) -> None:
    simulated = "SimulatePrincipalPolicy"
    cached.aws.script(simulated, allow_with_position, all_decided("implicitDeny"))

    assert start(cached, SSMGATE_ALLOW_WILDCARD_GRANTS="false").count(simulated) == 2
    assert start(cached, SSMGATE_ALLOW_WILDCARD_GRANTS="false") == ["StartSession"]
    # Neither answer is used for the other rule.
    cached.aws.script(simulated, evaluation())
    assert start(cached).count(simulated) == 1


def test_concurrent_starts_all_deny_when_iam_throttles(cached: Machine) -> None:
    """Each start tries as often as a single one, one after another, and then denies."""
    cached.aws.script("SimulatePrincipalPolicy", xml_error("Throttling", "Rate exceeded"))
    programs = waiting_for_one(cached, 8)
    ended = [(program.wait(60), program.communicate()) for program in programs]

    for code, (out, err) in ended:
        assert (code, out) == (254, "")
        assert "could not check access to session document" in err
        assert "Rate exceeded" in err
        assert "simulations of an account: try again in a moment" in err
    assert cached.aws.operations.count("GetCallerIdentity") == 1
    assert cached.aws.operations.count("SimulatePrincipalPolicy") == 8 * 3
    assert set(cached.aws.operations) == {"GetCallerIdentity", "SimulatePrincipalPolicy"}


def test_concurrent_starts_share_allow_after_throttling(cached: Machine) -> None:
    """All starts use the allow of the next leader."""
    throttled = xml_error("Throttling", "Rate exceeded")
    cached.aws.script("SimulatePrincipalPolicy", throttled, throttled, throttled, evaluation())
    programs = waiting_for_one(cached, 6)
    codes = sorted(program.wait(60) for program in programs)
    for program in programs:
        program.communicate()

    assert codes == [0] * 5 + [254]
    # Those that went on before the first allow was cached simulated too.
    assert 4 <= cached.aws.operations.count("SimulatePrincipalPolicy") <= 3 + 5


def verb(machine: Machine, *words: str, **environ: str) -> str:
    return run_verb(machine, *words, **environ)[0]


def run_verb(machine: Machine, *words: str, **environ: str) -> tuple[str, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "ssmgate", "cache", *words],
        env=machine.variables(**environ),
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout, ended.stderr


def test_show_and_clear(cached: Machine) -> None:
    assert verb(cached, "show") == ""
    start(cached)
    lines = [re.sub(r"^ *[0-9]+ s", "N s", line) for line in verb(cached, "show").splitlines()]
    alice = "arn:aws:iam::111122223333:user/alice"
    default = "arn:aws:ssm:us-east-1:111122223333:document/SSM-SessionManagerRunShell"

    assert sorted(lines) == [f"N s  {alice}  (caller identity)", f"N s  {alice}  {default}"]
    off = ("", "nothing is cached: cache.ttl is 0\n")
    assert run_verb(cached, "show", SSMGATE_CACHE_TTL="0") == off
    identity_alone, permit = sorted(
        json.loads(verb(cached, "show", "--output", "json")), key=lambda one: len(one["documents"])
    )
    assert 0 < permit.pop("seconds_left") <= 60
    assert permit == {"caller": alice, "documents": [default]}
    assert identity_alone["documents"] == []
    assert run_verb(cached, "clear") == ("", "2 entries deleted\n")
    assert run_verb(cached, "clear") == ("", "0 entries deleted\n")
    assert verb(cached, "show") == ""
    assert verb(cached, "show", "--output", "json") == "[]\n"
    assert start(cached) == ALLOWED


def test_show_escapes_control_characters(cached: Machine) -> None:
    start(cached)
    for file in entries(cached):
        file.write_text(file.read_text().replace("user/alice", "user/\\u001b[2Jalice\\n"))

    shown = verb(cached, "show")
    assert "user/\\x1b[2Jalice\\n" in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


def test_show_and_clear_skip_shared_cache_directory(cached: Machine) -> None:
    start(cached)
    (cached.home / DIRECTORY).chmod(0o777)

    for words, more in ((("show",), ""), (("clear",), "0 entries deleted\n")):
        out, err = run_verb(cached, *words)
        assert out == ""
        assert err.startswith("ssmgate: [WARNING]: nothing is cached: ")
        assert f"(uid {os.geteuid()}, mode 0777) (cache.ttl = 0 turns this off)\n{more}" in err
    assert len(entries(cached)) == 2
