"""What keeps a run from finding a law: said where the law is told."""

from __future__ import annotations

from gnn_distill.rundir import Run

LITTLE = 0.5
"""Error of the network, as a share of the mean |a|, from which on it has learned little."""


def share(run: Run) -> float | None:
    """The network's mean absolute error on the test set as a share of the mean |a|; None if unknown."""
    test, data = (run.analysis or {}).get("test"), run.data
    if not test or not data:
        return None
    mean = data["mean_abs_acceleration_per_graph"] / (data["particles"] * data["dim"])
    return float(test["mae"] / mean) if mean > 0 else None


def share_text(run: Run) -> str:
    """`6 % of the mean |a|`; empty if unknown."""
    part = share(run)
    return "" if part is None else f"{_percent(part)} of the mean |a|"


def _percent(part: float) -> str:
    return f"{100 * part:.{0 if part >= 0.095 else 1 if part >= 0.0095 else 2}f} %"


def doubts(run: Run) -> list[str]:
    """Sentences about data and network that a reader of the law should know first; usually none."""
    part = share(run)
    learned = (
        []
        if part is None or part < LITTLE
        else [
            f"The network's error is {_percent(part)} of the mean |a|, where always saying zero would have "
            "100 %: it has learned little, so do not trust equations of it."
        ]
    )
    return [*((run.data or {}).get("doubts") or []), *learned]
