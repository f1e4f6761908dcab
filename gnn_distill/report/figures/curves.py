"""Figures of the training, of the importance of message dimensions, and of the relative error."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gnn_distill.report.style import BLACK, BLUE, GREY, ORANGE, note, percent, plain_ticks, single
from gnn_distill.runs.load import Run

IMPORTANCE = {
    "std": "standard deviation over test edges",
    "kl": "mean KL divergence from N(0, 1)",
    "trimmed_std": "trimmed standard deviation",
}
FEW_EDGES = 100
LOG_RANGE = 100
PRUNED: dict[str, Any] = {"color": ORANGE, "linewidth": 0.9, "linestyle": ":", "alpha": 0.8, "zorder": 0}


def training(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Training and validation loss, and the active message dimensions, against the epoch."""
    rows = run.metrics
    if not rows:
        return None
    columns = ("train_mae_per_graph", "val_mae_per_graph", "active_dims")
    learned, validated, active = ([row.get(name, np.nan) for row in rows] for name in columns)
    epoch = [row["epoch"] + 1 for row in rows]
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    top, low = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
    top.plot(epoch, learned, marker="o", markersize=3, color=GREY, label="training")
    top.plot(epoch, validated, marker="o", markersize=3, color=BLUE, label="validation")
    top.set(yscale="log", ylabel="Σ |error of a| per graph", title="Loss (mae_per_graph)")
    plain_ticks(top.yaxis)
    label = "dimensions pruned before the epoch"
    for k in range(1, len(rows)):
        if active[k] < active[k - 1]:
            for axes in (top, low):
                axes.axvline(epoch[k] - 0.5, label=label, **PRUNED)
            label = ""
    top.legend()
    low.step(epoch, active, where="mid", color=ORANGE)
    low.set(ylabel="active message\ndimensions", xlabel="epoch", ylim=(0, 1.3 * np.nanmax([*active, 1.0])))
    low.xaxis.set_major_locator(MaxNLocator(integer=True))
    low.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    if np.isfinite(active[-1]):
        end = (epoch[-1], active[-1])
        low.annotate(f"{active[-1]:.0f}", end, (0, 5), textcoords="offset points", ha="center")
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
    figure, axes = single(3.5)
    rank = np.arange(1, len(values) + 1)
    names = ", ".join(str(k) for k in order[chosen])
    axes.bar(rank[chosen], ranked[chosen], color=ORANGE, label=f"selected: {names}")
    if others.any():
        axes.bar(rank[others], ranked[others], color=BLUE, label=f"active, not selected: {others.sum()}")
    active, total = int(mask.sum()), len(values)
    if active < total:
        axes.axvspan(active + 0.5, total + 0.5, color="#EFEFEF", zorder=0)
        place, text = ((active + total) / 2, 0.5), f"{total - active} dimensions pruned"
        axes.annotate(text, place, xycoords=axes.get_xaxis_transform(), ha="center", color="#444444")
    positive = ranked[mask[order] & (ranked > 0)]
    if len(positive) and positive.max() > LOG_RANGE * positive.min():
        axes.set(yscale="log", ylim=(max(positive.min() / 2, positive.max() * 1e-7), positive.max() * 2))
    kind = run.analysis["importance"]["kind"]
    axes.set(
        xlabel="rank of the message dimension", ylabel=IMPORTANCE.get(kind, kind), xlim=(0.4, total + 0.6),
        title="Importance of the message dimensions",
    )  # fmt: skip
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
    return figure


def importance_reason(run: Run) -> str:
    """Why these components, for this run."""
    reason = ((run.analysis or {}).get("importance") or {}).get("reason")
    return f"Selected: {reason}." if reason else ""


def relative_error(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Median relative error per decade: of the pulled-back contribution, and of the fitted messages."""
    table = (run.analysis or {}).get("relative_error", {})
    both = (table.get(name) or [] for name in ("pullback", "messages"))
    pulled, fitted = ([row for row in rows if row["median"]] for rows in both)
    if not pulled:
        return None
    figure, axes = single(4.3)
    axes.axhline(1.0, color=BLACK, linewidth=0.9, linestyle="--", label="error as large as the force itself")
    if fitted:
        _staircase(axes, fitted, ORANGE, "messages, fitted linearly, by $|F|$")
    _staircase(axes, pulled, BLUE, "read through the node model, by $|F|/m_1$")
    below = {row["low"]: row["median"] for row in fitted}
    for row in pulled:
        _edges(axes, row, above=below.get(row["low"], np.inf) < row["median"])
    medians = [row["median"] for row in pulled + fitted] + [1.0]
    axes.set(
        xscale="log", yscale="log", ylim=(min(medians) / 25, max(medians) * 40),
        xlabel="true size: $|F|/m_1$, or $|F|$ for messages", ylabel="median relative error",
        title="Relative error of one pair force, per decade of its size",
    )  # fmt: skip
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: percent(v)))
    axes.legend(loc="upper right")
    few = f"; grey: fewer than {FEW_EDGES}" if any(row["edges"] < FEW_EDGES for row in pulled) else ""
    note(axes, f"at each blue bar: its median and number of edges{few}", "lower left")
    return figure


def _staircase(axes: Axes, rows: list[dict[str, Any]], colour: str, label: str) -> None:
    """A bar at the median of each decade, grey where few edges stand behind it."""
    median, low, high, edges = ([row[name] for row in rows] for name in ("median", "low", "high", "edges"))
    shades = [colour if count >= FEW_EDGES else GREY for count in edges]
    axes.hlines(median, low, high, colors=shades, linewidth=4, alpha=0.9)
    axes.plot([], [], color=colour, linewidth=4, label=label)


def _edges(axes: Axes, row: dict[str, Any], above: bool) -> None:
    axes.annotate(
        f"{percent(row['median'])}\n{row['edges']:,}",
        (np.sqrt(row["low"] * row["high"]), row["median"]),
        (0, 6 if above else -6), textcoords="offset points", ha="center", va="bottom" if above else "top",
        fontsize=8.5, color=BLACK if row["edges"] >= FEW_EDGES else "#666666",
    )  # fmt: skip
