"""Where keys are locked, clients connect to permitted endpoints only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import ScriptedAws, credentials
from ssmgate.gate.argv import parse
from ssmgate.gate.aws.clients import Clients, open_clients
from ssmgate.gate.config.load import Checker, Config
from ssmgate.gate.decision.allowed_endpoints import allowed_origin
from ssmgate.gate.decision.errors import ConfigurationProblem

START = ["ssm", "start-session", "--target", "i-1"]
KEYS = "aws_access_key_id = AKIA\naws_secret_access_key = secret\n"
ROLE = "arn:aws:iam::111122223333:role/r"
FILE = """
[default]
{KEYS}
[profile services]
services = s
{KEYS}
[services s]
iam =
  endpoint_url = {URL}
[profile own]
endpoint_url = {URL}
{KEYS}
[profile role]
role_arn = {ROLE}
source_profile = default
[profile role-elsewhere]
role_arn = {ROLE}
source_profile = default
endpoint_url = {URL}
"""


@pytest.fixture
def other_server() -> Iterator[ScriptedAws]:
    with ScriptedAws() as server:
        server.script("AssumeRole", credentials("AKIAROLE"))
        yield server


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch, other_server: ScriptedAws) -> None:
    file = Path(os.environ["HOME"]) / "aws"
    file.write_text(FILE.replace("{KEYS}", KEYS).format(URL=other_server.url, ROLE=ROLE))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # What goes to AWS itself ends here.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")


def opened(config: Config, *words: str) -> Clients:
    invocation = parse.read([*START, *words])
    assert not isinstance(invocation, int)
    clients = open_clients(invocation.session, invocation.options, config)
    clients.asking()
    return clients


def locked(*allowed: str, checker: Checker | None = None) -> Config:
    origins = tuple(str(allowed_origin(one)) for one in allowed)
    return Config(locked=frozenset({"mode"}), allowed_endpoints=origins, checker=checker)


WAYS = [
    pytest.param((), {"AWS_ENDPOINT_URL_STS": "{}"}, "STS", id="STS"),
    pytest.param((), {"AWS_ENDPOINT_URL_IAM": "{}"}, "IAM", id="IAM"),
    pytest.param(("--endpoint-url", "{}"), {}, "StartSession", id="StartSession"),
    pytest.param((), {"AWS_ENDPOINT_URL": "{}"}, "StartSession", id="all"),
    pytest.param(("--profile", "services"), {}, "IAM", id="a services section"),
    pytest.param(("--profile", "own"), {}, "StartSession", id="a profile's own"),
    pytest.param(("--profile", "role-elsewhere"), {}, "StartSession", id="a role's own"),
    pytest.param(("--profile", "role"), {"AWS_ENDPOINT_URL_STS": "{}"}, "STS", id="STS for a role"),
]


@pytest.mark.parametrize(("words", "environ", "service"), WAYS)
def test_denies_endpoint_before_sending(
    monkeypatch: pytest.MonkeyPatch,
    other_server: ScriptedAws,
    words: tuple[str, ...],
    environ: dict[str, str],
    service: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value.format(other_server.url))
    words = tuple(word.format(other_server.url) for word in words)

    with pytest.raises(ConfigurationProblem, match=f"the endpoint of {service} is"):
        opened(locked(), *words)
    assert (other_server.received, other_server.connections) == ([], 0)

    opened(Config(), *words)
    opened(locked(other_server.url), *words)


def test_allows_endpoints_of_aws() -> None:
    endpoints = opened(locked()).endpoints

    assert endpoints is not None
    assert endpoints.shown() == {
        "sts": "https://sts.us-east-1.amazonaws.com",
        "iam": "https://iam.amazonaws.com",
        "ssm": "https://ssm.us-east-1.amazonaws.com",
    }


@pytest.mark.parametrize(
    "checker",
    [
        pytest.param(Checker(profile="own"), id="a profile"),
        pytest.param(Checker(profile="services"), id="a services section"),
        pytest.param(Checker(profile="role-elsewhere"), id="a profile's role"),
        pytest.param(Checker(profile="own", role_arn=ROLE), id="a role of a profile"),
    ],
)
def test_denies_endpoint_of_checker(other_server: ScriptedAws, checker: Checker) -> None:
    with pytest.raises(ConfigurationProblem, match=f"is {other_server.url}") as raised:
        opened(locked(checker=checker))

    assert "about the checker" in raised.value.__notes__[0]
    assert (other_server.received, other_server.connections) == ([], 0)

    endpoints = opened(locked(other_server.url, checker=checker)).endpoints
    assert endpoints is not None
    assert endpoints.iam == other_server.url


def test_rejects_region_without_partition() -> None:
    with pytest.raises(ConfigurationProblem, match="the endpoint of StartSession is"):
        opened(locked(), "--region", "no-region-1")


def test_endpoints_are_unknown_until_clients_are_made() -> None:
    invocation = parse.read(START)
    assert not isinstance(invocation, int)

    assert open_clients(invocation.session, invocation.options).endpoints is None
