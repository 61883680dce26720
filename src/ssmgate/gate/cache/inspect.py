"""Show and clear the cache, for `ssmgate cache`. Nothing here verifies an entry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from ssmgate.gate.cache import entry
from ssmgate.gate.cache.entry import Timestamp
from ssmgate.gate.cache.store import LOCK, DecisionCache
from ssmgate.gate.system import private_files


def texts(cache: DecisionCache) -> Iterator[str]:
    """Yield the text of every entry in `cache`, empty if it cannot be read."""
    with cache.opened() as directory:
        for name in sorted(os.listdir(directory)) if directory is not None else ():
            if _is_entry(name):
                yield cache.read(name) or ""


def clear(cache: DecisionCache) -> int:
    """Delete everything in `cache`. Return how many entries were deleted."""
    with cache.opened() as directory:
        if directory is not None:
            return sum(map(_is_entry, private_files.delete(directory)))
    return 0


def age(text: str, now: Timestamp) -> float | None:
    """Return how many seconds ago `text` was written, None if it is invalid. For display."""
    try:
        wall, boot = parse_unverified(text)["created_at"]
        ages = (float(now.wall - wall), float(now.boot - boot))
        return max(ages) if min(ages) >= 0 else None
    except entry.INVALID:
        return None


def describe(text: str) -> tuple[str, ...]:
    """Return the ARNs of the caller and the documents in a text that has an `age`. For display.

    The HMAC is not verified: only a session start has the key.
    """
    try:
        body = parse_unverified(text)
        documents = [str(question["resource_arn"]) for question in body["questions"]]
        return (str(body["caller"]["caller_arn"]), *documents)
    except entry.INVALID:
        return ("?",)


def parse_unverified(text: str) -> Any:
    """Return the JSON value of an entry. Its HMAC is not verified."""
    return json.loads(text.partition("\n")[2])


def _is_entry(name: str) -> bool:
    return not name.endswith((LOCK, private_files.UNFINISHED))
