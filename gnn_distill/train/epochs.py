"""What an epoch leaves: a row of metrics.csv and a line on the screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import lightning as L

from gnn_distill.runs.files import read_metrics, write_metrics


class EpochLog(L.Callback):
    """Writes `metrics.csv` after every epoch and prints a line with the time left.

    Args:
        path: the metrics file; rows of epochs that a resumed run repeats are replaced.
        report: prints one line.
    """

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self.path, self.report = path, report
        self._start, self._first = 0.0, 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._start, self._first = time.perf_counter(), trainer.current_epoch

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
        left = (time.perf_counter() - self._start) / (epoch - self._first + 1) * (total - epoch - 1)
        self.report(
            f"  epoch {epoch + 1:>3}/{total}  train {m['train_mae_per_graph']:.4g}  "
            f"val {m['val_mae_per_graph']:.4g}  active dims {m['active_dims']:.0f}  {_clock(left)} left"
        )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
