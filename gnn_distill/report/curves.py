"""Figures of the training, of the importance of message dimensions, and of the relative error."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from gnn_distill.report.style import BLACK, BLUE, GREY, ORANGE, note
from gnn_distill.rundir import Run

IMPORTANCE = {"std": "standard deviation over test edges", "kl": "mean KL divergence from N(0, 1)"}
FEW_EDGES = 100
LOG_RANGE = 100


def training(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Training and validation loss, and the active message dimensions, against the epoch."""
    rows = run.metrics
    if not rows:
        return None
    epoch = [row["epoch"] + 1 for row in rows]
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    for key, colour, style in (("train", GREY, "-"), ("val", BLUE, "-")):
        values = [row.get(f"{key}_mae_per_graph", np.nan) for row in rows]
        label = {"train": "training", "val": "validation"}[key]
        top.plot(epoch, values, style, marker="o", markersize=3, color=colour, label=label)
    top.set(yscale="log", ylabel="Σ |error of a| per graph", title="Loss (mae_per_graph)")
    top.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    top.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else ""))
    top.legend()
    active = [row.get("active_dims", np.nan) for row in rows]
    low.step(epoch, active, where="mid", color=ORANGE)
    low.set(ylabel="active message\ndimensions", xlabel="epoch", ylim=(0, 1.3 * np.nanmax([*active, 1.0])))
    low.xaxis.set_major_locator(MaxNLocator(integer=True))
    low.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    if np.isfinite(active[-1]):
        low.annotate(
            f"{active[-1]:.0f}", (epoch[-1], active[-1]), (0, 5), textcoords="offset points", ha="center"
        )
    return figure


def importance(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Importance of all message dimensions, most important first; selected and pruned ones marked."""
    if not run.analysis:
        return None
    values = np.array(run.analysis["importance"]["values"], dtype=float)
    mask = np.asarray(arrays["mask"], dtype=bool)
    order = np.argsort(-np.where(mask, values, -np.inf), kind="stable")
    ranked, chosen = values[order], np.isin(order, run.analysis["components"])
    others = ~chosen & mask[order]
    figure = Figure(figsize=(6.2, 3.5), layout="constrained")
    axes = figure.subplots()
    place = np.arange(1, len(values) + 1)
    names = ", ".join(str(k) for k in order[chosen])
    axes.bar(place[chosen], ranked[chosen], color=ORANGE, label=f"selected: {names}")
    if others.any():
        axes.bar(place[others], ranked[others], color=BLUE, label=f"active, not selected: {others.sum()}")
    _mark_pruned(axes, int(mask.sum()), len(values))
    positive = ranked[mask[order] & (ranked > 0)]
    if len(positive) and positive.max() > LOG_RANGE * positive.min():
        axes.set(yscale="log", ylim=(max(positive.min() / 2, positive.max() * 1e-7), positive.max() * 2))
    kind = run.analysis["importance"]["kind"]
    axes.set(
        xlabel="rank of the message dimension",
        ylabel=IMPORTANCE.get(kind, kind),
        xlim=(0.4, len(values) + 0.6),
        title="Importance of the message dimensions",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
    return figure


def _mark_pruned(axes: Axes, active: int, total: int) -> None:
    if active == total:
        return
    axes.axvspan(active + 0.5, total + 0.5, color="#EFEFEF", zorder=0)
    where = axes.get_xaxis_transform()
    text = f"{total - active} dimensions pruned"
    axes.text((active + total) / 2, 0.5, text, ha="center", color="#444444", transform=where)


def relative_error(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Median relative error of the pulled-back contribution, per decade of the true pair acceleration."""
    rows = (run.analysis or {}).get("relative_error", {}).get("pullback")
    rows = [row for row in rows or [] if row["median"]]
    if not rows:
        return None
    figure = Figure(figsize=(6.2, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.axhline(1.0, color=BLACK, linewidth=0.9, linestyle="--", label="error as large as the force itself")
    for row in rows:
        _decade(axes, row)
    low, high = (f([row["median"] for row in rows] + [1.0]) for f in (min, max))
    axes.set(
        xscale="log",
        yscale="log",
        ylim=(low / 3, high * 12),
        xlabel="true pair acceleration $|F|/m_1$",
        ylabel="median of $|c - F/m_1|\\,/\\,(|F|/m_1)$",
        title="Relative error of one pair contribution, per decade of its size",
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    axes.legend(loc="upper right")
    few = f"; grey: fewer than {FEW_EDGES}" if any(row["edges"] < FEW_EDGES for row in rows) else ""
    note(axes, f"above each bar: median and number of edges{few}", "lower left")
    return figure


def _decade(axes: Axes, row: dict[str, Any]) -> None:
    enough = row["edges"] >= FEW_EDGES
    axes.plot([row["low"], row["high"]], [row["median"]] * 2, color=BLUE if enough else GREY, linewidth=4)
    axes.annotate(
        f"{_percent(row['median'])}\n{row['edges']:,}",
        (np.sqrt(row["low"] * row["high"]), row["median"]),
        (0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=8.5,
        color=BLACK if enough else "#666666",
    )


def _percent(share: float) -> str:
    return f"{float(f'{100 * share:.2g}'):,g} %"
