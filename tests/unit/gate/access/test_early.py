"""When a start connects before its command line is parsed, and to which hosts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from ssmgate.gate.access import early
from ssmgate.gate.cache import store
from ssmgate.gate.config import load
from ssmgate.gate.config.load import Config

START = ["ssm", "start-session", "--target", "i-1"]
EAST = "https://sts.us-east-1.amazonaws.com"
WEST = "https://sts.us-west-2.amazonaws.com"
CONFIG = "[profile west]\nregion = us-west-2\n[profile own]\nendpoint_url = https://own.example\n"


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def home() -> Path:
    directory = Path(os.environ["HOME"])
    (directory / ".aws").mkdir()
    (directory / ".aws" / "config").write_text(CONFIG)
    return directory


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the URLs to which connections were opened."""
    urls: list[str] = []

    def note(client: Any) -> None:
        urls.append(client.meta.endpoint_url)

    monkeypatch.setattr(early, "preconnect_before_clients", note)
    return urls


def connected(opened: list[str], *argv: str) -> list[str]:
    early.connect(list(argv), dict(os.environ))
    return opened


@pytest.mark.parametrize(
    ("words", "urls"),
    [
        pytest.param([], [EAST], id="the least"),
        pytest.param(["--document-name", "A", "--reason", "b"], [EAST], id="more of the command"),
        pytest.param(["--parameters", "a=b", "c=d"], [EAST], id="several words"),
        pytest.param(["--region", "us-west-2"], [WEST], id="a region"),
        pytest.param(["--region=us-west-2"], [WEST], id="a region behind ="),
        pytest.param(["--profile", "own"], ["https://own.example"], id="a profile"),
        pytest.param(["--endpoint-url", "https://own.example"], [], id="an endpoint"),
        pytest.param(["--no-verify-ssl"], [], id="not verifying"),
        pytest.param(["--ca-bundle", "x.pem"], [], id="a bundle"),
        pytest.param(["--debug"], [], id="debug"),
        pytest.param(["--prof", "own"], [], id="an abbreviation"),
        pytest.param(["--profile", "missing"], [], id="a missing profile"),
        pytest.param(["--region", "no region"], [], id="an invalid region"),
        pytest.param(["--reason", "-x"], [], id="a value like an option"),
        pytest.param(["help"], [], id="help"),
        pytest.param(["--generate-cli-skeleton"], [], id="a skeleton"),
    ],
)
def test_connects_for_start_session_command_lines(
    home: Path, opened: list[str], words: list[str], urls: list[str]
) -> None:
    assert connected(opened, *START, *words) == urls


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["ssm", "start-session"], id="no target"),
        pytest.param(["ssm", "describe-sessions", "--target", "i-1"], id="another command"),
        pytest.param(["work", "--target", "i-1"], id="an alias"),
        pytest.param([], id="nothing"),
    ],
)
def test_other_commands_do_not_connect(home: Path, opened: list[str], argv: list[str]) -> None:
    assert connected(opened, *argv) == []


def test_connects_to_region_of_profile(
    home: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    assert connected(opened, *START) == []
    monkeypatch.setenv("AWS_PROFILE", "west")
    assert connected(opened, *START) == [WEST]


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"])
def test_does_not_preconnect_over_plain_http(
    home: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "https://aws.example")
    assert connected(opened, *START) == ["https://aws.example"]
    monkeypatch.setenv(variable, "http://127.0.0.1:4566")
    assert connected(opened, *START) == ["https://aws.example"]


def test_locked_keys_restrict_connections_to_hosts_of_aws(
    home: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "load", lambda _environ: Config(locked=frozenset({"mode"})))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://aws.example")
    assert connected(opened, *START) == []
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS")
    assert connected(opened, *START) == [EAST]


@pytest.mark.parametrize(
    ("age", "ttl", "urls"),
    [
        pytest.param(0, "60", [], id="just now"),
        pytest.param(0, "0", [EAST], id="just now, and caching is off"),
        pytest.param(300, "60", [EAST], id="too long ago"),
        pytest.param(300, "900", [], id="not too long ago"),
    ],
)
def test_usable_cache_entry_prevents_sts_and_iam_connections(
    home: Path,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    age: int,
    ttl: str,
    urls: list[str],
) -> None:
    assert store.DecisionCache(str(home), pytest.fail).write("a" * 64, "{}")
    (entry,) = (home / store.DIRECTORY).iterdir()
    made = entry.stat().st_mtime - age
    os.utime(entry, (made, made))
    monkeypatch.setenv("SSMGATE_CACHE_TTL", ttl)

    assert connected(opened, *START) == urls


def test_lock_file_is_not_cache_entry(home: Path, opened: list[str]) -> None:
    with store.DecisionCache(str(home), pytest.fail).single_flight("a" * 64):
        assert connected(opened, *START) == [EAST]
