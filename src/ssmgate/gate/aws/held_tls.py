"""Read CA bundles once, for clients in the daemon's workers. Loaded only there."""

from __future__ import annotations

import os
from typing import Any

from botocore.httpsession import get_cert_path

from ssmgate.gate.aws.preconnect import HELD, optional, reading_once
from ssmgate.gate.system.file_state import file_state


@optional
def hold_tls(client: Any) -> None:
    """Read the CA bundle of `client` now, for clients in processes forked from this one."""
    http = client._endpoint.http_session
    context = reading_once(http._manager.connection_pool_kw["ssl_context"])
    path = get_cert_path(http._verify)
    known = _state(path)
    context.load_verify_locations(path, None, None)  # as urllib3 will
    if known is not None and known == _state(path):
        HELD[known] = context


@optional
def take_held_tls(client: Any) -> None:
    """Give `client` the TLS context that `hold_tls` has for its CA bundle, if that is unchanged.

    A client certificate, or a file that TLS keys are logged to, needs a separate context.
    """
    http = client._endpoint.http_session
    if not HELD or not http._verify or http._cert_file or os.environ.get("SSLKEYLOGFILE"):
        return
    if (known := _state(get_cert_path(http._verify))) in HELD:
        http._manager.connection_pool_kw["ssl_context"] = HELD[known]


def _state(path: object) -> tuple[object, ...] | None:
    if not isinstance(path, str):
        return None
    state = file_state(path)
    return None if state is None else (path, *state)
