"""What keeps a run from finding a law: said where the law is told."""

from __future__ import annotations

from gnn_distill.rundir import Run

LITTLE = 0.5
"""Error of the network, as a share of the mean |a|, from which on it has learned little."""


def share(run: Run, mae: float | None) -> float | None:
    """A mean absolute error of test accelerations as a share of the mean |a|; None if unknown."""
    data = run.data
    if mae is None or not data:
        return None
    mean = data["mean_abs_acceleration_per_graph"] / (data["particles"] * data["dim"])
    return float(mae / mean) if mean > 0 else None


def share_text(run: Run, mae: float | None) -> str:
    """`6 % of the mean |a|`; empty if unknown."""
    part = share(run, mae)
    return "" if part is None else f"{_percent(part)} of the mean |a|"


def network_mae(run: Run) -> float | None:
    """The network's error on the test set; None if it was not analysed."""
    test = (run.analysis or {}).get("test")
    return test["mae"] if test else None


def _percent(part: float) -> str:
    if part < 1e-4:
        return "below 0.01 %"
    return f"{100 * part:.{0 if part >= 0.095 else 1 if part >= 0.0095 else 2}f} %"


def doubts(run: Run) -> list[str]:
    """Sentences about data and network that a reader of the law should know first; usually none."""
    part = share(run, network_mae(run))
    learned = (
        []
        if part is None or part < LITTLE
        else [
            f"The network's error is {_percent(part)} of the mean |a|, where always saying zero would have "
            "100 %: it has learned little, so do not trust equations of it."
        ]
    )
    return [*(f"{text}." for text in (run.data or {}).get("doubts") or []), *learned]
