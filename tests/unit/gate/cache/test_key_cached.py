"""Which answers are cached, and which are not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from ssmgate.gate.aws.clients import Credentials
from ssmgate.gate.cache import entry, key
from ssmgate.gate.cache.cached_authorization import CachedAuthorization, open_cache
from ssmgate.gate.cache.entry import CacheEntry
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Denial, Layer, Permit, SimulationAttempt
from ssmgate.gate.decision.endpoints import Endpoints
from ssmgate.gate.decision.question import Caller, ContextEntry, Question
from ssmgate.gate.decision.reason import Reason
from ssmgate.gate.decision.request import SessionRequest


def answers(
    home: Path,
    verify: str | None = None,
    document: str | None = None,
    eprint: Callable[[str], object] = print,
) -> CachedAuthorization:
    options = SimpleNamespace(region=None, profile=None, endpoint_url=None, verify=verify)
    invocation: Any = SimpleNamespace(
        request=SessionRequest("i-1", document), options=options, mfa=SimpleNamespace(done=False),
        session=SimpleNamespace(full_config={"profiles": {}}),
    )  # fmt: skip
    clients: Any = SimpleNamespace(
        ssm=SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://ssm")),
        partition="aws", region="us-east-1", credentials=Credentials("AKIA", "secret", "token"),
        endpoints=Endpoints("https://sts", "https://iam", "https://ssm"),
    )  # fmt: skip
    found = open_cache(invocation, clients, Config(), {"HOME": str(home)}, eprint)
    assert found is not None
    return found


def permitted() -> tuple[Caller, SimulationAttempt, tuple[Question, ...]]:
    caller = Caller("1", "arn:a", "arn:a", "AIDA", "User", "aws")
    questions = (Question("arn:a", "arn:d", ()),)
    request = SessionRequest("i-1")
    return caller, SimulationAttempt(request, questions, (), Permit(request)), questions


@pytest.mark.parametrize(
    ("document", "warns"), [(None, True), ("Dev-Shell", True), ("AWS-StartSSHSession", False)]
)
def test_warns_of_insecure_directory_but_not_at_each_connection_of_ssh(
    document: str | None, warns: bool, tmp_path: Path
) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache").chmod(0o777)
    printed: list[str] = []

    stored = answers(tmp_path, document=document, eprint=printed.append).store(*permitted())

    assert (stored, len(printed)) == (False, warns)


def test_does_not_cache_answer_to_questions_with_tags(tmp_path: Path) -> None:
    """The first questions are what the next start will ask: an answer with tags is another one."""
    found = answers(tmp_path)
    found.begin()
    caller, look, questions = permitted()
    tag = ContextEntry("ssm:resourceTag/Team", "string", ("ops",))
    tagged = (replace(questions[0], context=(tag,)),)

    assert found.store(caller, replace(look, questions=tagged), questions) is False
    assert found.permit() is None
    assert found.store(caller, look, questions) is True
    assert found.permit() is not None


def test_caches_permits_only(tmp_path: Path) -> None:
    found = answers(tmp_path)
    found.begin()
    caller, look, questions = permitted()

    assert found.store(None, look, questions) is False
    assert found.begin() is None
    denied = replace(look, decision=Denial(Reason.IMPLICIT_DENY, questions[0], Layer.IDENTITY))
    assert found.store(caller, denied, questions) is False
    assert found.permit() is None
    assert found.begin() == caller


def test_cached_caller_is_not_written_again(tmp_path: Path) -> None:
    found = answers(tmp_path)
    caller, look, questions = permitted()
    found.begin()
    found.store(caller, look, questions)
    written: list[object] = []

    assert found.begin() == caller
    with mock.patch.object(found, "_write", lambda name, _entry: written.append(name)):
        found.store(caller, look, questions)
    assert written == [found._permit_key]


def test_does_not_cache_caller_whose_role_path_is_unknown(tmp_path: Path) -> None:
    found = answers(tmp_path)
    found.begin()
    caller, look, questions = permitted()

    assert found.store(replace(caller, role_path_known=False), look, questions) is True
    assert found.begin() is None


def test_key_contains_these_environment_variables() -> None:
    """Besides AWS_… and …_proxy: where STS and IAM are, and who is believed to be them."""
    assert set(key._VARIABLES) == {
        "HOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
        "OPENSSL_CONF", "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS",
    }  # fmt: skip


def state(path: str) -> tuple[int, ...]:
    known = os.stat(path)
    return (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns)


def test_key_contains_state_of_each_ca_bundle(tmp_path: Path) -> None:
    names = ("verify", "aws", "requests", "ca_bundle", "proxy_ca_bundle", "proxy_client_cert")
    paths = {name: str(tmp_path / name) for name in names}
    for path in paths.values():
        Path(path).write_text("certificates")
    profiles = {
        "default": {"ca_bundle": paths["ca_bundle"], "region": "us-east-1"},
        "dev": {name: paths[name] for name in ("proxy_ca_bundle", "proxy_client_cert")},
        "odd": {"ca_bundle": "\0", "proxy_ca_bundle": str(tmp_path / "none")},
    }
    environ = {"AWS_CA_BUNDLE": paths["aws"], "REQUESTS_CA_BUNDLE": paths["requests"]}

    found = key._bundles(paths["verify"], {"profiles": profiles}, environ)

    usual = key.default_ca_bundle()
    expected = {path: state(path) for path in (*paths.values(), usual)}
    assert found == {**expected, "\0": None, str(tmp_path / "none"): None}
    for verify in (None, True, False, ""):
        assert key._bundles(verify, {}, {}) == {usual: state(usual)}


def test_cache_misses_after_change_of_ca_bundle_file(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.write_text("certificates")
    before = answers(tmp_path, verify=str(bundle))._permit_key.name
    bundle.write_text("other certificates")

    assert answers(tmp_path, verify=str(bundle))._permit_key.name != before


def test_entry_expires_with_credentials(tmp_path: Path) -> None:
    found = answers(tmp_path)
    found.begin()
    caller, look, questions = permitted()
    found.store(caller, look, questions)
    now = entry.now()
    found._expires_at = now.wall
    with mock.patch.object(entry, "now", return_value=now):
        assert found.permit() is None
        found._expires_at = now.wall + 1
        assert found.permit() is not None


def test_entry_without_answer_does_not_permit(tmp_path: Path) -> None:
    found = answers(tmp_path)
    caller, _look, questions = permitted()
    endpoints = Endpoints("https://sts", "https://iam", "https://ssm")
    now = entry.now()

    for without_answer in (CacheEntry(caller, now), CacheEntry(caller, now, (), (), (), endpoints),
                 CacheEntry(caller, now, questions)):  # fmt: skip
        found._write(found._permit_key, without_answer)
        assert found.permit() is None
    found._write(found._permit_key, CacheEntry(caller, now, questions, (), (), endpoints))
    assert found.permit() is not None


def test_boot_id_is_that_of_linux() -> None:
    opened = mock.mock_open(read_data="4b5e\n")
    with mock.patch.object(key, "open", opened, create=True):
        assert key.boot_id() == "4b5e"
    assert opened.call_args == mock.call("/proc/sys/kernel/random/boot_id", encoding="utf-8")


def test_boot_id_is_host_name_where_linux_has_none() -> None:
    invalid = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    for error in (FileNotFoundError(), invalid):
        with mock.patch.object(key, "open", side_effect=error, create=True):
            assert key.boot_id() == os.uname().nodename
