"""A chart of wall times, as SVG: bars to the right, one per peer and latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.results import Result

# All in pixels.
WIDTH, LEFT, RIGHT = 760, 180, 80
TOP, BAR, GAP, BOTTOM = 56, 14, 14, 12
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .ground { fill: #ffffff }
  .bar0 { color: #1f6feb } .bar1 { color: #d4730b }
  .bar2 { color: #2da44e } .bar3 { color: #8250df }
  .bar0, .bar1, .bar2, .bar3 { fill: currentColor }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ground { fill: #0d1117 }
    .bar0 { color: #58a6ff } .bar1 { color: #f0a33f }
    .bar2 { color: #56d364 } .bar3 { color: #bc8cff }
  }
"""


def draw(results: Sequence[Result]) -> str:
    """Draw the medians of the wall time; peers and latencies keep their order."""
    latencies = list(dict.fromkeys(result.latency for result in results))
    titles = list(dict.fromkeys(result.peer.title for result in results))
    height = TOP + len(titles) * (len(latencies) * BAR + GAP) + BOTTOM
    longest = max(result.seconds for result in results)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>Seconds to read {results[0].expected:,} pools, less is better</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
            *_legend(latencies, results[0].expected),
            *_bars(results, latencies, titles, (WIDTH - LEFT - RIGHT) / longest),
            "</svg>",
            "",
        ]
    )


def _legend(latencies: Sequence[int], pools: int) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="22" font-weight="600">Seconds to read {pools:,} pools</text>'
    for number, latency in enumerate(latencies):
        x = LEFT + number * 160
        yield f'<rect class="bar{number}" x="{x}" y="34" width="{BAR}" height="{BAR - 2}" rx="2"/>'
        yield f'<text x="{x + BAR + 6}" y="45">{latency} ms a request</text>'


def _bars(
    results: Sequence[Result], latencies: Sequence[int], titles: Sequence[str], scale: float
) -> Iterator[str]:
    """Draw each peer's bars below its predecessor's; `scale` is in pixels a second."""
    step = len(latencies) * BAR + GAP
    for number, title in enumerate(titles):
        y = TOP + number * step + GAP / 2
        middle = y + len(latencies) * BAR / 2
        yield f'<text x="{LEFT - 10}" y="{middle + 5:g}" text-anchor="end">{title}</text>'
        for result in results:
            if result.peer.title != title:
                continue
            place = latencies.index(result.latency)
            top, width = y + place * BAR, result.seconds * scale
            told = f"{result.seconds:.1f}" + (" (not all)" if result.wrong else "")
            yield (
                f'<rect class="bar{place}" x="{LEFT}" y="{top:g}" width="{width:.1f}"'
                f' height="{BAR - 2}" rx="2"/>'
            )
            yield f'<text x="{LEFT + width + 6:.1f}" y="{top + BAR - 3:g}">{told}</text>'
