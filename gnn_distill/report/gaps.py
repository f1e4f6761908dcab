"""What a run directory lacks."""

from __future__ import annotations

from gnn_distill.rundir import Run


def missing(run: Run) -> list[str]:
    """What the run directory lacks, and how to make it."""
    judged = (run.path / "law.json").exists()
    gaps = [
        (not run.metrics, "train", "loss curves and the network"),
        (run.analysis is None, "analyse", "test losses, R² and most figures"),
        (run.equations is None or not judged, "distil", "the equations and the verdict"),
    ]
    stages = [stage for absent, stage, _ in gaps if absent]
    error = run.status.get("error")
    stopped = [f"The last attempt stopped: {error}"] if error else []
    if run.equations is not None and run.law is None and judged:
        stopped.append(
            "No law was put together: these message components do not span a force. "
            "The pull-back always gives one: symbolic.target=pullback."
        )
    if not stages:
        return stopped
    lines = [
        *stopped,
        *(f"Stage {stage} has not been run: {what} are missing." for absent, stage, what in gaps if absent),
    ]
    again = f"stages=[{','.join([*stages, 'report'])}] hydra.run.dir={run.path}"
    return [*lines, f"To fill the gap, give the command of this run again with {again}"]
