"""Entry point `gnn-distill-report`: runs of one or more sweeps → tables, figures and one page."""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from gnn_distill.errors import InputError
from gnn_distill.report.sweep.formats import in_cell, in_markdown
from gnn_distill.report.sweep.status import show_jobs
from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.files import atomic
from gnn_distill.runs.secrets import redacted
from gnn_distill.runs.sweep import Sweep, load_sweep

DESCRIPTION = """Tables and figures of all runs in a sweep's folder, the published values beside ours.
Several folders are compared. A sweep that is not done yet is reported as far as it is."""

EPILOG = """examples:
  gnn-distill-report multirun/variants
  gnn-distill-report multirun/variants --status
  gnn-distill-report multirun/variants multirun/variants,profile=paper --out compared
  gnn-distill-report outputs                    the runs of gnn-distill without -m

what is written:
  index.html     one page, self-contained
  report.md      the same tables in Markdown
  tables/        each table as CSV and LaTeX
  figures/       PNG
  settings.csv   timings.csv"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `gnn-distill-report`; exit code 0 on success, 2 for bad input."""
    given = parser().parse_args(arguments)
    try:
        sweeps = [load_sweep(folder) for folder in given.folders]
        if given.status:
            for sweep in sweeps:
                show_jobs(sweep.jobs, Console())
            return
        folder = given.out or given.folders[0] / "report"
        write_sweep_report(sweeps, folder)
        if given.archive:
            from gnn_distill.report.sweep.archive import archive

            archive(sweeps, given.archive)
    except InputError as error:
        text = f"[bold red]error[/] {escape(str(error))}"
        Console(stderr=True, soft_wrap=True).print(text, highlight=False)
        sys.exit(2)
    print(f"{folder / 'index.html'}  {folder / 'report.md'}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="gnn-distill-report",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("gnn_distill")
    made.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folder of a sweep, or of runs")
    made.add_argument("--status", action="store_true", help="only say how far the jobs have come")
    made.add_argument(
        "--out", type=Path, metavar="DIR", help="where the report goes; DIR/report if not given"
    )
    made.add_argument(
        "--archive", type=Path, metavar="DIR", help="also copy each run's settings and results there"
    )
    made.add_argument("--version", action="version", version=f"gnn-distill-report {version}")
    return made


def write_sweep_report(sweeps: Sequence[Sweep], folder: Path) -> None:
    """Write `index.html`, `report.md`, each table as CSV and LaTeX, figures, settings and timings.

    Raises:
        InputError: no run has left anything to report.
    """
    from gnn_distill.report.sweep import formats
    from gnn_distill.report.sweep.entries import entries
    from gnn_distill.report.sweep.figures import draw_across
    from gnn_distill.report.sweep.page import Content, render, settings, timings
    from gnn_distill.report.sweep.tables import tables

    found = entries(sweeps)
    if not found:
        raise InputError("sweep", str(sweeps[0].path), "wait until a run has begun; --status shows the jobs")
    figures = draw_across(found, folder / "figures")
    content = Content(tuple(sweeps), tuple(found), tuple(tables(found, sweeps)), figures, folder)
    made: dict[str, str] = {"report.md": markdown(content), "index.html": render(content)}
    for table in content.tables:
        made[f"tables/{table.name}.csv"] = formats.csv_text(table, content.names)
        made[f"tables/{table.name}.tex"] = formats.latex(table, content.labels)
    keys, rows = settings(content.found, content.labels)
    made["settings.csv"] = _csv(["run", *keys], [[name, *values] for name, values in rows])
    made["timings.csv"] = _csv(
        ["run", *STAGES, "total", "peak_rss_mib"],
        [[r["name"], *r["seconds"].values(), round(r["total"], 3), r["mib"]] for r in timings(content)],
    )
    for old in (folder / "tables").glob("*"):
        if f"tables/{old.name}" not in made:
            old.unlink()
    for name, text in made.items():
        with atomic(folder / name) as temporary:
            temporary.write_text(redacted(text), encoding="utf-8")


def markdown(content: Content) -> str:  # type: ignore[name-defined]  # noqa: F821
    """The tables as one Markdown file."""
    from gnn_distill.report.published import R25
    from gnn_distill.report.sweep import formats
    from gnn_distill.report.sweep.figures import FIGURES
    from gnn_distill.report.sweep.page import facts, failures, versions

    items = [*content.legend, *(str(s.plan["pruning"]) for s in content.sweeps if s.plan.get("pruning"))]
    items += [
        *facts(content.found),
        *(f"failed: {f['name']}: {f['error']}" for f in failures(content.sweeps)),
    ]
    lines = [f"## {in_markdown(' and '.join(content.names))}", "", *(f"- {in_markdown(i)}" for i in items)]
    lines += ["", f"Values in brackets are published ({R25}: a million frames, 1.1 million steps, split by "]
    lines[-1] += "frames; Cranmer et al. 2020 where a table says so). ± is the standard deviation over seeds."
    body = "\n".join(formats.markdown(table, content.labels) for table in content.tables)
    pictures = [f"![{FIGURES[name][1]}](figures/{path.name})\n" for name, path in content.figures.items()]
    stated = in_markdown(", ".join(f"{name} {version}" for name, version in versions(content.found).items()))
    return "\n".join([*lines, "", body, "### Figures", "", *pictures, f"Made with {stated}.", ""])


def _csv(head: list[str], rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(in_cell, head))
    writer.writerows([*map(in_cell, row)] for row in rows)
    return out.getvalue()
