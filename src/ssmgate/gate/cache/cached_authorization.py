"""The decision about one invocation in the cache. The package's docstring has the protocol."""

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


class CachedAuthorization:
    """The cached decision about one document, and the identity of the caller.

    `tell` takes a line for standard error. The constructor may raise anything if what a decision
    depends on cannot be determined.
    """

    def __init__(
        self,
        invocation: Invocation,
        clients: Clients,
        config: Config,
        environ: Mapping[str, str],
        tell: Callable[[str], object],
    ) -> None:
        everything = derive_key(dependencies(invocation, clients, config, environ)).name
        document = invocation.request.document_name
        self._identity_key = derive_key({"of": everything, "kind": "identity"})
        self._permit_key = derive_key({"of": everything, "kind": "permit", "document": document})
        self._clients = clients
        self._expires_at = clients.credentials.expires_at
        self._ttl = config.cache_ttl
        self._cache = store.DecisionCache(environ["HOME"], tell)
        self._identity: CacheEntry | None = None
        self._began_at = entry.now()

    def permit(self) -> CacheEntry | None:
        """Return the caller, the questions that were allowed, and IAM's answers, if cached."""
        found = self._read(self._permit_key)
        return found if found and found.questions and found.endpoints else None

    def begin(self) -> Caller | None:
        """Begin to simulate, and return the caller if cached. The TTL of what is stored begins now.

        With a cached caller it began with that one.
        """
        found = self._identity = self._read(self._identity_key)
        self._began_at = found.created_at if found else entry.now()
        return found.caller if found else None

    def single_flight(self) -> AbstractContextManager[SingleFlightLock]:
        """Let one of many processes that need this decision simulate, while the others wait."""
        return self._cache.single_flight(self._permit_key.name)

    def store(self, caller: Caller | None, attempt: SimulationAttempt, first: Any) -> bool:
        """Cache what may be cached of `attempt`, simulated since `begin`. Return whether it allows.

        `first` are the questions that were simulated first: an answer to others, with tags, is not
        cached.
        """
        if caller is None:
            return False
        # The path of a role that is not known may be known a moment later.
        if self._identity is None and caller.role_path_known:
            self._write(self._identity_key, CacheEntry(caller, self._began_at))
        if not isinstance(attempt.outcome, Permit) or attempt.questions != first:
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
    tell: Callable[[str], object],
) -> CachedAuthorization | None:
    """Return the cache for the decision about `invocation`, None where nothing is cached.

    That is so where the system's configuration locks keys, as the user's own directory cannot be
    trusted there, and where what the decision depends on cannot be determined.
    """
    if config.locked or not config.cache_ttl or not os.path.isabs(environ.get("HOME", "")):
        return None
    try:
        return CachedAuthorization(invocation, clients, config, environ, tell)
    except Exception:  # whatever it is, IAM can be called
        return None
