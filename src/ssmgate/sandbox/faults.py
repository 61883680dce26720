"""The errors that the sandbox answers with, in AWS's words."""

from __future__ import annotations


class ServiceFault(Exception):
    """An error answer: AWS's `code` and `message`, and the HTTP `status`."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
