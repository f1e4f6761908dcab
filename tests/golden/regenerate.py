"""Losses of a short training of each variant. Regenerate: `python -m tests.golden.regenerate`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from gnn_distill.pipeline.config import composed
from gnn_distill.pipeline.stages import run
from gnn_distill.runs.files import read_metrics
from tests.conftest import TINY

LOSSES = Path(__file__).with_name("losses.json")
RECIPE = ["basis=delta", "optimiser=adam", "learning_rate=3e-3"]
"""Of the network that the losses were recorded with."""
VARIANTS = ("standard", "bottleneck", "l1", "kl", "pruning")


def short_run(variant: str, folder: Path) -> dict[str, float]:
    """Final train and validation loss of two epochs on one thread."""
    recipe = [f"profile.{setting}" for setting in RECIPE]
    overrides = [*TINY, *recipe, f"variant={variant}", "stages=[simulate,train]", f"cache={folder / 'cache'}"]
    run(composed(overrides), folder / variant)
    last = read_metrics(folder / variant / "metrics.csv")[-1]
    return {key: last[key] for key in ("train_mae_per_graph", "val_mae_per_graph", "train_regulariser")}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        losses = {variant: short_run(variant, Path(temporary)) for variant in VARIANTS}
    LOSSES.write_text(json.dumps(losses, indent=1) + "\n")
