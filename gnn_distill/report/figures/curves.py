"""Figures of the training, of the importance of message dimensions, and of the relative error."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gnn_distill.report.style import BLACK, BLUE, GREY, ORANGE, note
from gnn_distill.runs.load import Run

IMPORTANCE = {
    "std": "standard deviation over test edges",
    "kl": "mean KL divergence from N(0, 1)",
    "trimmed_std": "trimmed standard deviation",
}
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
    pruned = [k for k, (before, now) in enumerate(zip(active, active[1:], strict=False), 1) if now < before]
    for k in pruned:
        for axes in (top, low):
            axes.axvline(epoch[k] - 0.5, color=ORANGE, linewidth=0.9, linestyle=":", alpha=0.8, zorder=0)
    if pruned:
        top.plot(
            [], [], color=ORANGE, linewidth=0.9, linestyle=":", label="dimensions pruned before the epoch"
        )
        top.legend()
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
    """Median relative error per decade: of the pulled-back contribution, and of the fitted messages."""
    table = (run.analysis or {}).get("relative_error", {})
    pulled, fitted = (
        [row for row in table.get(name) or [] if row["median"]] for name in ("pullback", "messages")
    )
    if not pulled:
        return None
    figure = Figure(figsize=(6.2, 4.3), layout="constrained")
    axes = figure.subplots()
    axes.axhline(1.0, color=BLACK, linewidth=0.9, linestyle="--", label="error as large as the force itself")
    if fitted:
        _staircase(axes, fitted, ORANGE, "messages, fitted linearly, by $|F|$")
    _staircase(axes, pulled, BLUE, "read through the node model, by $|F|/m_1$")
    below = {row["low"]: row["median"] for row in fitted}
    for row in pulled:
        _edges(axes, row, above=below.get(row["low"], np.inf) < row["median"])
    medians = [row["median"] for row in pulled + fitted] + [1.0]
    axes.set(
        xscale="log",
        yscale="log",
        ylim=(min(medians) / 25, max(medians) * 40),
        xlabel="true size: $|F|/m_1$, or $|F|$ for messages",
        ylabel="median relative error",
        title="Relative error of one pair force, per decade of its size",
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _percent(v)))
    axes.legend(loc="upper right")
    few = f"; grey: fewer than {FEW_EDGES}" if any(row["edges"] < FEW_EDGES for row in pulled) else ""
    note(axes, f"at each blue bar: its median and number of edges{few}", "lower left")
    return figure


def _staircase(axes: Axes, rows: list[dict[str, Any]], colour: str, label: str) -> None:
    for k, row in enumerate(rows):
        enough = row["edges"] >= FEW_EDGES
        axes.plot(
            [row["low"], row["high"]], [row["median"]] * 2, color=colour if enough else GREY, linewidth=4,
            alpha=0.9, solid_capstyle="butt",
        )  # fmt: skip
        if k == 0:
            axes.plot([], [], color=colour, linewidth=4, label=label)


def _edges(axes: Axes, row: dict[str, Any], above: bool) -> None:
    axes.annotate(
        f"{_percent(row['median'])}\n{row['edges']:,}",
        (np.sqrt(row["low"] * row["high"]), row["median"]),
        (0, 6 if above else -6),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        fontsize=8.5,
        color=BLACK if row["edges"] >= FEW_EDGES else "#666666",
    )


def _percent(share: float) -> str:
    return f"{float(f'{100 * share:.2g}'):,.10g} %"
