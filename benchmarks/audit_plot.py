"""Plot the seconds of an audit over the number of principals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plot import STYLE

_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 40, 480, 300
_TICKS_X = (1_000, 3_000, 10_000, 30_000, 100_000)
_TICKS_Y = (0.1, 0.3, 1, 3, 10, 30, 100)


def fit(points: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Return seconds at start and for each principal: the line through the CPU seconds.

    Least squares of the relative error, so that small numbers weigh as much as large ones.
    """
    rows = [(n / cpu, 1 / cpu) for n, cpu, _ in points]
    xx, x1 = sum(x * x for x, _ in rows), sum(x * one for x, one in rows)
    ones, x, one = sum(u * u for _, u in rows), sum(x for x, _ in rows), sum(u for _, u in rows)
    slope = (x * ones - one * x1) / (xx * ones - x1 * x1)
    return (one - slope * x1) / ones, slope


def plot(points: Sequence[tuple[int, float, float]]) -> str:
    """Return an SVG, both axes logarithmic: CPU and wall clock seconds, and the line that fits."""
    start, slope = fit(points)
    numbers = [10 ** (3 + at / 20) for at in range(41)]
    line = " ".join(f"{_x(n):.0f},{_y(start + slope * n):.0f}" for n in numbers)
    right, bottom = _LEFT + _WIDTH, _TOP + _HEIGHT
    parts = [f'<polyline fill="none" class="aim" points="{line}"/>']
    for value in _TICKS_X:
        x = _x(value)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{bottom}" y2="{bottom + 5}"/>')
        label = f'<text x="{x:.0f}" y="{bottom + 20}" text-anchor="middle">{value:,}</text>'
        parts.append(label)
    for value in _TICKS_Y:
        y = _y(value)
        parts.append(f'<line x1="{_LEFT - 5}" x2="{_LEFT}" y1="{y:.0f}" y2="{y:.0f}"/>')
        label = f'<text x="{_LEFT - 9}" y="{y + 4:.0f}" text-anchor="end">{value:g} s</text>'
        parts.append(label)
    for n, cpu, wall in points:
        for kind, value in (("wall", wall), ("cpu", cpu)):
            parts.append(f'<circle class="{kind}" cx="{_x(n):.0f}" cy="{_y(value):.0f}" r="4"/>')
    key = f"CPU: {start:.2f} s and {slope * 1000:.3f} s for 1,000 principals"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 40} {bottom + 50}"'
            f' width="{right + 40}" font-family="sans-serif" font-size="12">',
            "<title>Seconds of policy audit by the number of principals</title>",
            STYLE,
            f'<rect class="ground" width="{right + 40}" height="{bottom + 50}" rx="6"/>',
            f'<circle class="wall" cx="{_LEFT}" cy="20" r="4"/>',
            f'<text x="{_LEFT + 10}" y="24">wall</text>',
            f'<circle class="cpu" cx="{_LEFT + 60}" cy="20" r="4"/>',
            f'<text x="{_LEFT + 70}" y="24">CPU</text>',
            f'<line class="aim" x1="{_LEFT + 115}" x2="{_LEFT + 135}" y1="20" y2="20"/>',
            f'<text x="{_LEFT + 141}" y="24">{key}</text>',
            f'<line x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>',
            f'<line x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{bottom}"/>',
            f'<text x="{right}" y="{bottom + 38}" text-anchor="end">principals</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _x(number: float) -> float:
    return _LEFT + _WIDTH * (math.log10(number) - 3) / 2


def _y(seconds: float) -> float:
    low, high = math.log10(_TICKS_Y[0]), math.log10(_TICKS_Y[-1])
    return _TOP + _HEIGHT * (high - math.log10(seconds)) / (high - low)
