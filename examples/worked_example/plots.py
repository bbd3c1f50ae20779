"""The page's plots as SVG. Only here is matplotlib needed (`pip install "consentryd[docs]"`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

_STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "worked example",  # the same answers give the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.figsize": (7, 3),
    "figure.constrained_layout.use": True,
}
_DARK, _LIGHT = "#1f5673", "#c8553d"


def write_plots(answers: Mapping[str, Any], folder: Path) -> list[Path]:
    """One file for each plot; where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context(_STYLE):
        for name, draw in _PLOTS.items():
            figure = draw(answers[name])
            path = folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None, "Creator": None})
            plt.close(figure)
            path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
            written.append(path)
    return written


def _weeks(answer: Any) -> Any:
    figure, axes = plt.subplots()
    visitors, _, ratio = answer["series"]
    days = [point["start"][5:10] for point in visitors["values"]]
    axes.bar(days, [point["value"] for point in visitors["values"]], color=_DARK)
    axes.set_ylabel("visitors", color=_DARK)
    other = axes.twinx()
    other.plot(days, [100 * point["value"] for point in ratio["values"]], color=_LIGHT, marker="o")
    other.set_ylim(bottom=0)
    other.set_ylabel("% that bought", color=_LIGHT)
    axes.set_xlabel("week from")
    return figure


def _funnel(answer: Any) -> Any:
    figure, axes = plt.subplots()
    names, counts = [step["name"] for step in answer["steps"]], [step["count"] for step in answer["steps"]]
    axes.barh(names[::-1], counts[::-1], color=_DARK)
    for place, count in enumerate(counts[::-1]):
        axes.annotate(f" {count:,} ({count / counts[0]:.1%})", (count, place), va="center")
    axes.set_xlim(right=counts[0] * 1.25)
    axes.set_xlabel("people")
    return figure


def _retention(answer: Any) -> Any:
    figure, axes = plt.subplots()
    for row, colour in zip(answer["cohorts"], (_DARK, _LIGHT, "#7a9e7e"), strict=True):
        shares = [100 * share for share in row["shares"][1:]]
        axes.plot(range(1, len(shares) + 1), shares, marker="o", color=colour, label=f"{row['start'][:10]} ({row['size']})")
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(1, 5))
    axes.set_xlabel("weeks after the first product view")
    axes.set_ylabel("% back")
    axes.legend(title="cohort (people)", frameon=False)
    return figure


def _experiment(answer: Any) -> Any:
    figure, (left, right) = plt.subplots(1, 2)
    control, treated = answer["controls"][0], answer["arms"][0]
    left.bar(["A", "B"], [100 * control["mean"], 100 * treated["mean"]], color=[_DARK, _LIGHT])
    left.set_ylabel("% that ordered")
    low, high = (100 * end for end in treated["interval"])
    middle = 100 * treated["effect"]
    right.errorbar([middle], [0], xerr=[[middle - low], [high - middle]], fmt="o", color=_LIGHT, capsize=4)
    right.axvline(0, color="grey", linewidth=1)
    right.set_yticks([])
    right.set_xlabel("B minus A, % points, 95 % interval")
    return figure


_PLOTS: Final[dict[str, Callable[[Any], Any]]] = {
    "weeks": _weeks,
    "funnel": _funnel,
    "retention": _retention,
    "experiment": _experiment,
}
