"""What a person sees while a run works: stages, epochs, losses, time left."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning as L
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from gnn_distill.errors import InputError
from gnn_distill.report.collect import PLAN
from gnn_distill.report.upload import logged_in
from gnn_distill.rundir import Run, fingerprint, load_run, read_metrics, write_metrics

BAR = 30  # characters of the progress bar


class Reporter:
    """Prints the progress of stages to a console; a live line on a terminal, plain lines elsewhere.

    Args:
        console: where to print; standard error if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True, highlight=False) if console is None else console
        self._live: Status | None = None

    def line(self, text: str) -> None:
        """Print one line that stays."""
        self.console.print(text)

    def update(self, text: str) -> None:
        """Replace the live line; nothing where the console is not a terminal."""
        if self._live is not None:
            self._live.update(text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and its seconds when it is done."""
        start = time.perf_counter()
        if not self.console.is_terminal:
            self.line(f"{name} ...")
            yield
        else:
            with self.console.status(f"{name} ...") as self._live:
                yield
            self._live = None
        self.line(f"[green]✓[/] {name}  {time.perf_counter() - start:.1f} s")

    def simulated(self, done: int, total: int) -> None:
        """Progress of the simulation."""
        filled = BAR * done // max(1, total)
        bar = "━" * filled + "[dim]" + "━" * (BAR - filled) + "[/]"
        self.update(f"simulate  {bar}  {done:,} of {total:,} trajectories")


class JobReporter(Reporter):
    """Writes everything to the log of a sweep's job, and one line per stage to the terminal.

    Args:
        log: console of the log file.
        terminal: console that all jobs write to.
        name: of the job.
    """

    def __init__(self, log: Console, terminal: Console, name: str) -> None:
        super().__init__(log)
        self.terminal, self.name = terminal, name

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and its seconds when it is done."""
        start = time.perf_counter()
        with super().stage(name):
            yield
        self.terminal.print(f"  [dim]{escape(self.name)}[/]  {name}  {time.perf_counter() - start:.1f} s")


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


def tensorboard_logger(save_dir: Path) -> Logger:
    """Event files for TensorBoard in `save_dir`.

    ```yaml
    logger: {tensorboard: {_target_: gnn_distill.progress.tensorboard_logger}}
    ```
    """
    return TensorBoardLogger(save_dir, name="tensorboard", version="")


def wandb_logger(save_dir: Path, project: str = "gnn_distill", group: str | None = None) -> Logger:
    """A Weights & Biases run, kept offline in `save_dir` unless somebody is logged in.

    A job of a sweep is a run in the group named by the sweep's folder, if no other is given. A run directory
    has one id: what goes on later belongs to the same run.

    ```yaml
    logger: {wandb: {_target_: gnn_distill.progress.wandb_logger, project: gnn_distill}}
    ```
    """
    sweep = save_dir.parent if (save_dir.parent / PLAN).exists() else None
    known: dict[str, Any] = {
        "project": project,
        "group": group or (sweep.name if sweep else None),
        "name": save_dir.name if sweep else None,
        "id": fingerprint(str(save_dir.resolve())),
        "resume": "allow",
        "save_dir": save_dir,
    }
    return WandbLogger(**known) if logged_in() else WandbLogger(**known, offline=True, mode="offline")


def upload_results(make: Callable[..., Logger], path: Path) -> None:
    """Add test scores, recovered equations and figures of a run directory to its Weights & Biases run."""
    if getattr(make, "func", None) is not wandb_logger:
        return
    import wandb

    run, logged = load_run(path), cast(WandbLogger, make(save_dir=path)).experiment
    for name, value in scalars(run):
        logged.summary[name] = value
    pictures = {f"figures/{p.stem}": wandb.Image(str(p)) for p in sorted((path / "figures").glob("*.png"))}
    rows = [[str(c.get("dim")), e["complexity"], e["loss"], e["expression"]]
            for c in (run.equations or {}).get("components") or [] for e in c["front"]]  # fmt: skip
    columns: list[str | int] = ["component", "complexity", "loss", "expression"]
    logged.log(pictures | {"equations": wandb.Table(columns=columns, data=rows)})
    logged.finish()


def close(loggers: Iterable[Logger]) -> None:
    """End the Weights & Biases runs among them, so that the next job of a sweep begins its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def scalars(run: Run) -> list[tuple[str, float]]:
    """Names and values of a run's scores."""
    analysis = run.analysis or {}
    found = {f"test/{key}": value for key, value in (analysis.get("test") or {}).items()}
    for gauge, kinds in (analysis.get("r2") or {}).items():
        for kind, values in kinds.items():
            if None not in values and values:
                found[f"r2/{gauge}_{kind}"] = sum(values) / len(values)
    if run.law:
        found["test/law_mae"] = run.law["test"]["mae"]
    return [(name, value) for name, value in found.items() if value is not None]


def check_loggers(names: Iterable[str]) -> None:
    """Raise `InputError` for a logger whose package is not installed."""
    for name in names:
        if name in ("tensorboard", "wandb") and importlib.util.find_spec(name) is None:
            raise InputError("logger", name, f"pip install 'gnn_distill[{name}]', or use logger=csv")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
