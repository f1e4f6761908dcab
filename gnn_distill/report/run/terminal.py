"""The last page in the terminal: the run on one screen."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gnn_distill.physics.laws import SOFTENING
from gnn_distill.report.equations import acceleration_text, law_terms, plain_distance
from gnn_distill.report.run.doubts import doubts, missing, share_text
from gnn_distill.report.run.facts import data_line
from gnn_distill.report.run.story import explanations, outcome, published, r2_rows
from gnn_distill.report.text import capitalised, law_title, number, r2_text
from gnn_distill.runs.load import Run

COLOURS = {"good": "bold green", "partial": "bold yellow", "bad": "bold red", "open": "bold"}
LONGEST = 600
LEGEND = f"r = |Δ| + {SOFTENING:g}, Δ = x₁ − x₂; 1 feels the force, 2 exerts it"


def show(run: Run, console: Console) -> None:
    """Print the page, at most about 40 lines of 100 columns."""
    result = outcome(run)
    console.print()
    _line(console, f"{capitalised(law_title(run))} · variant {run.config.get('variant')}", "bold")
    if line := data_line(run):
        _line(console, line)
    _losses(run, console)
    if run.analysis and r2_rows(run.analysis):
        console.print(_table(run))
        best = run.analysis.get("best") or {}
        score, p = r2_text(best.get("robust_mean")), number(run.analysis["gauge"].get("p"), 3)
        _line(
            console,
            f"best of force, acceleration and gauge (p = {p}): {best.get('gauge')}, robust R² {score}",
        )
    for sentence in explanations(run):
        _line(console, sentence, "dim")
    for terms in law_terms(run.law or {}):
        _line(console, acceleration_text(*terms), "cyan")
    if run.law is not None:
        _line(console, LEGEND, "dim")
    for line in plain_distance(run.law or {}):
        _line(console, line, "cyan")
    _law_error(run, console)
    _line(console, result.headline, COLOURS[result.level])
    for detail in result.details:
        _line(console, "  " + detail)
    for line in (*doubts(run), *missing(run)):
        _line(console, line, "yellow")
    console.print(Text(f"report: {run.path / 'report.html'}"), soft_wrap=True)


def _line(console: Console, text: str, style: str = "") -> None:
    short = text if len(text) <= LONGEST else text[:LONGEST] + " …"
    console.print(Text(short, style=style), highlight=False)


def _losses(run: Run, console: Console) -> None:
    test = (run.analysis or {}).get("test")
    if not test:
        return
    reference = published(run)["mae_per_graph"]
    beside = "" if reference is None else f"  (published, other settings: {number(reference)})"
    part = f" ({text})" if (text := share_text(run, test["mae"])) else ""
    mae, graph = number(test["mae"]), number(test["mae_per_graph"])
    _line(console, f"test mae {mae}{part}   mae_per_graph {graph}{beside}")


def _law_error(run: Run, console: Console) -> None:
    if run.law is None:
        return
    law, network = run.law["test"]["mae"], run.law["network"]["mae"]
    part = f" ({text})" if (text := share_text(run, law)) else ""
    _line(console, f"test mae of the equation {number(law)}{part}, of the network {number(network)}")


def _table(run: Run) -> Table:
    rows = r2_rows(run.analysis)
    width = max(len(row.robust) for row in rows)
    table = Table(box=box.SIMPLE, title="R² against the truth", title_justify="left", pad_edge=False)
    table.add_column("")
    for kind in ("robust", "ols"):
        for k in range(width):
            table.add_column(f"{kind} {k + 1}", justify="right")
    table.add_column("robust mean", justify="right", style="bold")
    for row in rows:
        cells = [r2_text(value) for values in (row.robust, row.ols) for value in _padded(values, width)]
        table.add_row(row.name, *cells, r2_text(row.robust_mean))
    return table


def _padded(values: list[float | None], width: int) -> list[float | None]:
    return values + [None] * (width - len(values))
