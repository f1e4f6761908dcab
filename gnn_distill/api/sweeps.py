"""The runs of a sweep, and the tables that compare them with the published numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gnn_distill.api.loaded import LoadedRun, load_run
from gnn_distill.errors import InputError, check_choice
from gnn_distill.report.style import look
from gnn_distill.report.sweep.figures import FIGURES
from gnn_distill.report.sweep.frame import Winner, frame, winner
from gnn_distill.report.sweep.tables import Table, tables
from gnn_distill.runs.sweep import Sweep, read_sweep


@dataclass(frozen=True)
class LoadedSweep:
    """A folder of runs.

    Attributes:
        files: the folder's jobs, with their states.
    """

    files: Sweep

    @property
    def states(self) -> dict[str, str]:
        """State of each job: complete, running, waiting, interrupted, killed or failed."""
        return {job.name: job.state for job in self.files.jobs}

    @cached_property
    def runs(self) -> dict[str, LoadedRun]:
        """The runs that have left something to read, by the name of their folder."""
        return {job.name: load_run(job.path) for job in self.files.jobs if job.run is not None}

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row for each run: what was run, its errors, R² and verdicts; tables are pivots of it.

        ```python
        sweep.frame.pivot_table("best_robust", index="law", columns="variant")
        ```

        The columns are described at `gnn_distill.report.sweep.frame.frame`.
        """
        return frame([self.files])

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Tables by name: `table1` pruning grid (R² against the force; `table1_best` in the best gauge,
        `table1_validation` on validation graphs), `table2` test loss, `table3`, `table4` R², `table5_…`.
        """  # noqa: D205, D415
        return {table.name: table for table in tables(self.frame, [self.files.name])}

    @property
    def winner(self) -> Winner | None:
        """The pruning schedule with the best R² on validation graphs; None without scored runs that prune."""
        return winner(self.frame)

    def plot(self, name: str) -> Figure:
        """Draw a figure over all runs: `scores`, `active_dims`, `sparsity` or `losses`, as in its report.

        ```python
        sweep.plot("scores")
        ```

        Args:
            name: `scores`, robust R² of each variant beside the published values; `active_dims`, active
                message dimensions against the epoch for each pruning schedule (done after 75 % if swept);
                `sparsity`, the standard deviation of every message dimension; or `losses`, validation loss
                against the epoch for each law.

        Raises:
            InputError: an unknown name, or no run that the figure can be made of.
        """
        check_choice("figure", name, FIGURES)
        with look():
            figure = None if self.frame.empty else FIGURES[name](self.frame)
        if figure is None:
            raise InputError(f"figure {name}", str(self.files.path), "the sweep has no runs for it")
        return figure


def load_sweep(path: str | Path) -> LoadedSweep:
    """Open a sweep's folder, or any folder with run directories below it.

    ```python
    sweep = load_sweep("multirun/variants")
    print(sweep.tables["table2"].markdown())
    ```

    Raises:
        InputError: there is no run below it.
    """
    return LoadedSweep(read_sweep(path))
