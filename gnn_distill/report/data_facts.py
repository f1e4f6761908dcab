"""What the data of a run are like, as rows of a table and as one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gnn_distill.report.story import number
from gnn_distill.rundir import Run


@dataclass(frozen=True)
class Fact:
    """A named number as text, and what it means."""

    name: str
    value: str
    meaning: str = ""


def data_rows(run: Run) -> list[Fact]:
    """What the data are like, for the table of the page; empty for a run that has not written it down."""
    data = run.data
    if not data:
        return []
    near, drift, a = data["closest_approach"], data["energy_drift"], data["abs_acceleration"]
    shape = f"{data['particles']} particles in {data['dim']} dimensions"
    extra = f", {data['extra_features']} further features each" if data["extra_features"] else ""
    rows = [
        Fact("graphs", f"{data['graphs']:,}", shape + extra),
        Fact(_pieces(data), f"{data['trajectories']:,}", f"of {data['frames']:,} frames"),
        Fact("Σ|a| per graph", number(data["mean_abs_acceleration_per_graph"]), "mean over graphs"),
        Fact("median |a|", _plain(a["p50"]), "of one component"),
        Fact("99.9 % of |a| below", _plain(a["p99.9"])),
        Fact("largest |a|", _plain(a["max"])),
    ]
    if near:
        closer = f"1 % of the interacting pairs are closer than {number(near['p1'], 3)}"
        rows.append(Fact("closest approach", number(near["min"], 2), closer))
    if drift:
        text = (
            f"|ΔE| / max(1, |E|), largest of {drift['trajectories']:,} trajectories, median "
            f"{number(drift['median'], 2)}; rounding to float32 alone gives 1e−7 to 1e−5"
        )
        rows.append(Fact("energy drift", number(drift["max"], 2), text))
    if _simulated(run):
        rows.append(Fact("replaced trajectories", f"{data['replaced']:,}", "could not be integrated"))
    return rows


def _simulated(run: Run) -> bool:
    return "simulations" in (run.config.get("dataset") or {})


def _pieces(data: dict[str, Any]) -> str:
    return "trajectories" if data.get("blocks", 1) == 1 else "blocks of time"


def _plain(value: float | None) -> str:
    return f"{value:,.0f}" if value is not None and 1e3 <= value < 1e8 else number(value, 3)


def data_line(run: Run) -> str | None:
    """What the data are like, in one line."""
    data = run.data
    if not data:
        return None
    made = "simulated" if _simulated(run) else "data:"
    near = data["closest_approach"]
    closest = f", closest approach {number(near['min'], 2)}" if near else ""
    return (
        f"{made} {data['trajectories']:,} {_pieces(data)} of {data['frames']:,} frames, "
        f"Σ|a| per graph {number(data['mean_abs_acceleration_per_graph'], 3)}{closest}"
    )
