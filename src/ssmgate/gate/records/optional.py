"""The recorder of a start. Most machines configure no records, and load only this module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ssmgate.gate.config.load import Config, Records

if TYPE_CHECKING:
    from ssmgate.gate.records.writer import Recorder


class NoRecords:
    """In place of a `Recorder` where no records are configured or required."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}

    def watch(self, clients: Any) -> Any:
        """Return `clients`."""
        return clients

    def decision(self, *_: object, **__: object) -> str:
        """Record nothing, without an error."""
        return ""

    start = decision

    def end(self, *_: object) -> tuple[str, ...]:
        """Return nothing: the end is not recorded."""
        return ()


if TYPE_CHECKING:
    AnyRecorder = Recorder | NoRecords
else:
    AnyRecorder = object


def open_recorder(
    config: Config, environ: Mapping[str, str], pid: int | None = None
) -> AnyRecorder:
    """Return the recorder that `config` wants for a start with `environ`.

    `pid` is the process that becomes the plugin, None for this one.
    """
    if config.records == Records():
        return NoRecords()
    from ssmgate.gate.records.writer import Recorder

    return Recorder(config.records, environ, config.permissive, pid=pid or os.getpid())
