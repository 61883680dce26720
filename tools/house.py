"""The table of which room of ssmgate may import which, its order, and a picture of it.

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

_CLIENT = ("client", "ending", "peer", "protocol", "location")
_OF_ITS_OWN = {("login", "landlock"): "login.landlock"}

_DECIDES = {"gate.decision", "gate.system", "gate.printer", "gate.waiting", "gate.config"}
_ASKS = {*_DECIDES, "gate.aws", "gate.argv", "gate.cache", "gate.access"}

MAY_IMPORT: dict[str, set[str]] = {
    "gate": set(),
    "gate.exits": set(),
    "gate.decision": {"gate.exits"},
    "gate.printer": {"gate.decision"},
    "gate.waiting": {"gate.decision", "gate.printer"},
    "gate.system": {"gate.decision"},
    "gate.config": {"gate.decision", "gate.system"},
    "gate.plugin": {"gate.decision", "gate.system"},
    "gate.records": {"gate.decision", "gate.system", "gate.config", "gate.printer"},
    "gate.aws": _DECIDES,
    "gate.argv": {*_DECIDES, "gate.aws"},
    "gate.cache": {*_DECIDES, "gate.aws", "gate.argv"},
    "gate.access": {*_DECIDES, "gate.aws", "gate.argv", "gate.cache"},
    "gate.shim": {"gate.argv", "gate.config"},
    "gate.abandoned": _ASKS,
    "gate.start": {*_ASKS, "gate.plugin", "gate.records"},
    "gate.print_error": {
        "gate.decision", "gate.exits", "gate.printer", "gate.system", "gate.argv",
    },
    # Its callers pass the function that it runs, and the one that explains a denial.
    "gate.process": {
        "gate.decision", "gate.system", "gate.printer", "gate.exits", "gate.print_error",
    },
    "policy_language": {"gate.decision"},
    "explain": {*_ASKS, "policy_language"},
    "policy_tools": {"gate.decision", "policy_language", "explain"},
    "sandbox": {"gate.decision", "policy_language"},
    "doctor": {
        *_ASKS, "gate.exits", "gate.plugin", "gate.records", "explain", "daemon.client",
        "login.landlock",
    },
    # Loaded before the gate: it must import very little.
    "daemon.client": {"gate.exits", "gate.system", "gate.plugin"},
    "daemon": {
        *_ASKS, "gate.plugin", "gate.records", "gate.start", "gate.process", "daemon.client",
        "explain",
    },
    # A system call: who reports on a login needs it too, and must not start one.
    "login.landlock": set(),
    "login": {
        *_ASKS, "gate.plugin", "gate.records", "gate.start", "gate.process", "explain",
        "login.landlock",
    },
    "records": {"gate.decision"},
    "commands": {
        *_ASKS, "gate.process", "gate.print_error", "gate.exits", "explain", "policy_language",
        "daemon", "daemon.client", "doctor", "records", "login.landlock",
        "policy_tools",
    },
    "cold_start": {"gate.access", "gate.shim", "gate.start", "gate.decision", "daemon", "explain"},
    "verbs": {"login", "commands", "cold_start"},
    "__main__": {"daemon.client", "verbs", "gate.process", "gate.abandoned", "cold_start"},
    "__init__": set(),
}  # fmt: skip
"""For each room those that it may import from. There must be no cycle."""


def order() -> list[str]:
    """Return the rooms, each after those that it may import.

    Raises `graphlib.CycleError` if there is a cycle.
    """
    return list(TopologicalSorter(MAY_IMPORT).static_order())


def modules() -> list[Path]:
    """Return every module of ssmgate, ordered by path."""
    return sorted(SOURCE.rglob("*.py"))


def room(module: Path) -> str:
    """Return the room of `module`, a path below `SOURCE`."""
    return _room(module.relative_to(SOURCE).with_suffix("").parts)


def imports(module: Path) -> Iterator[str]:
    """Yield the full names of the modules that `module` imports, or imports names from."""
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
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def rooms_imported(module: Path) -> dict[str, str]:
    """Return the other rooms that `module` imports from, each with a name from there."""
    own = room(module)
    rooms = {}
    for name in imports(module):
        if name.startswith("ssmgate."):
            other = _room(tuple(name.split(".")[1:]))
            if other != own:
                rooms[other] = name
    return rooms


def _room(parts: tuple[str, ...]) -> str:
    if parts[0] == "gate" and len(parts) > 1 and parts[1] != "__init__":
        return f"gate.{parts[1]}"
    if parts[:2] in _OF_ITS_OWN:
        return _OF_ITS_OWN[parts[:2]]
    if parts[0] == "daemon" and len(parts) > 1 and parts[1] in _CLIENT:
        return "daemon.client"
    return parts[0]


# The picture.

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN, _SHIFT = 124, 30, 24, 44, 16, 44


def picture() -> str:
    """Return an SVG of the table: a box for each room, above those that it may import.

    It has no arrow between rooms that other arrows connect.
    """
    rows = _rows()
    across = max(map(len, rows))
    width = across * (_WIDTH + _GAP_X) - _GAP_X + 2 * (_MARGIN + _SHIFT)
    height = len(rows) * (_HEIGHT + _GAP_Y) - _GAP_Y + 2 * _MARGIN
    places = {}
    for y, row in enumerate(rows):
        # Rows are shifted, so that no arrow crosses a box below.
        left = (width - len(row) * (_WIDTH + _GAP_X) + _GAP_X) / 2 + (y % 3 - 1) * _SHIFT
        for x, name in enumerate(row):
            places[name] = (left + x * (_WIDTH + _GAP_X), _MARGIN + y * (_HEIGHT + _GAP_Y))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for name, others in _reduced().items():
        x, y = places[name]
        for other in sorted(others):
            to_x, to_y = places[other]
            parts.append(
                f'<line x1="{x + _WIDTH / 2:g}" y1="{y + _HEIGHT:g}" x2="{to_x + _WIDTH / 2:g}"'
                f' y2="{to_y:g}" stroke="#aaa" marker-end="url(#tip)"/>'
            )
    for name, (x, y) in places.items():
        fill = "#dbe9d8" if name.startswith("gate.") else "#eeeeee"
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="4" fill="{fill}"'
            f' stroke="#777"/><text x="{x + _WIDTH / 2:g}" y="{y + _HEIGHT / 2 + 4:g}"'
            f' text-anchor="middle">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _shown() -> dict[str, set[str]]:
    return {name: others for name, others in MAY_IMPORT.items() if name not in ("gate", "__init__")}


def _rows() -> list[list[str]]:
    """Return the rooms in rows, those that import nothing last."""
    depth: dict[str, int] = {}
    for name in order():
        if name in _shown():
            depth[name] = 1 + max((depth[other] for other in MAY_IMPORT[name]), default=-1)
    return [
        [name for name in sorted(depth) if depth[name] == level]
        for level in range(max(depth.values()), -1, -1)
    ]


def _reduced() -> dict[str, set[str]]:
    """Return the table without imports that follow from the others."""
    below: dict[str, set[str]] = {}
    for name in order():
        below[name] = {*MAY_IMPORT[name]}.union(*(below[other] for other in MAY_IMPORT[name]))
    return {
        name: others - set().union(*(below[other] for other in others))
        for name, others in _shown().items()
    }


if __name__ == "__main__":
    print(picture(), end="")
