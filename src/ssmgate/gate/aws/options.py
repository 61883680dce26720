"""The options of a command line that decide how AWS is called."""

from __future__ import annotations

from typing import Any, Literal

from ssmgate.gate.decision.frozen import frozen


@frozen
class Options:
    """The global options that are used after parsing, as typed.

    `region` and `profile` are the options' values, None if they were not given: botocore's session
    reads the environment and the configuration files. `verify` is botocore's:
    False for --no-verify-ssl, a path for --ca-bundle, else None. `output`, `query` (compiled) and
    `color` are for verbs with their own output; None if the option was not given.
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
        """Return the options that decide which principal is checked and where, by name.

        A value is True for a flag, and None for an option that was not given.
        """
        return (
            ("--profile", self.profile),
            ("--region", self.region),
            ("--endpoint-url", self.endpoint_url),
            ("--ca-bundle", self.verify if isinstance(self.verify, str) else None),
            ("--no-verify-ssl", True if self.verify is False else None),
        )
