"""Which room of ssmgate may import which: the table, its order, and a picture of it.

    python tools/house.py > docs/house.svg

A room is a package below src/ssmgate, or a module at the top; the gate's packages and modules are
rooms of their own. `daemon.client` is the part of the daemon that a session start loads before
anything else. Imports inside functions count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "ssmgate"

_CLIENT = ("client", "peer", "protocol", "location")

_DECIDES = {"gate.decision", "gate.system", "gate.printer", "gate.config"}
_ASKS = {*_DECIDES, "gate.aws", "gate.argv", "gate.cache", "gate.access"}

MAY_IMPORT: dict[str, set[str]] = {
    "gate": set(),
    "gate.printer": set(),
    "gate.decision": {"gate.printer"},
    "gate.system": {"gate.decision"},
    "gate.config": {"gate.decision", "gate.system"},
    "gate.plugin": {"gate.decision", "gate.system", "gate.printer"},
    "gate.records": {"gate.decision", "gate.system", "gate.config"},
    "gate.aws": _DECIDES,
    "gate.argv": {*_DECIDES, "gate.aws"},
    "gate.cache": {*_DECIDES, "gate.aws", "gate.argv"},
    "gate.access": {*_DECIDES, "gate.aws", "gate.argv", "gate.cache"},
    "gate.start": {*_ASKS, "gate.plugin", "gate.records"},
    # Ends a process. What it runs is handed in, and so is the explanation of a denial.
    "gate.process": {"gate.decision", "gate.system", "gate.printer"},
    "policy_language": {"gate.decision"},
    "explain": {*_ASKS, "policy_language"},
    "sandbox": {"gate.decision", "gate.printer", "policy_language"},
    # Comes before the gate: it has to load nearly nothing.
    "daemon.client": {"gate.system", "gate.plugin"},
    "daemon": {
        *_ASKS, "gate.plugin", "gate.start", "gate.process", "daemon.client", "explain",
    },
    "login": {
        *_ASKS, "gate.plugin", "gate.records", "gate.start", "gate.process", "explain",
    },
    "commands": {
        *_ASKS, "gate.process", "explain", "policy_language", "daemon", "daemon.client",
    },
    "__main__": {
        "daemon.client", "daemon", "login", "commands", "explain", "gate.process", "gate.start",
        "gate.access", "gate.decision",
    },
    "__init__": set(),
}  # fmt: skip
"""For each room those that it may import from. It has an order, and a circle has none."""


def order() -> list[str]:
    """Return the rooms, each behind those that it may import.

    Raises `graphlib.CycleError` where there is none.
    """
    return list(TopologicalSorter(MAY_IMPORT).static_order())


def modules() -> list[Path]:
    """Return every module of ssmgate, ordered by path."""
    return sorted(SOURCE.rglob("*.py"))


def room(module: Path) -> str:
    """Return the room of `module`, a path below `SOURCE`."""
    return _room(module.relative_to(SOURCE).with_suffix("").parts)


def imports(module: Path) -> Iterator[str]:
    """Yield the full names that `module` imports anywhere: of modules where they are modules."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module}: relative import")
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if path_of(name) else str(node.module)


def path_of(name: str) -> Path | None:
    """Return the file of the module `name` of ssmgate, None if there is none."""
    if name.partition(".")[0] != "ssmgate":
        return None
    path = SOURCE.joinpath(*name.split(".")[1:])
    for one in (path / "__init__.py", path.with_suffix(".py")):
        if one.is_file():
            return one
    return None


def rooms_imported(module: Path) -> dict[str, str]:
    """Return the rooms that `module` imports from, its own aside, each with a name from there."""
    here = room(module)
    found = {}
    for name in imports(module):
        if name.startswith("ssmgate."):
            there = _room(tuple(name.split(".")[1:]))
            if there != here:
                found[there] = name
    return found


def _room(parts: tuple[str, ...]) -> str:
    if parts[0] == "gate" and len(parts) > 1 and parts[1] != "__init__":
        return f"gate.{parts[1]}"
    if parts[0] == "daemon" and len(parts) > 1 and parts[1] in _CLIENT:
        return "daemon.client"
    return parts[0]
