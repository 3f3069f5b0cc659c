"""The charts of the page, as plotly.js takes them: objects with `data` and `layout`.

They are readable at widths from 340 pixels. Names from outside are escaped: plotly.js reads text as
HTML, links included.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Figure = dict[str, Any]
Dot = tuple[str, float, float, int]
"""A name, two shares, and a count."""

BLUE, LIGHT_BLUE, ORANGE, GREY = "#1f5fbf", "#7fb2ea", "#c2500a", "#e8ecf1"
_BLUES = [[0, "#eef3fa"], [0.5, "#6ea3e0"], [1, "#123f86"]]
_FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#1c2330"}
_BAR = 42  # pixels, with its label
_LONGEST_LABEL = 48  # characters above a bar that fit on a phone: a name and a note


def shortened(text: str, length: int) -> str:
    """Return a name in one line; a long one loses its middle, as names often differ at the end."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    return f"{text[: length * 2 // 3].rstrip()}…{text[1 - length + length * 2 // 3 :].lstrip()}"


def escaped(text: str) -> str:
    """Return a text that plotly.js shows as it is: it knows few entities, and none of quotes."""
    return html.escape(text, quote=False)


def stacks(days: Sequence[str], amounts: Mapping[str, Sequence[float]]) -> Figure:
    """Make one bar per day, of an amount in dollars for each name."""
    colors = (BLUE, LIGHT_BLUE)
    data = [
        {"type": "bar", "name": name, "x": days, "y": values, "marker": {"color": color}}
        for (name, values), color in zip(amounts.items(), colors, strict=False)
    ]
    layout = _layout(300, t=34, l=52, b=36)
    layout |= {"barmode": "stack", "bargap": 0.15, "hovermode": "x unified"}
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    layout["xaxis"] |= {"type": "date", "tickformat": "%b %-d", "hoverformat": "%Y-%m-%d"}
    layout["xaxis"]["nticks"] = 6
    layout["yaxis"] |= {"tickprefix": "$", "hoverformat": ",.2f", "rangemode": "tozero"}
    return {"data": data, "layout": layout}


def bars(
    names: Sequence[str],
    notes: Sequence[str],
    values: Sequence[float],
    marked: Sequence[bool],
    whole: float,
) -> Figure:
    """Make horizontal bars, each below its name and a note.

    Args:
        names: On the left.
        notes: On the right.
        values: How long the bars are.
        marked: Which of them are orange.
        whole: The value of a bar of full length.
    """
    places = list(range(len(names)))
    colors = [ORANGE if each else BLUE for each in marked]
    common = {"type": "bar", "orientation": "h", "y": places, "width": 0.34}
    data = [
        {**common, "x": [whole] * len(names), "marker": {"color": GREY}, "hoverinfo": "skip"},
        {
            **common,
            "x": values,
            "marker": {"color": colors},
            "hovertext": [escaped(shortened(name, 90)) for name in names],
            "hoverinfo": "text",
        },
    ]
    layout = _layout(_BAR * len(names) + 12, t=6, l=0, r=0, b=6)
    layout |= {"barmode": "overlay", "hovermode": "closest", "showlegend": False}
    layout["xaxis"] |= {"range": [0, whole], "visible": False}
    layout["yaxis"] |= {"range": [len(names) - 0.6, -0.9], "visible": False}
    room = _LONGEST_LABEL - max(map(len, notes))
    for place, (name, note, color) in enumerate(zip(names, notes, colors, strict=True)):
        right = {"x": 1, "xanchor": "right", "font": {"size": 12, "color": color}}
        layout["annotations"] += [
            _label(shortened(name, room), place),
            _label(note, place, **right),
        ]
    return {"data": data, "layout": layout}


def dots(groups: Mapping[str, Sequence[Dot]], x_title: str, y_title: str) -> Figure:
    """Make a scatter plot of dots whose area is their count.

    Args:
        groups: The dots by the name of their group; the second group is orange.
        x_title: What the first share is.
        y_title: What the second one is.
    """
    greatest = max((count for dots in groups.values() for *_, count in dots), default=1)
    data = []
    for (group, those), color in zip(groups.items(), (BLUE, ORANGE), strict=False):
        names, x, y, counts = map(list, zip(*those, strict=True)) if those else ([], [], [], [])
        size = {"size": counts, "sizemode": "area", "sizeref": 2 * greatest / 22**2, "sizemin": 4}
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": group,
                "x": x,
                "y": y,
                "text": [escaped(shortened(str(name), 40)) for name in names],
                "customdata": counts,
                "marker": {**size, "color": color, "opacity": 0.75},
                "hovertemplate": (
                    f"%{{text}}<br>{x_title}: %{{x:.1%}}<br>{y_title}: %{{y:.1%}}"
                    "<br>%{customdata:,} answers<extra></extra>"
                ),
            }
        )
    layout = _layout(380, t=34, l=58, b=48)
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    layout["legend"]["itemsizing"] = "constant"
    for axis, title in (("xaxis", x_title), ("yaxis", y_title)):
        layout[axis] |= {"tickformat": ".0%", "title": {"text": title}, "nticks": 6}
        layout[axis]["autorangeoptions"] = {"clipmin": -0.04, "clipmax": 1.04}
    return {"data": data, "layout": layout}


def heat(names: Sequence[str], values: Sequence[Sequence[float]], unit: str) -> Figure:
    """Make a heat map with a row of 24 hours per name; darker cells have greater values."""
    data = {
        "type": "heatmap",
        "x": list(range(24)),
        "y": list(range(len(names))),
        "z": values,
        "colorscale": _BLUES,
        "zmin": 0,
        "zmax": max((max(row) for row in values), default=0) or 1,
        "xgap": 1,
        "ygap": _BAR / 2,
        "text": [[escaped(shortened(name, 60))] * 24 for name in names],
        "hovertemplate": f"%{{text}}<br>%{{x}}:00 UTC: %{{z:,}} {unit}<extra></extra>",
        "colorbar": {
            "orientation": "h",
            "thickness": 8,
            "len": 1,
            "y": 1,
            "yanchor": "bottom",
            "nticks": 5,
            "title": {"text": unit, "side": "top"},
        },
    }
    layout = _layout(_BAR * len(names) + 124, t=64, l=0, r=0, b=44)
    layout["xaxis"] |= {"dtick": 3, "title": {"text": "hour of the day, UTC"}, "showgrid": False}
    layout["yaxis"] |= {"range": [len(names) - 0.6, -0.9], "visible": False}
    layout["annotations"] = [
        _label(shortened(name, 40), place, yshift=18) for place, name in enumerate(names)
    ]
    return {"data": [data], "layout": layout}


def _label(text: str, place: int, **where: object) -> Figure:
    """Make a text above a bar, on the left unless `where` says otherwise."""
    above = {"xref": "paper", "x": 0, "xanchor": "left", "y": place, "yshift": 16}
    return {"font": {"size": 12}, **above, **where, "showarrow": False, "text": escaped(text)}


def _layout(height: int, **margins: int) -> Figure:
    axis = {"fixedrange": True, "gridcolor": GREY, "zeroline": False}
    return {
        "height": height,
        "margin": {"t": 10, "r": 10, "b": 10, "l": 10, **margins},
        "font": _FONT,
        "paper_bgcolor": "#fff",
        "plot_bgcolor": "#fff",
        "dragmode": False,  # so that a finger scrolls the page
        "xaxis": dict(axis),
        "yaxis": dict(axis),
        "annotations": [],
    }
