"""Which sessions of a role are known to have no tags of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import ScriptedAws, credentials
from ssmgate.gate.aws import assumed_role
from ssmgate.gate.aws.session import MfaPrompt, new_session

KEYS = "aws_access_key_id = AKIA\naws_secret_access_key = s\n"
ROLE = "arn:aws:iam::111122223333:role"
BASE = f"[profile base]\n{KEYS}"
ONE = f"[profile one]\nrole_arn = {ROLE}/One\nsource_profile = base\n"
BEGAN = 4070905200
"""An hour before the stub's credentials expire."""
TWO = f"[profile two]\nrole_arn = {ROLE}/Two\nsource_profile = one\n"


@pytest.fixture(autouse=True)
def sts(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedAws]:
    with ScriptedAws() as server:
        server.script("AssumeRole", credentials("ASIAONE"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield server


def session(monkeypatch: pytest.MonkeyPatch, text: str, profile: str = "one") -> Any:
    file = Path(os.environ["HOME"]) / "config"
    file.write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{file}-credentials")
    made = new_session(MfaPrompt())
    made.set_config_variable("profile", profile)  # as --profile does
    providers = made.get_component("credential_provider")
    providers.get_provider("assume-role")._prompter = lambda _prompt: "123456"
    found = made.get_credentials()
    if found is not None and found.method == "assume-role":
        found.get_frozen_credentials()
    return made


@pytest.mark.parametrize(
    ("text", "profile", "expected"),
    [
        pytest.param(BASE + ONE, "one", True, id="with long-term keys"),
        pytest.param(
            f"[profile one]\nrole_arn = {ROLE}/One\nsource_profile = one\n{KEYS}", "one", True,
            id="with the profile's own keys",
        ),
        pytest.param(
            BASE + ONE + "external_id = xyz\nduration_seconds = 900\nrole_session_name = me\n"
            "mfa_serial = arn:aws:iam::111122223333:mfa/me\n",
            "one", True, id="with each key of a profile",
        ),
        pytest.param(BASE + ONE + TWO, "two", True, id="a chain that begins with long-term keys"),
        pytest.param(BASE, "base", False, id="no role"),
        pytest.param(
            BASE + "aws_session_token = t\n" + ONE, "one", False, id="with a foreign token"
        ),
        pytest.param(
            BASE + "aws_session_token = t\n" + ONE + TWO, "two", False,
            id="a chain that begins with a foreign token",
        ),
        pytest.param(
            BASE + ONE + f"[profile same]\nrole_arn = {ROLE}/One\nsource_profile = other\n", "one",
            False, id="another profile that shares the cached session",
        ),
        pytest.param(
            BASE + ONE + TWO + f"[profile same]\nrole_arn = {ROLE}/One\nsource_profile = other\n",
            "two", False, id="another profile that shares the session before",
        ),
    ],
)  # fmt: skip
def test_session_is_untagged_only_if_assumed_with_long_term_keys(
    monkeypatch: pytest.MonkeyPatch, text: str, profile: str, expected: bool
) -> None:
    assert assumed_role.is_untagged(session(monkeypatch, text, profile)) is expected


def test_session_from_process_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    document = (
        '{"Version": 1, "AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t",'
        ' "Expiration": "2099-01-01T00:00:00Z"}'
    )
    source = f"[profile base]\ncredential_process = echo '{document}'\n"

    made = session(monkeypatch, source + ONE)

    assert made.get_credentials().method == "assume-role"
    assert not assumed_role.is_untagged(made)


def test_session_of_environment_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    source = f"[profile one]\nrole_arn = {ROLE}/One\ncredential_source = Environment\n"

    made = session(monkeypatch, source)

    assert made.get_credentials().method == "assume-role"
    assert not assumed_role.is_untagged(made)


def test_cached_session_older_than_configuration_is_not_known(
    monkeypatch: pytest.MonkeyPatch, sts: ScriptedAws
) -> None:
    made = session(monkeypatch, BASE + ONE)
    assert assumed_role.is_untagged(made)
    for path in (os.environ["AWS_CONFIG_FILE"], os.environ["AWS_SHARED_CREDENTIALS_FILE"]):
        # The session began an hour before it expires.
        for changed, expected in ((BEGAN, False), (BEGAN + 1, False), (BEGAN - 1, True)):
            Path(path).touch()
            os.utime(path, (changed, changed))
            assert assumed_role.is_untagged(made) is expected
    assert sts.operations == ["AssumeRole"]


def test_session_may_be_shorter_than_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(monkeypatch, BASE + ONE + "duration_seconds = 900\n")
    changed = BEGAN + 3600 - 901
    os.utime(os.environ["AWS_CONFIG_FILE"], (changed, changed))

    assert assumed_role.is_untagged(made) is True


def test_session_of_web_identity_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity provider may pass tags."""
    made = session(
        monkeypatch, f"[profile one]\nrole_arn = {ROLE}/One\nweb_identity_token_file = /dev/null\n"
    )

    assert made.get_credentials().method == "assume-role-with-web-identity"
    assert assumed_role.is_untagged(made) is False


def test_arguments_that_pass_tags_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(monkeypatch, BASE + ONE)
    fetcher = made.get_credentials()._refresh_using.__self__
    assert assumed_role.is_untagged(made)
    fetcher._assume_kwargs["Tags"] = [{"Key": "Team", "Value": "ops"}]

    assert not assumed_role.is_untagged(made)


def test_missing_session_is_not_known(monkeypatch: pytest.MonkeyPatch, sts: ScriptedAws) -> None:
    made = session(monkeypatch, BASE + ONE + TWO, "two")
    assert assumed_role.is_untagged(made)
    source = made.get_credentials()._refresh_using.__self__._source_credentials
    source._expiry_time = None  # as where the session after it is cached

    assert assumed_role.is_untagged(made) is False
    assert sts.operations == ["AssumeRole", "AssumeRole"]


def test_unexpected_session_is_not_known() -> None:
    assert assumed_role.is_untagged(None) is False
