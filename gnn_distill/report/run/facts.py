"""What the data of a run are like, as rows of a table and as one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gnn_distill.report.text import number
from gnn_distill.runs.load import Run


class Fact(NamedTuple):
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
        of = f"|ΔE| / max(1, |E|), largest of {drift['trajectories']:,} trajectories"
        median = f"median {number(drift['median'], 2)}; rounding to float32 alone gives 1e−7 to 1e−5"
        rows.append(Fact("energy drift", number(drift["max"], 2), f"{of}, {median}"))
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
    a = number(data["mean_abs_acceleration_per_graph"], 3)
    count = f"{data['trajectories']:,} {_pieces(data)} of {data['frames']:,} frames"
    return f"{made} {count}, Σ|a| per graph {a}{closest}"


FEATURES = {"m1": "mass", "q1": "charge", "v1": "velocity", "x1": "position", "f1": "further features"}
ENTERS = 0.05
"""A feature that changes scale or offset by less is not named."""


def transform_rows(run: Run) -> Iterator[Fact]:
    """Facts for the table of the page; none for a run without them."""
    analysis = run.analysis or {}
    if dims := analysis.get("effective_dimension"):
        reason = (analysis.get("importance") or {}).get("reason", "")
        yield Fact("components", ", ".join(map(str, analysis["components"])), reason)
        spread = f"{dims['components_99']} principal components hold 99 % of the variance"
        ratio = number(dims["participation_ratio"], 3)
        yield Fact("effective dimension", ratio, f"(Σλ)²/Σλ² of the messages' covariance; {spread}")
    gauge = analysis.get("gauge") or {}
    if "p_interval" in gauge:
        centred = "each receiver's mean taken off" if gauge.get("centred") else "with a constant offset"
        yield Fact("p by the law", _with_interval(gauge), f"messages ∝ F·m₁^(−p), {centred}")
        left = "spread of receivers' means left over, in standard deviations"
        yield Fact("offset by the law", _numbers(gauge["offset_std"], ", ", 2), left)
    yield from _network(analysis.get("network_gauge") or {})
    mixing = analysis.get("mixing") or {}
    if mixing.get("matrix"):
        rows = "; ".join(_numbers(row, " ", 3) for row in mixing["matrix"])
        yield Fact("mixing matrix B", f"[{rows}]", f"messages ≈ a + B·F, fit to {mixing['gauge']}")
        if mixing.get("condition") is not None:
            yield Fact("its condition number", number(mixing["condition"], 3), "1: a pure rotation")
        if mixing.get("angle") is not None:
            turn = f"{number(mixing['angle'], 3)}°{', with a reflection' if mixing['reflection'] else ''}"
            yield Fact("its rotation", turn, "of the nearest orthogonal matrix")


def _network(found: dict[str, Any]) -> Iterator[Fact]:
    """The gauge as the network itself shows it, without a law."""
    if found.get("p") is not None:
        meaning = "from the slopes of messages and pull-back when only m₁ is changed; uses no law"
        yield Fact("p read off the network", _with_interval(found), meaning)
    if found.get("offset_std"):
        spread = "spread of messages averaged over rotations of Δ"
        yield Fact("offset read off the network", _numbers(found["offset_std"], ", ", 2), spread)
    for key, what in (("scale", "median |Δ log| of the scale"), ("offset", "change of the offset")):
        if not found.get(key):
            continue
        entering = [(v, k) for k, v in found[key].items() if v is not None and v >= ENTERS]
        entering.sort(key=lambda item: -item[0])
        text = ", ".join(f"{FEATURES.get(k, k)} {number(v, 2)}" for v, k in entering) or "nothing"
        meaning = f"{what} when the receiver has another one's feature; below {ENTERS} not shown"
        yield Fact(f"{key} depends on", text, meaning)


def _numbers(values: Sequence[float | None], between: str, digits: int) -> str:
    return between.join(number(v, digits) for v in values)


def _with_interval(found: dict[str, Any]) -> str:
    """The power p with its interval, where that is known."""
    limits = found["p_interval"]
    known = limits and None not in limits
    return number(found["p"]) + (f" [{_numbers(limits, ', ', 4)}]" if known else "")
