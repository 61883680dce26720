"""TLS contexts that clients share, and the connections that are opened early."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ssmgate.gate.aws  # noqa: F401 - first: it decides whose botocore is seen
from fakes.scripted_aws import ScriptedAws
from fakes.waiting import until
from ssmgate.gate.aws import held_tls, preconnect
from ssmgate.gate.aws.held_tls import hold_tls, take_held_tls
from ssmgate.gate.aws.preconnect import (
    preconnect_before_clients,
    preconnect_client,
    read_bundle_ahead,
    share_tls,
)
from ssmgate.gate.aws.session import MfaPrompt, new_session


def client(service_name: str, verify: Any, **config: Any) -> Any:
    from botocore.config import Config

    return new_session(MfaPrompt()).create_client(
        service_name,
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        verify=verify,
        config=Config(**config),
    )


def context_of(client: Any) -> Any:
    return client._endpoint.http_session._manager.connection_pool_kw["ssl_context"]


@pytest.mark.parametrize(
    ("verify", "others", "config", "shared"),
    [
        pytest.param(None, None, {}, True, id="the default bundle"),
        pytest.param("a.pem", "a.pem", {}, True, id="one bundle"),
        pytest.param("a.pem", "b.pem", {}, False, id="two bundles"),
        pytest.param("a.pem", False, {}, False, id="one that does not verify"),
        pytest.param(None, None, {"client_cert": "c.pem"}, False, id="a client certificate"),
    ],
)
def test_clients_with_same_settings_share_tls_context(
    verify: Any, others: Any, config: dict[str, Any], shared: bool
) -> None:
    sts, ssm = client("sts", verify), client("ssm", others, **config)

    share_tls(sts, ssm)

    assert (context_of(sts) is context_of(ssm)) is shared


def test_reads_each_bundle_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sts, ssm, iam = (client(name, None) for name in ("sts", "ssm", "iam"))
    read: list[object] = []
    context = context_of(sts)
    monkeypatch.setattr(type(context), "load_verify_locations", lambda _, *a: read.append(a[0]))

    share_tls(sts, ssm)
    share_tls(sts, iam)
    for one in (sts, ssm, iam):
        context_of(one).load_verify_locations("a.pem", None, None)
    context_of(iam).load_verify_locations(cafile="b.pem")

    assert read == ["a.pem", "b.pem"]


def test_retries_unreadable_bundle() -> None:
    sts, ssm = client("sts", None), client("ssm", None)
    share_tls(sts, ssm)
    for one in (sts, ssm):
        with pytest.raises(FileNotFoundError):
            context_of(one).load_verify_locations("missing.pem")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from botocore.httpsession import DEFAULT_CA_BUNDLE

    monkeypatch.setattr(preconnect, "HELD", {})
    monkeypatch.setattr(held_tls, "HELD", preconnect.HELD)
    return str(shutil.copy(DEFAULT_CA_BUNDLE, tmp_path / "bundle.pem"))


def test_reuses_held_context_for_same_bundle(bundle: str) -> None:
    held, other = client("ssm", bundle), client("ssm", bundle)
    hold_tls(held)
    take_held_tls(other)

    assert context_of(other) is context_of(held)
    authorities = len(context_of(other).get_ca_certs())
    assert authorities > 100
    os.unlink(bundle)
    context_of(other).load_verify_locations(bundle, None, None)
    assert len(context_of(other).get_ca_certs()) == authorities


def changed(bundle: str) -> None:
    with open(bundle, "a") as file:
        file.write("\n")


def exchanged(bundle: str) -> None:
    """Exchange the file for another of the same size and time."""
    known = os.stat(bundle)
    os.rename(shutil.copy(bundle, f"{bundle}.new"), bundle)
    os.utime(bundle, ns=(known.st_atime_ns, known.st_mtime_ns))


@pytest.mark.parametrize(
    ("verify", "config", "environ", "spoil"),
    [
        pytest.param("{0}", {}, {}, changed, id="changed since"),
        pytest.param("{0}", {}, {}, exchanged, id="exchanged since"),
        pytest.param("{0}", {}, {}, os.unlink, id="gone"),
        pytest.param("{0}2", {}, {}, lambda path: shutil.copy(path, f"{path}2"), id="a copy"),
        pytest.param(None, {}, {}, lambda _: None, id="the default one"),
        pytest.param(False, {}, {}, lambda _: None, id="not verifying"),
        pytest.param(
            "{0}", {"client_cert": "c.pem"}, {}, lambda _: None, id="a client certificate"
        ),
        pytest.param("{0}", {}, {"SSLKEYLOGFILE": "/keys"}, lambda _: None, id="logging keys"),
    ],
)
def test_does_not_reuse_held_context_with_other_settings(
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    verify: Any,
    config: dict[str, Any],
    environ: dict[str, str],
    spoil: Any,
) -> None:
    held = client("ssm", bundle)
    hold_tls(held)
    spoil(bundle)
    other = client("ssm", verify.format(bundle) if isinstance(verify, str) else verify, **config)
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    take_held_tls(other)

    assert context_of(other) is not context_of(held)


def test_does_not_hold_context_of_missing_bundle(bundle: str) -> None:
    with pytest.raises(FileNotFoundError):
        hold_tls(client("ssm", f"{bundle}2"))
    assert not preconnect.HELD


# Opened before the client is made that needs it.


@pytest.fixture
def nothing_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preconnect, "_early", [])


def sts(url: str, **config: Any) -> Any:
    from botocore.config import Config

    return new_session(MfaPrompt()).create_client(
        "sts",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        verify=config.pop("verify", None),
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def test_uses_early_connection(nothing_early: None, scripted: ScriptedAws) -> None:
    preconnect_before_clients(sts(scripted.url))
    client, another = sts(scripted.url), sts(scripted.url)
    preconnect_client(client)
    client.get_caller_identity()
    assert (scripted.connections, scripted.operations) == (1, ["GetCallerIdentity"])

    preconnect_client(another)
    another.get_caller_identity()
    assert scripted.connections == 2


@pytest.mark.parametrize(
    "difference",
    [
        pytest.param({"path": "/elsewhere"}, id="the address"),
        pytest.param({"verify": False}, id="not verifying"),
        pytest.param({"verify": "a.pem"}, id="the bundle"),
        pytest.param({"connect_timeout": 1}, id="the time to connect"),
        pytest.param({"read_timeout": 1}, id="the time to read"),
        pytest.param({"client_cert": "c.pem"}, id="a client certificate"),
        pytest.param({"max_pool_connections": 3}, id="how many"),
        pytest.param({"proxies": {"https": "http://127.0.0.1:1"}}, id="a proxy of the other kind"),
    ],
)
def test_client_with_other_settings_gets_no_early_connection(
    nothing_early: None, scripted: ScriptedAws, difference: dict[str, Any]
) -> None:
    preconnect_before_clients(sts(scripted.url))
    client = sts(scripted.url + difference.pop("path", ""), **difference)
    own = client._endpoint.http_session
    preconnect_client(client)
    assert client._endpoint.http_session is own
    client.get_caller_identity()
    # The early connection is opened by a thread, perhaps after the request of this one.
    until(lambda: scripted.connections >= 2)
    assert (scripted.connections, scripted.operations) == (2, ["GetCallerIdentity"])


def test_does_not_read_bundle_from_pipe_early(
    nothing_early: None, scripted: ScriptedAws, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    preconnect_before_clients(sts(scripted.url, verify=str(tmp_path / "pipe")))
    assert preconnect._early == []


def test_does_not_read_bundle_of_early_connection_again(
    nothing_early: None, scripted: ScriptedAws
) -> None:
    early, ssm, other = sts(scripted.url), client("ssm", None), client("ssm", False)
    preconnect_before_clients(early)
    read_bundle_ahead(ssm)
    read_bundle_ahead(other)
    assert context_of(ssm) is context_of(early)
    assert context_of(other) is not context_of(early)


@pytest.mark.parametrize(
    "saves_time",
    [share_tls, read_bundle_ahead, take_held_tls, preconnect_client, preconnect_before_clients],
)
def test_ignores_client_without_private_attributes(
    saves_time: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_tls, "HELD", {"a bundle": "its context"})
    monkeypatch.setattr(preconnect, "_early", [])
    bare = SimpleNamespace(_endpoint=SimpleNamespace(http_session=SimpleNamespace()))

    assert saves_time(*[bare] * (2 if saves_time is share_tls else 1)) is None
    assert vars(bare._endpoint.http_session) == {}


@pytest.mark.parametrize(("once", "connected"), [(True, 1), (False, 4)])
def test_check_gives_up_after_connection_timed_out(
    monkeypatch: pytest.MonkeyPatch, once: bool, connected: int
) -> None:
    """Without IAM in a private network, three attempts and one in advance are 20 seconds."""
    from botocore.exceptions import ConnectTimeoutError
    from urllib3.util import connection

    calls: list[object] = []

    def create_connection(address: object, *_: object, **__: object) -> None:
        calls.append(address)
        raise TimeoutError

    monkeypatch.setattr(connection, "create_connection", create_connection)
    iam = client("iam", None, retries={"mode": "standard", "total_max_attempts": 3})
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    preconnect_client(iam, once=once)

    with pytest.raises(ConnectTimeoutError):
        iam.get_user()
    assert calls == [("iam.amazonaws.com", 443)] * connected
