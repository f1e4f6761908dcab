"""The jobs of a sweep in the terminal: state, error, where the log lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gnn_distill.runs.sweep import LOG, STATES, Job, one_line

SIGNS = {
    "complete": ("✓", "green"),
    "running": ("▶", "cyan"),
    "waiting": ("·", "dim"),
    "interrupted": ("‖", "yellow"),
    "killed": ("‖", "yellow"),
    "failed": ("✗", "bold red"),
}


def summary(jobs: Sequence[Job]) -> str:
    """How many jobs are in each state, in words."""
    count = Counter(job.state for job in jobs)
    return ", ".join(f"{count[state]} {state}" for state in STATES if count[state]) or "no jobs"


def show_jobs(jobs: Sequence[Job], console: Console) -> None:
    """Print all jobs, one line each, and below them what went wrong in those that failed."""
    title = f"{len(jobs)} job{'s' * (len(jobs) != 1)}: {summary(jobs)}"
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column("state")
    table.add_column("job", overflow="fold")
    table.add_column("seconds", justify="right")
    table.add_column("at work on")
    for job in jobs:
        sign, style = SIGNS[job.state]
        seconds = f"{job.seconds:,.0f}" if job.status else ""
        progress = "" if job.state in ("complete", "waiting") else job.progress()
        table.add_row(Text(f"{sign} {job.state}", style=style), Text(job.name), seconds, progress)
    console.print(table)
    for job in jobs:
        if job.state == "failed":
            text = f"✗ {job.name}\n  {one_line(job.status.get('error'), 400)}\n  log: {job.path / LOG}"
            console.print(Text(text, style="red"), soft_wrap=True)
