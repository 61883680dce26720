"""The table and the plot in README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).resolve().parent
BEGIN, END = "<!-- measured -->", "<!-- end -->"


@dataclass(frozen=True)
class Row:
    """One comparison: medians of bare aws and of ssmgate, in seconds or bytes."""

    what: str
    runs: int
    bare_wall: float
    wall: float
    bare_cpu: float
    cpu: float

    @property
    def ratios(self) -> tuple[float, float]:
        return self.wall / self.bare_wall, self.cpu / self.bare_cpu


def write(rows: Sequence[Row], notes: Sequence[str], conditions: str) -> None:
    """Put the table between the marks of README.md, and write ratios.svg."""
    lines = [
        conditions,
        "",
        "![ratios to bare aws](ratios.svg)",
        "",
        "| | runs | bare aws, wall | ssmgate | ratio | bare aws, CPU | ssmgate | ratio |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        wall, cpu = row.ratios
        lines.append(
            f"| {row.what} | {row.runs} | {_ms(row.bare_wall)} | {_ms(row.wall)} | {wall:.2f}"
            f" | {_ms(row.bare_cpu)} | {_ms(row.cpu)} | {cpu:.2f} |"
        )
    lines += ["", *(f"* {note}" for note in notes)]
    readme = FOLDER / "README.md"
    text = readme.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")
    (FOLDER / "ratios.svg").write_text(plot(rows))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def plot(rows: Sequence[Row]) -> str:
    """Two bars a row, wall and CPU, as parts of bare aws's, which is the line on the right."""
    left, width, step = 250, 420, 46
    height = step * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 60} {height}"'
        ' font-family="sans-serif" font-size="13">',
        "<title>A checked start, as a part of what bare aws takes</title>",
        f'<rect width="{left + width + 60}" height="{height}" fill="white"/>',
        f'<line x1="{left + width}" y1="24" x2="{left + width}" y2="{height}" stroke="#888"/>',
        f'<text x="{left + width}" y="16" text-anchor="middle">bare aws</text>',
        f'<text x="{left}" y="16" fill="#2b6cb0">wall</text>',
        f'<text x="{left + 40}" y="16" fill="#dd8a2e">CPU</text>',
    ]
    for number, row in enumerate(rows):
        top = 30 + number * step
        parts.append(
            f'<text x="{left - 10}" y="{top + 22}" text-anchor="end">{escape(row.what)}</text>'
        )
        for at, (ratio, colour) in enumerate(zip(row.ratios, ("#2b6cb0", "#dd8a2e"), strict=True)):
            y, bar = top + at * 17, round(ratio * width)
            parts += [
                f'<rect x="{left}" y="{y}" width="{bar}" height="14" fill="{colour}"/>',
                f'<text x="{left + bar + 5}" y="{y + 12}">{ratio:.2f}</text>',
            ]
    return "\n".join([*parts, "</svg>\n"])
