from __future__ import annotations

from typing import Any

import pytest

import ssmgate.aws  # noqa: F401 - first: it decides whose botocore is seen
from ssmgate.aws.connections import share_tls
from ssmgate.aws.sessions import MfaPrompt, new_session


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
def test_who_shares(verify: Any, others: Any, config: dict[str, Any], shared: bool) -> None:
    sts, ssm = client("sts", verify), client("ssm", others, **config)

    share_tls(sts, ssm)

    assert (context_of(sts) is context_of(ssm)) is shared


def test_a_bundle_is_read_once_and_another_too(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_bundle_that_cannot_be_read_is_tried_again() -> None:
    sts, ssm = client("sts", None), client("ssm", None)
    share_tls(sts, ssm)
    for one in (sts, ssm):
        with pytest.raises(FileNotFoundError):
            context_of(one).load_verify_locations("missing.pem")
