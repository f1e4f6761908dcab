"""Tables and figures of all runs in a sweep's folder, the published values beside ours.

Several folders are compared. A sweep that is not done yet is reported as far as it is.

Examples:
  gnn-distill-report multirun/variants
  gnn-distill-report multirun/variants --status
  gnn-distill-report multirun/variants multirun/variants,profile=paper --out compared
  gnn-distill-report outputs                    the runs of gnn-distill without -m

what is written:
  index.html     one page, self-contained
  report.md      the same tables in Markdown
  tables/        each table as CSV and LaTeX
  figures/       PNG
  settings.csv   timings.csv
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from gnn_distill.errors import InputError
from gnn_distill.report.sweep.status import show_jobs
from gnn_distill.report.text import r2_text
from gnn_distill.runs.sweep import read_sweep


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `gnn-distill-report`; exit code 0 on success, 2 for bad input."""
    given = parser().parse_args(arguments)
    try:
        sweeps = [read_sweep(folder) for folder in given.folders]
        if given.status:
            for sweep in sweeps:
                show_jobs(sweep.jobs, Console())
            return
        # The figures and tables take a second to load, which --status can spare.
        from gnn_distill.report.sweep.frame import winner
        from gnn_distill.report.sweep.page import write_sweep_report

        folder = given.out or given.folders[0] / "report"
        runs = write_sweep_report(sweeps, folder)
        if given.archive:
            from gnn_distill.report.sweep.archive import archive

            archive(sweeps, given.archive)
    except InputError as error:
        text = f"[bold red]error[/] {escape(str(error))}"
        Console(stderr=True, soft_wrap=True).print(text, highlight=False)
        sys.exit(2)
    print(f"{folder / 'index.html'}  {folder / 'report.md'}")
    if runs[["schedule", "end"]].dropna().drop_duplicates().shape[0] > 1 and (best := winner(runs)):
        print(f"best pruning, R² {r2_text(best.validation)} on validation graphs: {best.overrides}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    description, examples, rest = (__doc__ or "").partition("Examples:")
    made = argparse.ArgumentParser(
        "gnn-distill-report",
        None,
        description,
        examples + rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("gnn_distill")
    folder: dict[str, Any] = {"type": Path, "metavar": "DIR"}
    made.add_argument("folders", nargs="+", help="folder of a sweep, or of runs", **folder)
    made.add_argument("--status", action="store_true", help="only say how far the jobs have come")
    made.add_argument("--out", help="where the report goes; DIR/report if not given", **folder)
    made.add_argument("--archive", help="also copy each run's settings and results there", **folder)
    made.add_argument("--version", action="version", version=f"gnn-distill-report {version}")
    return made
