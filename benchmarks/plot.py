"""Plot the ratios as bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from report import Row

# With its own background, so that it is readable on light and dark pages.
STYLE = """<style>
.ground { fill: #fff } text { fill: #222 } .group { font-weight: bold }
.wall { fill: #2b6cb0 } .cpu { fill: #d07a1f } line { stroke: #999 } .aim { stroke: #c0182b }
@media (prefers-color-scheme: dark) {
.ground { fill: #161b22 } text { fill: #e2e6ea } .wall { fill: #5a9be0 } .cpu { fill: #e39a4b }
line { stroke: #777 } .aim { stroke: #ff7b72 }
}
</style>"""
_LEFT, _WIDTH, _RIGHT = 300, 430, 70
_BAR, _STEP, _GROUP = 11, 30, 24


def plot(rows: Sequence[Row]) -> str:
    """Return an SVG with two bars per row, the ratios of wall and CPU to bare aws, and the aims."""
    right = _LEFT + _WIDTH
    y, parts = 34, []
    for group, members in groupby(rows, lambda row: row.group):
        parts.append(f'<text class="group" x="14" y="{y + 14}">{escape(group)}</text>')
        y += _GROUP
        for row in members:
            parts += _bars(row, y)
            y += _STEP
        y += 6
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + _RIGHT} {y}"'
            f' width="{right + _RIGHT}" font-family="sans-serif" font-size="12">',
            "<title>A checked start, as a part of what bare aws takes</title>",
            STYLE,
            f'<rect class="ground" width="{right + _RIGHT}" height="{y}" rx="6"/>',
            f'<rect class="wall" x="{_LEFT}" y="10" width="11" height="11"/>',
            f'<text x="{_LEFT + 16}" y="20">wall</text>',
            f'<rect class="cpu" x="{_LEFT + 60}" y="10" width="11" height="11"/>',
            f'<text x="{_LEFT + 76}" y="20">CPU</text>',
            f'<line class="aim" x1="{_LEFT + 120}" x2="{_LEFT + 120}" y1="9" y2="22"'
            ' stroke-width="2"/>',
            f'<text x="{_LEFT + 126}" y="20">aim</text>',
            f'<text x="{right}" y="20" text-anchor="middle">bare aws</text>',
            f'<line x1="{right}" x2="{right}" y1="26" y2="{y - 8}" stroke-dasharray="4 3"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _bars(row: Row, top: int) -> list[str]:
    parts = [f'<text x="{_LEFT - 10}" y="{top + 15}" text-anchor="end">{escape(row.what)}</text>']
    kinds = zip(("wall", "cpu"), row.ratios, (row.aim.wall, row.aim.cpu), strict=True)
    for at, (kind, ratio, aim) in enumerate(kinds):
        y, length = top + at * (_BAR + 1), round(ratio * _WIDTH)
        parts.append(f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{length}" height="{_BAR}"/>')
        label_x = _LEFT + length
        if aim is not None:
            x = _LEFT + round(aim * _WIDTH)
            label_x = max(label_x, x)
            parts.append(
                f'<line class="aim" x1="{x}" x2="{x}" y1="{y - 1}" y2="{y + _BAR + 1}"'
                ' stroke-width="2"/>'
            )
        parts.append(f'<text x="{label_x + 5}" y="{y + 10}" font-size="11">{ratio:.2f}</text>')
    return parts
