"""What a policy can be wrong about."""

from __future__ import annotations


class PolicyError(ValueError):
    """A policy is not one that this language has: malformed, or with an unknown word in it.

    `path` says where (`Statement[0].Condition.StringEqual`), and `line`, from 1, where the text
    or the statement begins to be wrong; None where that is not known. Nothing was evaluated.
    """

    def __init__(self, message: str, path: str = "", line: int | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.line = line
