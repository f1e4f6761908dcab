"""What an epoch leaves: a row of metrics.csv and a word on the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lightning as L

from gnn_distill.runs.files import read_metrics, write_metrics


class EpochLog(L.Callback):
    """Writes `metrics.csv` after every epoch, and says how the training stands.

    Args:
        path: the metrics file; rows of epochs that a resumed run repeats are replaced.
        report: takes the losses of an epoch as one line.
        progress: takes steps done, and steps in all if no plateau comes before.
    """

    def __init__(
        self, path: Path, report: Callable[[str], None], progress: Callable[[int, int, str], None]
    ) -> None:
        self.path, self.report, self.progress = path, report, progress

    def on_train_batch_start(self, trainer: L.Trainer, *_: object) -> None:
        """Say how far the training is."""
        self.progress(trainer.global_step, int(trainer.estimated_stepping_batches), "steps")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write and print the epoch that has just ended."""
        if not trainer.is_global_zero:
            return
        epoch, total = trainer.current_epoch, trainer.max_epochs or 0
        m = {k.replace("/", "_"): float(v) for k, v in trainer.callback_metrics.items()}
        m.pop("val_selection", None)
        kept = [row for row in read_metrics(self.path) if row["epoch"] < epoch]
        row = {"epoch": float(epoch), "step": float(trainer.global_step), **dict(sorted(m.items()))}
        write_metrics(self.path, [*kept, row])
        self.report(
            f"  epoch {epoch + 1:>3}/{total}  train {m['train_mae_per_graph']:.4g}  "
            f"val {m['val_mae_per_graph']:.4g}  active dims {m['active_dims']:.0f}"
        )
