"""What the data of a run are like, as rows of a table and as one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gnn_distill.report.text import number
from gnn_distill.runs.load import Run


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
    extra = f", further columns {', '.join(data['further'])}" if data.get("further") else ""
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


FEATURES = {"m1": "mass", "q1": "charge", "v1": "velocity", "x1": "position", "f1": "further features"}
ENTERS = 0.05
"""A feature that changes scale or offset by less is not named."""


def transform_rows(run: Run) -> list[Fact]:
    """Facts for the table of the page; empty for a run without them."""
    analysis = run.analysis or {}
    return [
        *_selection(analysis),
        *_power(analysis),
        *_network(analysis.get("network_gauge") or {}),
        *_mixing(analysis.get("mixing") or {}),
    ]


def _selection(analysis: dict[str, Any]) -> list[Fact]:
    dims = analysis.get("effective_dimension")
    if not dims:
        return []
    reason = (analysis.get("importance") or {}).get("reason", "")
    selected = ", ".join(map(str, analysis["components"]))
    spread = (
        f"(Σλ)²/Σλ² of the messages' covariance; {dims['components_99']} principal components hold 99 % "
        "of the variance"
    )
    return [
        Fact("components", selected, reason),
        Fact("effective dimension", number(dims["participation_ratio"], 3), spread),
    ]


def _power(analysis: dict[str, Any]) -> list[Fact]:
    gauge = analysis.get("gauge") or {}
    if "p_interval" not in gauge:
        return []
    centred = "each receiver's mean taken off" if gauge.get("centred") else "with a constant offset"
    offset = ", ".join(number(v, 2) for v in gauge["offset_std"])
    return [
        Fact(
            "p by the law",
            _with_interval(gauge["p"], gauge["p_interval"]),
            f"messages ∝ F·m₁^(−p), {centred}",
        ),
        Fact("offset by the law", offset, "spread of receivers' means left over, in standard deviations"),
    ]


def _network(found: dict[str, Any]) -> list[Fact]:
    rows = []
    if found.get("p") is not None:
        meaning = "from the slopes of messages and pull-back when only m₁ is changed; uses no law"
        rows.append(Fact("p read off the network", _with_interval(found["p"], found["p_interval"]), meaning))
    if found.get("offset_std"):
        offset = ", ".join(number(v, 2) for v in found["offset_std"])
        rows.append(
            Fact("offset read off the network", offset, "spread of messages averaged over rotations of Δ")
        )
    for key, name in (("scale", "scale depends on"), ("offset", "offset depends on")):
        entering = {k: v for k, v in (found.get(key) or {}).items() if v is not None and v >= ENTERS}
        if found.get(key):
            named = sorted(entering.items(), key=lambda item: -item[1])
            text = ", ".join(f"{FEATURES.get(k, k)} {number(v, 2)}" for k, v in named) or "nothing"
            what = "median |Δ log| of the scale" if key == "scale" else "change of the offset"
            rows.append(
                Fact(name, text, f"{what} when the receiver has another one's feature; below 0.05 not shown")
            )
    return rows


def _mixing(found: dict[str, Any]) -> list[Fact]:
    if not found.get("matrix"):
        return []
    rows = "; ".join(" ".join(number(v, 3) for v in row) for row in found["matrix"])
    facts = [Fact("mixing matrix B", f"[{rows}]", f"messages ≈ a + B·F, fit to {found['gauge']}")]
    if found.get("condition") is not None:
        facts.append(Fact("its condition number", number(found["condition"], 3), "1: a pure rotation"))
    if found.get("angle") is not None:
        mirror = ", with a reflection" if found["reflection"] else ""
        facts.append(
            Fact("its rotation", f"{number(found['angle'], 3)}°{mirror}", "of the nearest orthogonal matrix")
        )
    return facts


def _with_interval(value: float | None, limits: list[float | None] | None) -> str:
    if not limits or None in limits:
        return number(value, 4)
    return f"{number(value, 4)} [{number(limits[0], 4)}, {number(limits[1], 4)}]"
