"""One look for all figures: colour-blind-safe, legible, light."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import mathtext
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from gnn_distill.arrays import Array
from gnn_distill.runs.files import atomic
from gnn_distill.runs.load import Run

BLUE, ORANGE, GREEN, PINK, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666", "#1A1A1A"
DENSITY = "Blues"
CELLS = 110
LOOK = matplotlib.rc_params_from_file(
    Path(__file__).with_name("figures.mplstyle"), use_default_template=False
)
Limits = tuple[float, float]


@contextmanager
def look() -> Iterator[None]:
    """Draw inside this block in the house's style; the user's own settings come back after it."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(LOOK)
        try:
            yield
        finally:
            forget_fonts()


def forget_fonts() -> None:
    """Let go of the fonts of formulas that are drawn.

    Matplotlib's STIX fonts cache a method together with its object, so that every formula with a root or a
    bracket would keep its fonts for as long as the process lives.
    """
    with suppress(AttributeError):  # other versions may do better
        mathtext._mathtext.StixFonts.get_sized_alternatives_for_symbol.cache_clear()  # type: ignore[attr-defined]


def save(figure: Figure | None, path: Path) -> bool:
    """Write a PNG atomically; where there is no figure, an old one goes. Returns whether there is one."""
    if figure is None:
        path.unlink(missing_ok=True)
        return False
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
    return True


def single(height: float) -> tuple[Figure, Axes]:
    """A figure as wide as the page's text, `height` inches high, with one pair of axes."""
    figure = Figure(figsize=(6.2, height), layout="constrained")
    return figure, figure.subplots()


def plain_ticks(axis: Axis, minor: bool = True) -> None:
    """Label a logarithmic axis with numbers, not powers of ten; `minor`: also at 2 and 5 of each decade."""
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    if minor:
        axis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else ""))


def percent(share: float, digits: int = 2) -> str:
    """A share in percent, rounded to so many digits and never in powers of ten."""
    return f"{float(f'{100 * share:.{digits}g}'):,.10g} %"


def span(values: Array, shares: Limits) -> Limits:
    """Two quantiles: limits that heavy tails do not move."""
    low, high = np.quantile(values, shares)
    return float(low), float(high)


def binned(x: Array, values: Array, edges: Array, fewest: int) -> tuple[Array, Array]:
    """Medians of x [B] and the 16, 50 and 84 % quantiles of values [3, B] in each bin of x.

    Bins that hold fewer than `fewest` points are left out.
    """
    number = np.digitize(x, edges) - 1
    parts = [part for k in range(len(edges) - 1) if (part := number == k).sum() >= fewest]
    quantiles = np.array([np.quantile(values[part], (0.16, 0.5, 0.84)) for part in parts]).reshape(-1, 3).T
    return np.array([np.median(x[part]) for part in parts]), quantiles


def bars(axes: Axes, x: Array, quantiles: Array, label: str) -> None:
    """Medians with bars from the 16 to the 84 % quantile, as `binned` gives them."""
    low, middle, high = quantiles
    axes.errorbar(
        x, middle, np.stack([middle - low, high - middle]), label=f"{label}: median, 16–84 %",
        fmt="o", markersize=5, color=BLUE, markerfacecolor="white", linewidth=1.2, zorder=5,
    )  # fmt: skip


def density(
    axes: Axes, x: Array, y: Array, xlim: Limits, ylim: Limits, transform: float | None = None
) -> int:
    """Cells shaded by the logarithm of the number of points; returns how many points lie outside.

    Points that are logarithms are drawn at `transform` to their power.
    """
    inside = (x >= xlim[0]) & (x <= xlim[1]) & (y >= ylim[0]) & (y <= ylim[1])
    counts, columns, rows = np.histogram2d(x[inside], y[inside], bins=CELLS, range=(xlim, ylim))
    shade = np.log1p(np.where(counts > 0, counts, np.nan)).T
    if transform is not None:
        columns, rows = transform**columns, transform**rows
        xlim, ylim = (columns[0], columns[-1]), (rows[0], rows[-1])
    axes.pcolormesh(columns, rows, shade, cmap=DENSITY, vmin=-0.3 * np.log1p(counts.max(initial=1)))
    axes.set(xlim=xlim, ylim=ylim)
    return int((~inside).sum())


def in_units(run: Run) -> str:
    """The unit of length behind the name of an axis, as ` [µm]`; empty where it is not known."""
    unit = ((run.data or {}).get("units") or {}).get("length")
    return f" [{unit}]" if unit else ""


def note(axes: Axes, text: str, place: str = "lower right") -> None:
    """A small remark in a corner of the axes."""
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
    x, ha = (0.98, "right") if "right" in place else (0.02, "left")
    y, va = (0.02, "bottom") if "lower" in place else (0.98, "top")
    axes.text(x, y, text, transform=axes.transAxes, fontsize=9, color="#444444", ha=ha, va=va, bbox=box)
