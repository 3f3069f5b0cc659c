"""A chart of how wall time falls with the number of shards, as SVG, and of what bounds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.chart import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# All in pixels.
WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 84, 44
LINE, STEP = 22, 5
LINES = """
  .line { fill: none; stroke: currentColor; stroke-width: 2 } .limit { stroke-dasharray: 6 4 }
  .axis { color: #8c959f; stroke-width: 1 }
"""


@dataclass(frozen=True)
class Curve:
    """The runs of one account.

    Attributes:
        title: What it is called.
        seconds: The wall time by the number of shards.
        limit: Seconds that it takes at least, however many there are.
    """

    title: str
    seconds: dict[int, float]
    limit: float


def draw(title: str, limit: str, curves: Sequence[Curve]) -> str:
    """Draw a curve of each account, and a dashed line for its limit."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}{LINES}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            f'<text x="{LEFT}" y="22" font-weight="600">{title}</text>',
            *_Drawing(curves).parts(limit),
            "</svg>",
            "",
        ]
    )


class _Drawing:
    """Places what is drawn: the first number of shards on the left, each double one step on."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self._curves = curves
        self._counts = sorted({count for curve in curves for count in curve.seconds})
        self._most = max(max(curve.seconds.values()) for curve in curves)

    def _x(self, count: float) -> float:
        first, last = math.log2(self._counts[0]), math.log2(self._counts[-1])
        share = (math.log2(count) - first) / ((last - first) or 1)
        return LEFT + 16 + share * (WIDTH - LEFT - RIGHT - 32)

    def _y(self, seconds: float) -> float:
        return HEIGHT - BOTTOM - seconds / self._most * (HEIGHT - TOP - BOTTOM)

    def parts(self, limit: str) -> Iterator[str]:
        """Yield all but the frame."""
        for number, curve in enumerate(self._curves):
            yield from self._curve(number, curve)
            yield from self._legend(number, curve, limit)
        bottom = HEIGHT - BOTTOM
        for count in self._counts:
            what = "shard" if count == 1 else "shards"
            x = f"{self._x(count):g}"
            yield f'<text x="{x}" y="{bottom + 26}" text-anchor="middle">{count} {what}</text>'
        yield f'<path class="line axis" d="M{LEFT} {TOP - 8}V{bottom}H{WIDTH - RIGHT}"/>'
        for share in (0.5, 1):
            seconds = share * self._most
            y = f"{self._y(seconds) + STEP:g}"
            yield f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{seconds:.0f} s</text>'

    def _curve(self, number: int, curve: Curve) -> Iterator[str]:
        points = [(n, self._x(n), self._y(s), s) for n, s in sorted(curve.seconds.items())]
        line = " ".join(f"{x:.1f},{y:.1f}" for _, x, y, _ in points)
        yield f'<polyline class="bar{number} line" points="{line}"/>'
        for count, x, y, seconds in points:
            yield f'<circle class="bar{number}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            is_upper = seconds == max(one.seconds.get(count, 0) for one in self._curves)
            beside = y - 7 if is_upper else y + 18  # curves may be close to each other
            yield f'<text x="{x + 7:.1f}" y="{beside:.1f}">{seconds:.0f}</text>'
        limit = f"M{LEFT} {self._y(curve.limit):.1f}H{WIDTH - RIGHT}"
        yield f'<path class="bar{number} line limit" d="{limit}"/>'

    def _legend(self, number: int, curve: Curve, limit: str) -> Iterator[str]:
        y = 44 + number * LINE
        yield f'<path class="bar{number} line" d="M{LEFT} {y - STEP}h24"/>'
        yield f'<text x="{LEFT + 32}" y="{y}">{curve.title}</text>'
        middle = (WIDTH + LEFT) // 2
        yield f'<path class="bar{number} line limit" d="M{middle} {y - STEP}h24"/>'
        yield f'<text x="{middle + 32}" y="{y}">{limit}: {curve.limit:.0f} s</text>'
