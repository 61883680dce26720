"""The prompt for an MFA code comes before the time limit of the check, and before the lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import ACCOUNT, ScriptedAws, credentials, identity
from ssmgate.gate.access import authorize
from ssmgate.gate.argv import parse
from ssmgate.gate.aws import session
from ssmgate.gate.aws.clients import open_clients
from ssmgate.gate.aws.session import MfaPrompt
from ssmgate.gate.cache.cached_authorization import open_cache
from ssmgate.gate.cache.store import DIRECTORY
from ssmgate.gate.config.load import Checker, Config
from ssmgate.gate.decision.decision import Permit
from ssmgate.gate.system import signals

FILE = f"""
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = secret
[profile mfa]
role_arn = arn:aws:iam::{ACCOUNT}:role/Ops
source_profile = base
mfa_serial = arn:aws:iam::{ACCOUNT}:mfa/alice
"""
CALLER, CHECKER = Config(), Config(checker=Checker(profile="mfa"))


def locks() -> list[Path]:
    """Return the lock files that a process holds."""
    held = []
    for path in (Path(os.environ["HOME"]) / DIRECTORY).glob("*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held.append(path)
    return held


@pytest.mark.parametrize("caches", [True, False], ids=["with a cache", "without a cache"])
@pytest.mark.parametrize(
    ("profile", "config"),
    [
        pytest.param("mfa", CALLER, id="credentials of the caller"),
        pytest.param("base", CHECKER, id="credentials of the checker"),
    ],
)
def test_mfa_prompt_has_no_time_limit_and_holds_no_lock(
    monkeypatch: pytest.MonkeyPatch,
    scripted: ScriptedAws,
    profile: str,
    config: Config,
    caches: bool,
) -> None:
    """A prompt that takes longer than the limit ends no check, and no process waits for it."""
    file = Path(os.environ["HOME"]) / "aws"
    file.write_text(FILE)
    for name, value in {
        "AWS_CONFIG_FILE": str(file), "AWS_ENDPOINT_URL": scripted.url, "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(session, "CACHE_DIR", str(file.with_name("cli")))
    scripted.script("AssumeRole", credentials("ASIAMFA"))
    if profile == "mfa":
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/alice"
        scripted.script("GetCallerIdentity", identity(arn, "AROAX:alice"))
    seen: list[tuple[object, ...]] = []
    limits: list[float] = []

    def prompt(_text: str) -> str:
        seen.append((list(limits), locks()))
        return "123456"

    limit = signals.time_limit
    monkeypatch.setattr(MfaPrompt, "ask", staticmethod(prompt))
    monkeypatch.setattr(signals, "time_limit", lambda s: (limits.append(s), limit(s))[1])
    invocation = parse.read(["ssm", "start-session", "--target", "i-1", "--profile", profile])
    assert not isinstance(invocation, int)

    clients = open_clients(invocation.session, invocation.options, config)
    cache = open_cache(invocation, clients, config, os.environ, pytest.fail) if caches else None
    decided = authorize.authorize(invocation, clients, config, cache)

    assert isinstance(decided.decision, Permit)
    assert seen == [([], [])]
    assert limits[:1] == [authorize.CHECK_SECONDS]
