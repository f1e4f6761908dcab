"""The last page in the terminal: the run on one screen."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gnn_distill.physics.laws import SOFTENING
from gnn_distill.report.equations import acceleration_text, law_terms
from gnn_distill.report.run.motion import lines, of_motion
from gnn_distill.report.run.story import Scores, told
from gnn_distill.report.text import number, r2_text
from gnn_distill.runs.load import Run

COLOURS = {"good": "bold green", "partial": "bold yellow", "bad": "bold red", "open": "bold"}
MOTION = {"law": "bold cyan", "small": "dim", "doubt": "yellow"}
LONGEST = 600


def show(run: Run, console: Console) -> None:
    """Print the page, at most about 40 lines of 100 columns."""
    content = told(run)

    def say(style: str, *lines: str | None) -> None:
        for line in filter(None, lines):
            short = line if len(line) <= LONGEST else line[:LONGEST] + " …"
            console.print(Text(short, style=style), highlight=False)

    console.print()
    if of_motion(run):
        for style, line in lines(run):
            say(MOTION.get(style) or COLOURS.get(style, ""), line)
        console.print(Text(f"report: {run.path / 'report.html'}"), soft_wrap=True)
        return
    say("bold", f"{content['title']} · variant {content['variant']}")
    say("", _data_line(run), _test_error(run, content))
    if content["rows"]:
        console.print(_table(content["rows"]))
        analysis = run.analysis or {}
        best, p = analysis.get("best") or {}, number(analysis["gauge"].get("p"), 3)
        score = f"{best.get('gauge')}, robust R² {r2_text(best.get('robust_mean'))}"
        say("", f"best of force, acceleration and gauge (p = {p}): {score}")
    say("dim", *content["explanations"])
    if run.law is not None:
        say("cyan", *(acceleration_text(*terms) for terms in law_terms(run.law)))
        say("dim", legend(run.law))
        say("cyan", *content["plain"])
        law, network = run.law["test"]["mae"], run.law["network"]["mae"]
        share = _in_brackets(content["law_share"])
        say("", f"test mae of the equation {number(law)}{share}, of the network {number(network)}")
    outcome = content["outcome"]
    say(COLOURS[outcome.level], outcome.headline)
    say("", *(f"  {detail}" for detail in outcome.details))
    say("yellow", *content["missing"])
    console.print(Text(f"report: {run.path / 'report.html'}"), soft_wrap=True)


def legend(law: Mapping[str, Any]) -> str:
    """What the variables of a law mean."""
    softening = law.get("softening", SOFTENING)
    r = f"r = |Δ| + {softening:g}" if softening else "r = |Δ|"
    return f"{r}, Δ = x₁ − x₂; 1 feels the force, 2 exerts it"


def _data_line(run: Run) -> str | None:
    """What the data are like."""
    data = run.data
    if not data:
        return None
    made = "simulated" if "simulations" in (run.config.get("dataset") or {}) else "data:"
    pieces = "trajectories" if data.get("blocks", 1) == 1 else "blocks of time"
    near = data["closest_approach"]
    closest = f", closest approach {number(near['min'], 2)}" if near else ""
    a = number(data["mean_abs_acceleration_per_graph"], 3)
    return (
        f"{made} {data['trajectories']:,} {pieces} of {data['frames']:,} frames, Σ|a| per graph {a}{closest}"
    )


def _test_error(run: Run, content: dict[str, Any]) -> str | None:
    test = (run.analysis or {}).get("test")
    if not test:
        return None
    known = content["published"]["mae_per_graph"]
    beside = "" if known is None else f"  (published, other settings: {number(known)})"
    mae, graph = number(test["mae"]), number(test["mae_per_graph"])
    return f"test mae {mae}{_in_brackets(content['share'])}   mae_per_graph {graph}{beside}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _table(rows: list[Scores]) -> Table:
    table = Table(box=box.SIMPLE, title="R² against the truth", title_justify="left", pad_edge=False)
    table.add_column("")
    width = max(len(row.robust) for row in rows)
    for name in (f"{kind} {k + 1}" for kind in ("robust", "ols") for k in range(width)):
        table.add_column(name, justify="right")
    table.add_column("robust mean", justify="right", style="bold")
    for row in rows:
        # Messages may have another number of components than the pull-back has axes.
        pairs = list(zip_longest(row.robust, row.ols, range(width)))
        cells = [r2_text(pair[kind]) for kind in (0, 1) for pair in pairs]
        table.add_row(row.name, *cells, r2_text(row.robust_mean))
    return table
