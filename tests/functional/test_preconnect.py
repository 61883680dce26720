"""Connections over TLS, and connections that open before their requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TARGET, Machine
from fakes.certificates import server_context
from fakes.scripted_aws import ScriptedAws, after, identity, slowly
from fakes.waiting import until

pytestmark = pytest.mark.starts

Make = Callable[[ScriptedAws], Machine]
ARN = "arn:aws:iam::111122223333:user/alice"


def test_starts_over_tls(make: Make, tmp_path: Path) -> None:
    context, bundle = server_context(tmp_path)
    context.num_tickets = 0  # one that comes just before a request costs a connection
    with ScriptedAws(tls=context) as aws:
        machine = make(aws)
        ended = machine.run("--target", TARGET, AWS_CA_BUNDLE=str(bundle))

        assert (ended.returncode, ended.stderr) == (0, "")
        assert aws.operations == ["GetCallerIdentity", "SimulatePrincipalPolicy", "StartSession"]
        # One for each client, and each opened once.
        assert aws.connections == 3
    assert machine.plugin.started


@pytest.mark.parametrize("trusted", ["none", "another"])
def test_sends_nothing_to_untrusted_server(make: Make, tmp_path: Path, trusted: str) -> None:
    context, _ = server_context(tmp_path)
    _, other = server_context(tmp_path, "other")
    with ScriptedAws(tls=context) as aws:
        machine = make(aws)
        environ = {"AWS_CA_BUNDLE": str(other)} if trusted == "another" else {}
        ended = machine.run("--target", TARGET, **environ)

        assert ended.returncode == 254
        assert "CERTIFICATE_VERIFY_FAILED" in ended.stderr
        assert aws.operations == []
    assert not machine.plugin.started


def test_ca_bundle_flag_overrides_environment(make: Make, tmp_path: Path) -> None:
    context, bundle = server_context(tmp_path)
    _, other = server_context(tmp_path, "other")
    with ScriptedAws(tls=context) as aws:
        machine = make(aws)
        words = ("--target", TARGET, "--ca-bundle", str(bundle))

        assert machine.run(*words, AWS_CA_BUNDLE=str(other)).returncode == 0


def test_no_verify_ssl_accepts_any_certificate(make: Make, tmp_path: Path) -> None:
    context, _ = server_context(tmp_path)
    context.num_tickets = 0
    with ScriptedAws(tls=context) as aws:
        machine = make(aws)
        ended = machine.run("--target", TARGET, "--no-verify-ssl", PYTHONWARNINGS="ignore")

        assert ended.returncode == 0, ended.stderr
        assert aws.connections == 3


def test_opens_connections_before_requests(scripted: ScriptedAws, make: Make) -> None:
    go_on = threading.Event()
    scripted.script("GetCallerIdentity", after(go_on, identity(ARN)))
    machine = make(scripted)
    running = threading.Thread(target=machine.run, args=("--target", TARGET))
    running.start()
    scripted.wait_for("GetCallerIdentity")
    until(lambda: scripted.connections >= 3)

    assert scripted.connections == 3
    assert scripted.operations == ["GetCallerIdentity"]
    go_on.set()
    running.join()
    assert machine.plugin.started


def test_does_not_use_old_connection(scripted: ScriptedAws, make: Make) -> None:
    scripted.script("GetCallerIdentity", slowly(identity(ARN), 6))
    machine = make(scripted)

    assert machine.run("--target", TARGET).returncode == 0
    # IAM's and SSM's once more.
    assert scripted.connections == 5


def test_opens_nothing_early_through_proxy(scripted: ScriptedAws, make: Make) -> None:
    """The scripted AWS is its own proxy: it receives absolute addresses."""
    machine = make(scripted)
    away = {"AWS_ENDPOINT_URL": "http://aws.invalid", "http_proxy": scripted.url}
    seen: list[int] = []
    scripted.script("GetCallerIdentity", slowly(identity(ARN), 1))
    running = threading.Thread(
        target=lambda: seen.append(machine.run("--target", TARGET, **away).returncode)
    )
    running.start()
    scripted.wait_for("GetCallerIdentity")
    time.sleep(0.3)

    assert scripted.connections == 1
    running.join()
    assert seen == [0]
