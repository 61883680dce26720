"""What a command line says of how AWS is called."""

from __future__ import annotations

from typing import Any, Literal

from ssmgate.gate.decision.frozen import frozen


@frozen
class Options:
    """The global options that reach past the parser, as typed.

    `region` and `profile` are what the flags said, None where they were not given: the
    environment and the configuration files are the session's to read. `verify` is botocore's:
    False for --no-verify-ssl, a path for --ca-bundle, else None. `output`, `query` (compiled) and
    `color` are for verbs with an output of their own; None where the flag was not given.
    """

    region: str | None
    profile: str | None
    endpoint_url: str | None
    verify: bool | str | None
    debug: bool
    error_format: str | None
    output: str | None = None
    query: Any = None
    color: str | None = None

    def repeated(self) -> tuple[tuple[str, str | Literal[True] | None], ...]:
        """Return the options that decide who is checked, and where: each name with its value.

        A value is True for a flag, and None for what was not given.
        """
        return (
            ("--profile", self.profile),
            ("--region", self.region),
            ("--endpoint-url", self.endpoint_url),
            ("--ca-bundle", self.verify if isinstance(self.verify, str) else None),
            ("--no-verify-ssl", True if self.verify is False else None),
        )
