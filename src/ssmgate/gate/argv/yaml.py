"""YAML 1.2: --cli-input-yaml, and output."""

from __future__ import annotations

import io
import json
from typing import Any

from awscli.argprocess import ParamError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def load(text: str | bytes) -> Any:
    """Return the value of `text`. Raises the CLI's error for invalid YAML."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ParamError("cli-input-yaml", "Invalid YAML received.") from error


def dumped(value: Any) -> str:
    """Return `value` as AWS CLI v2 writes it, but in ASCII, with a line break at its end."""
    if not isinstance(value, dict | list):
        return json.dumps(value) + "\n"  # YAML would mark the end of a scalar by a line "..."
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = False
    output = io.StringIO()
    yaml.dump(json.loads(json.dumps(value)), output)  # an OrderedDict would have a tag
    return output.getvalue()
