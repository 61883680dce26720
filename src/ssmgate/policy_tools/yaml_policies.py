"""Find policies in YAML, with the lines of their statements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ssmgate.policy_tools.problem import InputError

LARGEST = 2_000_000
"""How many bytes a YAML file may have: it is read much more slowly than JSON."""

DEEPEST = 200
"""How deeply it may be nested: the time for each token grows with its depth."""


@dataclass(frozen=True, slots=True)
class YamlPolicy:
    """A policy as decoded JSON, where it begins, and the position of each of its statements.

    With a `problem` it could not be read.
    """

    path: str
    line: int
    document: dict[str, Any]
    statements: tuple[tuple[int, int], ...]
    problem: InputError | None = None


def policies(text: str) -> Iterator[YamlPolicy]:
    """Yield each mapping with a Statement, at any depth, in any document of `text`.

    A policy with a value that a tag such as `!Ref` or `!Sub` computes has a problem. Raises
    InputError for text that is not YAML, and for an alias: a few of them can stand for any amount
    of data.
    """
    for node in _nodes(text):
        try:
            yield from _policies(node, "")
        except RecursionError:
            raise InputError("is nested too deeply") from None


def mapping(text: str) -> Any:
    """Return the first document of `text`: numbers and dates are texts. Raises InputError."""
    node = next(_nodes(text), None)
    try:
        return None if node is None else _value(node)
    except RecursionError:
        raise InputError("is nested too deeply") from None


def _nodes(text: str) -> Iterator[Node | None]:
    depth = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            depth += isinstance(event, CollectionStartEvent)
            depth -= isinstance(event, CollectionEndEvent)
            line = event.start_mark.line + 1
            if isinstance(event, AliasEvent):
                raise InputError("aliases are not supported", f"line {line}")
            if depth > DEEPEST:
                raise InputError("is nested too deeply", f"line {line}")
        yield from YAML(typ="safe", pure=True).compose_all(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
        problem = getattr(error, "problem", None) or type(error).__name__
        raise InputError(f"is not YAML: {problem}", place) from None
    except RecursionError:
        raise InputError("is nested too deeply") from None


def _policies(node: Node | None, path: str) -> Iterator[YamlPolicy]:
    if isinstance(node, MappingNode):
        members = {str(key.value): value for key, value in node.value}
        if "Statement" in members and ("Version" in members or not path):
            found = members["Statement"]
            each = found.value if isinstance(found, SequenceNode) else [found]
            positions = tuple((one.start_mark.line + 1, one.start_mark.column + 1) for one in each)
            line = node.start_mark.line + 1
            try:
                yield YamlPolicy(path, line, _value(node), positions)
            except InputError as error:
                yield YamlPolicy(path, line, {}, positions, error)
            return
        for name, value in members.items():
            yield from _policies(value, f"{path}.{name}" if path else name)
    elif isinstance(node, SequenceNode):
        for number, value in enumerate(node.value):
            yield from _policies(value, f"{path}[{number}]")


def _value(node: Node) -> Any:
    tag = str(node.tag)
    # Without variables, the text of !Sub is its value.
    if tag.startswith("!") and (tag != "!Sub" or "${" in str(node.value)):
        line = node.start_mark.line + 1
        raise InputError(f"{tag} is not evaluated: lint what the template becomes", f"line {line}")
    if isinstance(node, MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                line = key.start_mark.line + 1
                raise InputError(f"{name!r} is in one mapping twice", f"line {line}")
            found[name] = _value(value)
        return found
    if isinstance(node, SequenceNode):
        return [_value(one) for one in node.value]
    if isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:bool":
        return str(node.value).lower() in ("true", "yes", "on")
    # Numbers and dates are texts in a policy, as they are written.
    return str(node.value)
