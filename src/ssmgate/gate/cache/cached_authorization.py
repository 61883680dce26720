"""The cached decision about one invocation. The package's docstring describes the protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ssmgate.gate.argv.parse import Invocation
from ssmgate.gate.aws.clients import Clients
from ssmgate.gate.cache import entry, store
from ssmgate.gate.cache.entry import CacheEntry, derive_key
from ssmgate.gate.cache.key import dependencies
from ssmgate.gate.cache.single_flight import SingleFlightLock
from ssmgate.gate.config.load import Config
from ssmgate.gate.decision.decision import Permit, SimulationAttempt
from ssmgate.gate.decision.question import Caller
from ssmgate.gate.decision.request import is_for_ssh


class CachedAuthorization:
    """The cached decision about one document, and the identity of the caller.

    `eprint` writes a line to standard error. The constructor may raise any exception if what a
    decision depends on cannot be determined.
    """

    def __init__(
        self,
        invocation: Invocation,
        clients: Clients,
        config: Config,
        environ: Mapping[str, str],
        eprint: Callable[[str], object],
    ) -> None:
        everything = derive_key(dependencies(invocation, clients, config, environ)).name
        document = invocation.request.document_name
        self._identity_key = derive_key({"of": everything, "kind": "identity"})
        self._permit_key = derive_key({"of": everything, "kind": "permit", "document": document})
        self._clients = clients
        self._expires_at = clients.credentials.expires_at
        self._ttl = config.cache_ttl
        # ssh would show the warning at every connection.
        warns = not is_for_ssh(document or "")
        self._cache = store.DecisionCache(environ["HOME"], eprint, warns=warns)
        self._identity: CacheEntry | None = None
        self._began_at = entry.now()

    def permit(self) -> CacheEntry | None:
        """Return the caller, the questions that were allowed, and IAM's answers, if cached."""
        found = self._read(self._permit_key)
        return found if found and found.questions and found.endpoints else None

    def begin(self) -> Caller | None:
        """Begin to simulate, and return the caller if cached. The TTL of the new entry begins now.

        With a cached caller it began when that entry was created.
        """
        found = self._identity = self._read(self._identity_key)
        self._began_at = found.created_at if found else entry.now()
        return found.caller if found else None

    def single_flight(self) -> AbstractContextManager[SingleFlightLock]:
        """Return the lock under which one process simulates while others wait for its decision."""
        return self._cache.single_flight(self._permit_key.name)

    def store(self, caller: Caller | None, attempt: SimulationAttempt, first: Any) -> bool:
        """Cache the allow decision of `attempt`, simulated since `begin`. Return whether it is one.

        `first` are the questions that were simulated first: answers to others, with tags, are not
        cached. The caller is cached in any case.
        """
        if caller is None:
            return False
        # An unknown path of a role may be known a moment later.
        if self._identity is None and caller.role_path_known:
            self._write(self._identity_key, CacheEntry(caller, self._began_at))
        if not isinstance(attempt.decision, Permit) or attempt.questions != first:
            return False
        found = CacheEntry(
            caller,
            self._began_at,
            attempt.questions,
            attempt.evaluations,
            attempt.controls,
            self._clients.endpoints,
        )
        return self._write(self._permit_key, found)

    def _read(self, key: entry.Key) -> CacheEntry | None:
        now = entry.now()
        if self._expires_at is not None and now.wall >= self._expires_at:
            return None
        text = self._cache.read(key.name)
        return None if text is None else entry.parse(text, key, now, self._ttl)

    def _write(self, key: entry.Key, found: CacheEntry) -> bool:
        return self._cache.write(key.name, entry.serialize(found, key))


def open_cache(
    invocation: Invocation,
    clients: Clients,
    config: Config,
    environ: Mapping[str, str],
    eprint: Callable[[str], object],
) -> CachedAuthorization | None:
    """Return the cache for the decision about `invocation`, None if nothing is cached.

    Nothing is cached if the system's configuration locks keys, as the user's directory is not
    trusted then, or if what the decision depends on cannot be determined.
    """
    if config.locked or not config.cache_ttl or not os.path.isabs(environ.get("HOME", "")):
        return None
    try:
        return CachedAuthorization(invocation, clients, config, environ, eprint)
    except Exception:  # for any error, IAM is called instead
        return None
