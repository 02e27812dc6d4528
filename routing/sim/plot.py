"""A study as a picture: service level, wait, abandonment and overtakes per class, side by side, with their intervals.

Needs matplotlib (an extra: `plots`), which draws SVG and PNG from the same figure without a display; nothing else of the
product does. Invariant: the same study gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AftercallError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from routing.sim.study import Side, Study

PANELS = (
    ("sl_offered", "service level, % of all offered (sl_offered)", 100.0),
    ("asa_s", "mean wait of the answered (ASA), s", 1.0),
    ("abandonment", "abandoned, % of all offered", 100.0),
    ("most_overtaken", "most often overtaken", 1.0),
)
COLOURS = ("#9aa5b1", "#2f6db5", "#d9822b")
FORMATS = (".svg", ".png")


class NoPlot(AftercallError):
    """A picture cannot be drawn here, or not of this kind."""

    def __init__(self, message: str) -> None:
        super().__init__("routing:plot", message, status=422)


def check_plot(file: Path) -> None:
    """Raises NoPlot when nothing could be drawn into this file: asked before the work, not after it."""
    if file.suffix.lower() not in FORMATS:
        raise NoPlot(f"{file}: pictures are {' or '.join(FORMATS)}")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise NoPlot("pictures need matplotlib: pip install 'aftercall[plots]'") from error


def draw(study: Study, file: Path) -> None:
    """Writes the picture. Raises NoPlot."""
    check_plot(file)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = [name for name in study.sides[0].classes if all(name in side.classes for side in study.sides)]
    with rc_context({"svg.hashsalt": "aftercall", "svg.fonttype": "none", "font.size": 9}):
        picture = Figure(figsize=(11, 7), layout="constrained")
        FigureCanvasAgg(picture)
        picture.suptitle(study.title)
        for axes, (figure, title, scale) in zip(picture.subplots(2, 2).flat, PANELS, strict=True):
            axes.set_title(title, loc="left")
            for number, side in enumerate(study.sides):
                _bars(axes, classes, side, number, len(study.sides), figure, scale)
            axes.set_xticks(range(len(classes)), classes, rotation=30 if len(classes) > 5 else 0)
            axes.set_ylim(0, axes.get_ylim()[1] if any(bar.get_height() for bar in axes.patches) else 1)
            axes.spines[["top", "right"]].set_visible(False)
        handles, labels = picture.axes[0].get_legend_handles_labels()
        picture.legend(handles, labels, loc="outside lower center", ncols=len(study.sides), frameon=False)
        metadata = {"Date": None} if file.suffix.lower() == ".svg" else {"Software": None}
        picture.savefig(file, format=file.suffix.lower()[1:], metadata=metadata, dpi=120)


def _bars(axes: Axes, classes: list[str], side: Side, number: int, of: int, figure: str, scale: float) -> None:
    width = 0.8 / of
    places, heights, halves = [], [], []
    for place, name in enumerate(classes):
        found = side.classes[name].get(figure)
        places.append(place + (number - (of - 1) / 2) * width)
        heights.append(found.mean * scale if found is not None else 0.0)
        halves.append(found.half * scale if found is not None and found.half is not None else 0.0)
    axes.bar(
        places, heights, width, color=COLOURS[number % len(COLOURS)], label=side.name,
        yerr=halves if any(halves) else None, capsize=2, error_kw={"linewidth": 0.8},
    )  # fmt: skip
