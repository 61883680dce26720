"""Open the connections of a start in advance, and share one TLS context.

Only connections are opened in advance: a request is never sent before the step of the check that
it belongs to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.exceptions import ConnectTimeoutError
from botocore.httpsession import get_cert_path

from ssmgate.gate.aws.endpoints import url_of

CHECK = ClientConfig(
    connect_timeout=5,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
)
"""How STS and IAM are called, whatever the caller's AWS configuration says: without their answers
no session starts."""

LIST = ClientConfig(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
"""How services are called for lists, which are optional, and for which the user waits."""

CONNECT_SECONDS = 5
"""How long opening in advance may take. If it fails, the request itself connects again."""

HELD: dict[object, Any] = {}
"""TLS contexts by CA bundle, only in the daemon and its workers: see `held_tls`."""

IDLE_SECONDS = 5
"""An unused connection older than this is dropped: the other end may be closing it."""


def default_ca_bundle() -> str:
    """Return the path of the CA bundle that is trusted by default. This takes milliseconds."""
    return str(get_cert_path(True))


def optional(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, which does nothing if private attributes of botocore or urllib3 changed.

    It only saves time: without it the client reads its CA bundle and connects itself.
    """

    def guarded(*clients: Any, **options: Any) -> Any:
        try:
            return function(*clients, **options)
        except (AttributeError, KeyError, TypeError):
            return None

    return guarded


@optional
def share_tls(client: Any, other: Any) -> bool:
    """Give `other` the TLS context of `client`, to read the CA bundle once. Return whether it did.

    Only clients that verify alike share one: both would trust what one of them trusts.
    A client certificate is not shared. Proxies have separate contexts.
    """
    ours, theirs = client._endpoint.http_session, other._endpoint.http_session
    alike = ours._verify == theirs._verify and ours._cert_file is theirs._cert_file is None
    if alike:
        context = ours._manager.connection_pool_kw["ssl_context"]
        theirs._manager.connection_pool_kw["ssl_context"] = reading_once(context)
    return alike


@optional
def read_bundle_ahead(client: Any) -> None:
    """Read the CA bundle for the connections of `client` in the background.

    A thread that connects meanwhile waits for it. Through a proxy it would be another context.
    """
    if _early and share_tls(_early[0].client, client):
        return
    http, url = client._endpoint.http_session, url_of(client)
    if url.startswith("https://") and http._verify and not _proxy(client):
        context = reading_once(http._manager.connection_pool_kw["ssl_context"])
        bundle = get_cert_path(http._verify)
        threading.Thread(target=_read, args=(context, bundle), daemon=True).start()


def _read(context: Any, bundle: str) -> None:
    _leave_signals_to_the_main_thread()
    with contextlib.suppress(Exception):  # connecting will raise it again
        context.load_verify_locations(bundle, None, None)  # as urllib3 will


def reading_once(context: Any) -> Any:
    """Return `context`, changed to read each CA bundle once and not at every connection."""
    if "load_verify_locations" in vars(context):
        return context
    load, lock, read = context.load_verify_locations, threading.Lock(), set()

    def load_once(cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        with lock:
            if (cafile, capath, cadata) not in read:
                load(cafile, capath, cadata)
                read.add((cafile, capath, cadata))

    context.load_verify_locations = load_once
    return context


@optional
def preconnect_client(client: Any, once: bool = False) -> None:
    """Open the connection of the first request of `client`, in the background.

    The request waits for it. Through a proxy nothing is opened in advance: the tunnel would be a
    request to the proxy. With `once`, the request fails if the connection times out, as TCP has
    sent its first packet several times by then. Otherwise the request connects again.
    """
    if once:
        client.meta.events.register_first("needs-retry", _raise_timeout)
    if not _proxy(client):
        ahead = _taken_early(client)
        if ahead is None:
            ahead = _Ahead(client)
            ahead.start()
        ahead.once = once
        client.meta.events.register_first("before-send", ahead.join_in)


def _raise_timeout(caught_exception: Exception | None = None, **_: Any) -> None:
    if isinstance(caught_exception, ConnectTimeoutError):
        raise caught_exception


@optional
def preconnect_before_clients(client: Any) -> None:
    """Open a connection as `client` would, for a similar client of `preconnect_client` later.

    Nothing is opened if its CA bundle may be readable only once, or through a proxy.
    """
    bundle = get_cert_path(client._endpoint.http_session._verify)
    if not _proxy(client) and (bundle is None or os.path.isfile(bundle)):
        read_bundle_ahead(client)
        ahead = _Ahead(client)
        ahead.start()
        _early.append(ahead)


_early: list[_Ahead] = []


def _taken_early(client: Any) -> _Ahead | None:
    """Return the connection opened early, and give it to `client`, if that would open the same."""
    if not _early or _place(_early[0].client) != _place(client):
        return None
    ahead = _early.pop()
    client._endpoint.http_session = ahead.client._endpoint.http_session
    return ahead


def _place(client: Any) -> tuple[object, ...]:
    """Return everything that decides where and how a client connects."""
    http = client._endpoint.http_session
    proxies = http._proxy_config
    return (
        url_of(client),
        *(http._verify, http._cert_file, http._key_file),
        *(proxies._proxies, proxies._proxies_settings),
        *(repr(http._timeout), http._max_pool_connections, http._socket_options),
    )


def _proxy(client: Any) -> Any:
    return client._endpoint.http_session._proxy_config.proxy_url_for(url_of(client))


def _leave_signals_to_the_main_thread() -> None:
    """Block signals in this thread, so that they interrupt the main thread if it waits for AWS."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


class _Ahead(threading.Thread):
    def __init__(self, client: Any) -> None:
        super().__init__(daemon=True)
        self.client = client
        self._http = client._endpoint.http_session
        self._url = url_of(client)
        self._connection: Any = None
        self._error: Exception | None = None
        self._opened = 0.0
        self.once = False

    def run(self) -> None:
        """Open the connection in this thread. An error is stored."""
        _leave_signals_to_the_main_thread()
        try:
            self._open()
        except Exception as error:
            self._error = error  # the request itself will fail again

    def _open(self) -> None:
        pool = self._http._get_connection_manager(self._url).connection_from_url(self._url)
        self._http._setup_ssl_cert(pool, self._url, self._http._verify)
        connection = pool._get_conn()
        try:
            connection.timeout = min(pool.timeout.connect_timeout or 60, CONNECT_SECONDS)
            connection.connect()
        except BaseException:
            connection.close()
            pool._put_conn(None)
            raise
        pool._put_conn(connection)
        self._connection, self._opened = connection, time.monotonic()

    def join_in(self, **_: Any) -> None:
        """Wait until the connection was opened or has failed. Called before a request is sent."""
        self.join()
        connection, self._connection = self._connection, None
        if connection is None:
            error, self._error = self._error, None
            if self.once and type(error).__name__ == "ConnectTimeoutError":  # urllib3's
                raise ConnectTimeoutError(endpoint_url=self._url, error=error)
            return
        if time.monotonic() - self._opened > IDLE_SECONDS or not _is_silent(connection.sock):
            self._http._manager.clear()


def _is_silent(sock: Any) -> bool:
    """Return whether the other end has sent only what belongs to the handshake.

    A TLS 1.3 server sends session tickets after it. urllib3 would take them for the end of the
    connection, and open another one.
    """
    if not isinstance(sock, ssl.SSLSocket):
        return True
    timeout = sock.gettimeout()
    sock.setblocking(False)
    try:
        sock.recv(1)
    except ssl.SSLWantReadError:
        return True
    except OSError:
        return False
    finally:
        sock.settimeout(timeout)
    return False
