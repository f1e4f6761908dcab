"""One run → figures, `report.html`, and a last page in the terminal.

    text.py       numbers, names and templates     run/      one run: story.py (what is told of it),
    equations.py  equations as text and images               page.py, terminal.py
    style.py      the look of all figures          figures/  the figures of a run, by name in all.py
    published.py  numbers of the two papers        sweep/    many runs: frame.py, then tables and a page

The words of pages stand in templates (`*.j2`), `captions.yaml`, `glossary.yaml` and `sweep/tables.yaml`,
published numbers in `published.yaml`.
The room reads run directories by `read_run` only: it needs no network, and works half-way through a run.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from gnn_distill.report.figures.all import draw
from gnn_distill.report.run.page import render
from gnn_distill.report.run.terminal import show
from gnn_distill.runs.files import write_text
from gnn_distill.runs.load import read_run


def write_report(path: Path, console: Console) -> None:
    """Make `figures/*.png` and `report.html` in the run directory `path` and print the last page.

    Stages that were not run leave a gap that the report names.

    Args:
        path: a run directory.
        console: where the last page is printed.

    Raises:
        InputError: the folder is not a run directory.
    """
    run = read_run(path)
    figures = draw(run, path / "figures")
    write_text(path / "report.html", render(run, figures))
    show(run, console)
