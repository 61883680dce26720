"""A syslog daemon that only collects messages."""

from __future__ import annotations

import json
import os
import socket
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

_SCHEMA = json.loads(resources.files("ssmgate.explain").joinpath("schema.json").read_text())
_RECORD = jsonschema.Draft202012Validator({**_SCHEMA, "oneOf": [{"$ref": "#/$defs/record"}]})


class Log:
    """A syslog socket until `close`. Each message is returned once."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()
        os.unlink(self.path)

    @property
    def texts(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(1 << 16).decode())
            except BlockingIOError:
                return found

    @property
    def records(self) -> list[dict[str, Any]]:
        """Return the records, each validated by the schema."""
        records = [json.loads(text.partition(": ")[2]) for text in self.texts]
        for record in records:
            _RECORD.validate(record)
        return records
