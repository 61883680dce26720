"""Write the tables in README.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).resolve().parent
RESULTS = Path(os.environ.get("RESULTS", DIRECTORY))
"""Where README.md and the plot are written to."""
BEGIN, END = "<!-- measured -->", "<!-- end -->"


@dataclass(frozen=True)
class Aim:
    """The largest ratios that are acceptable."""

    wall: float | None = None
    cpu: float | None = None


@dataclass(frozen=True)
class Row:
    """One comparison: the medians of bare aws and of ssmgate, in seconds."""

    group: str
    what: str
    runs: int
    bare_wall: float
    wall: float
    bare_cpu: float
    cpu: float
    aim: Aim

    @property
    def ratios(self) -> tuple[float, float]:
        return self.wall / self.bare_wall, self.cpu / self.bare_cpu


@dataclass(frozen=True)
class Bytes:
    """Memory in bytes of bare aws, of ssmgate without a daemon, and with one."""

    what: str
    bare: float
    alone: float
    by_daemon: float

    def __str__(self) -> str:
        values = (self.bare, self.alone, self.by_daemon)
        return " | ".join([self.what, *(f"{value / 1e6:.1f} MB" for value in values)])


def write(
    rows: Sequence[Row], bytes_: Sequence[Bytes], notes: Sequence[str], conditions: str
) -> None:
    """Replace the tables between the markers in README.md."""
    lines = [
        conditions,
        "",
        "![ratios to bare aws](ratios.svg)",
        "",
        "| | runs | bare aws, wall | ssmgate | ratio | aim"
        " | bare aws, CPU | ssmgate | ratio | aim |",
        "| --- |" + " --: |" * 9,
    ]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append(f"| **{group}** | | | | | | | | | |")
        wall, cpu = row.ratios
        lines.append(
            f"| {row.what} | {row.runs}"
            f" | {_ms(row.bare_wall)} | {_ms(row.wall)} | {wall:.2f} | {_aim(row.aim.wall)}"
            f" | {_ms(row.bare_cpu)} | {_ms(row.cpu)} | {cpu:.2f} | {_aim(row.aim.cpu)} |"
        )
    lines += [
        "",
        "| memory (PSS) | bare aws | ssmgate | by a daemon |",
        "| --- | --: | --: | --: |",
    ]
    lines += [f"| {each} |" for each in bytes_]
    lines += ["", *(f"* {note}" for note in notes)]
    text = (DIRECTORY / "README.md").read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    (RESULTS / "README.md").write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def _aim(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
