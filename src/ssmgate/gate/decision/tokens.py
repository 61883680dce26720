"""Keep session tokens out of what a service answers instead of a session."""

from __future__ import annotations

import re

# Tokens are base64, of at most 300 characters, and in practice of more than 200. Names are shorter
# or stand in ARNs. https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_StartSession.html
_WORD = re.compile(r"\S+")
_LONG = re.compile(r"[A-Za-z0-9+/=_%-]{65,}")


def masked(text: str) -> str:
    """Return `text` with whatever may be a token in it replaced: long words, except in ARNs."""

    def word(match: re.Match[str]) -> str:
        found = match[0]
        if found.lstrip("\"'(").startswith("arn:aws"):
            return found
        return _LONG.sub(lambda long: f"[{len(long[0])} characters, not shown]", found)

    return _WORD.sub(word, text)
