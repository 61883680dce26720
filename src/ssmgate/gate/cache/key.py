"""Answers of STS and IAM that may be used again for seconds: by whom, and for what exactly."""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ssmgate import __version__
from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws import AWSCLI_VERSION, BOTOCORE_VERSION
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.aws.preconnect import DEFAULT_CA_BUNDLE
from ssmgate.gate.cache import entry, store
from ssmgate.gate.cache.entry import CacheEntry, key
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Permit, SimulationAttempt
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.system.file_state import file_state

# Besides AWS_…: what decides where STS and IAM are, and who is believed to be them.
_VARIABLES = (
    "HOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF",
    "HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS",
)  # fmt: skip
_BUNDLE_VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_BUNDLE_KEYS = ("ca_bundle", "proxy_ca_bundle", "proxy_client_cert")


class Answers:
    """What was answered to one question, and who asked it.

    Only a permit of the first look is kept, and who the caller is; never a no, nor what could
    not be told. `tell` takes a line for stderr. May raise anything where it cannot be
    told what an answer depends on.
    """

    def __init__(
        self,
        invocation: Invocation,
        clients: Clients,
        config: Config,
        environ: Mapping[str, str],
        tell: Callable[[str], object],
    ) -> None:
        everything = key(_depends_on(invocation, clients, config, environ)).name
        document = invocation.request.document_name
        self._identity = key({"of": everything, "kind": "identity"})
        self._permit = key({"of": everything, "kind": "permit", "document": document})
        self._clients = clients
        self._expires_at = clients.credentials.expires_at
        self._ttl = config.cache_ttl
        self._folder = store.Folder(environ["HOME"], tell)
        self._identity_kept: CacheEntry | None = None
        self._asked = store.now()

    def permit(self) -> CacheEntry | None:
        """The caller, the questions that were asked and allowed, and the answers."""
        found = self._read(self._permit)
        return found if found and found.questions and found.endpoints else None

    def begin(self) -> Caller | None:
        """Begin to ask: what is kept from here on counts from now. Who the caller is, if known.

        With a kept caller it counts from when that one was asked.
        """
        found = self._identity_kept = self._read(self._identity)
        self._asked = found.made if found else store.now()
        return found.caller if found else None

    @contextlib.contextmanager
    def turn(self) -> Iterator[store.SingleFlightLock]:
        """Of many that ask the same at once, one asks and the others wait for it."""
        with self._folder.turn(self._permit.name) as turn:
            yield turn

    def keep(self, caller: Caller | None, look: SimulationAttempt, first: Any) -> bool:
        """Keep what may be kept of `look`, asked since `begin`. Whether a permit is.

        `first` are the questions that were asked first: an answer to better founded ones, with
        tags, is not kept.
        """
        if caller is None:
            return False
        # A role without its path is one that somebody may be able to tell a moment later.
        if self._identity_kept is None and caller.role_path_known:
            self._write(self._identity, CacheEntry(caller, self._asked))
        if not isinstance(look.outcome, Permit) or look.questions != first:
            return False
        found = CacheEntry(
            caller,
            self._asked,
            look.questions,
            look.evaluations,
            look.controls,
            self._clients.endpoints,
        )
        return self._write(self._permit, found)

    def _read(self, key: entry.Key) -> CacheEntry | None:
        now = store.now()
        if self._expires_at is not None and now.wall >= self._expires_at:
            return None
        text = self._folder.read(key.name)
        return None if text is None else entry.read(text, key, now, self._ttl)

    def _write(self, key: entry.Key, found: CacheEntry) -> bool:
        return self._folder.keep(key.name, entry.write(found, key))


def opened(
    invocation: Invocation,
    clients: Clients,
    config: Config,
    environ: Mapping[str, str],
    tell: Callable[[str], object],
) -> Answers | None:
    """The answers for this start, None where none are kept.

    Nothing is where the system's configuration locks anything: there the user's own folder is
    not to be believed. Nor where it cannot be told what an answer depends on.
    """
    if config.locked or not config.cache_ttl or not os.path.isabs(environ.get("HOME", "")):
        return None
    try:
        return Answers(invocation, clients, config, environ, tell)
    except Exception:  # whatever it is, IAM can be asked
        return None


def _depends_on(
    invocation: Invocation, clients: Clients, config: Config, environ: Mapping[str, str]
) -> dict[str, object]:
    """Everything but the document that decides who is asked, by whom, and what.

    The endpoints of STS and IAM are in it as all that they are made of: the whole AWS
    configuration, every AWS_… variable, the region, and the release of awscli. To ask the
    clients themselves they would have to be made. The checker is in it as configured, and with
    what the AWS files say of it; not with credentials that it gets elsewhere: IAM's answer is
    about the caller, whoever asks.
    """
    options, credentials = invocation.options, clients.credentials
    aws_configuration = invocation.session.full_config
    variables = {
        name: text
        for name, text in environ.items()
        if name.startswith("AWS_") or name.lower().endswith("_proxy") or name in _VARIABLES
    }
    return {
        "versions": [__version__, AWSCLI_VERSION, BOTOCORE_VERSION],
        "user": [os.getuid(), os.geteuid()],
        "machine": store.machine(),
        "credentials": credentials.for_client(),
        "place": [clients.partition, clients.region, clients.ssm.meta.endpoint_url],
        "options": [options.region, options.profile, options.endpoint_url, options.verify],
        "mfa": invocation.mfa.done,
        "configuration": config,
        "aws configuration": aws_configuration,
        "variables": variables,
        "bundles": _bundles(options.verify, aws_configuration, environ),
        "proxies": [urllib.request.getproxies(), _system_proxy_settings()],
    }


def _bundles(
    verify: bool | str | None, aws_configuration: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, object]:
    """The files that say who is believed, as `file_state` tells one from the other."""
    profiles = aws_configuration.get("profiles", {}).values()
    paths = {
        DEFAULT_CA_BUNDLE,
        verify,
        *(environ.get(name) for name in _BUNDLE_VARIABLES),
        *(profile.get(name) for profile in profiles for name in _BUNDLE_KEYS),
    }
    return {path: file_state(path) for path in paths if path and isinstance(path, str)}


def _system_proxy_settings() -> object:
    """For which hosts the system's proxies are not used: macOS has that outside the environment."""
    return getattr(urllib.request, "_get_proxy_settings", dict)()
