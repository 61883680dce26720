"""Make context entries of configured values. Loaded only if there are any."""

from __future__ import annotations

from collections.abc import Mapping

from ssmgate.gate.decision.question import ContextEntry, boolean_word


def context_entry(key_name: str, value: object) -> ContextEntry:
    """Return the context entry of a configured value.

    `value` is a string, a boolean, a number, or a non-empty list of one of these. Raises
    `ValueError` for anything else, and for a key that IAM would not accept.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_ContextEntry.html
    """
    if not 5 <= len(key_name) <= 256:
        raise ValueError("is not a condition key: it must have 5 to 256 characters")
    values = value if isinstance(value, list) else [value]
    kinds = {_kind(key_name, item) for item in values}
    if len(kinds) != 1:
        raise ValueError("must be a string, a boolean, a number or a list of one of these")
    kind = kinds.pop()
    texts = tuple(boolean_word(item) if isinstance(item, bool) else str(item) for item in values)
    return ContextEntry(key_name, kind + "List" if isinstance(value, list) else kind, texts)


def configured_context(context: Mapping[str, object]) -> tuple[ContextEntry, ...]:
    """Return the configuration's `context` table as entries, ordered by key."""
    return tuple(context_entry(name, value) for name, value in sorted(context.items()))


def _kind(key_name: str, value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "numeric"
    if isinstance(value, str):
        return "ip" if key_name.lower() in ("aws:sourceip", "aws:vpcsourceip") else "string"
    raise ValueError("must be a string, a boolean, a number or a list of one of these")
