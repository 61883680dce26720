"""YAML 1.2 on the command line: --cli-input-yaml, and the skeleton for it."""

from __future__ import annotations

import json
import sys
from typing import Any

from awscli.argprocess import ParamError
from botocore.utils import ArgumentGenerator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def load(text: str | bytes) -> Any:
    """Return the value of `text`. Raises the CLI's error for invalid YAML."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ParamError("cli-input-yaml", "Invalid YAML received.") from error


def print_skeleton(shape: Any) -> int:
    """Print the skeleton for the members of `shape`, and return the exit status."""
    skeleton = YAML().map()
    # Through JSON, as YAML would write an OrderedDict with a tag.
    skeleton.update(json.loads(json.dumps(ArgumentGenerator().generate_skeleton(shape))))
    for name in shape.required_members:
        skeleton.yaml_add_eol_comment("# [REQUIRED]", name)
    YAML().dump(skeleton, sys.stdout)
    return 0
