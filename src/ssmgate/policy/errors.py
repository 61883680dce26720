"""What a policy can be wrong about."""

from __future__ import annotations


class PolicyError(ValueError):
    """A policy is not one that this language has: malformed, or with an unknown word in it.

    `path` says where (`Statement[0].Condition.StringEqual`). Nothing was evaluated.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
