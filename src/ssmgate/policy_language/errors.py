"""The error for an invalid policy."""

from __future__ import annotations


class PolicyError(ValueError):
    """A policy is not valid: it is malformed, or has an unknown element or operator.

    `path` is the element with the error (`Statement[0].Condition.StringEqual`). `line`, counted
    from 1, is that of the syntax error or of the statement; None if not known. Nothing was
    evaluated.
    """

    def __init__(self, message: str, path: str = "", line: int | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.line = line
