"""The report about many runs: a self-contained page, and the same tables as Markdown, CSV and LaTeX."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gnn_distill.errors import InputError
from gnn_distill.report.figures.all import CAPTIONS
from gnn_distill.report.published import R25
from gnn_distill.report.sweep.figures import draw_across
from gnn_distill.report.sweep.formats import csv_text
from gnn_distill.report.sweep.frame import TARGETS, frame
from gnn_distill.report.sweep.labels import differing, flatten
from gnn_distill.report.sweep.status import summary
from gnn_distill.report.sweep.tables import Table, tables
from gnn_distill.report.text import data_url, fill
from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.files import write_text
from gnn_distill.runs.sweep import LOG, Sweep, one_line

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Stand for the sweeps in cells, where there are several."""
EMBEDDED = 40
"""Runs whose message scatter is shown in the page; more would make it too heavy."""
IN_DIFFS = 12
"""Differing settings that the page shows; all of them are in `settings.csv`."""


def write_sweep_report(sweeps: Sequence[Sweep], folder: Path) -> pd.DataFrame:
    """Write `index.html`, `report.md`, each table as CSV and LaTeX, figures, settings and timings.

    Returns:
        All runs, as `frame` gives them.

    Raises:
        InputError: no run has left anything to report.
    """
    runs = frame(sweeps)
    if runs.empty:
        raise InputError("sweep", str(sweeps[0].path), "wait until a run has begun; --status shows the jobs")
    names = [sweep.name for sweep in sweeps]
    made = tables(runs, names)
    if len(set(names)) < len(names):
        names = [str(sweep.path) for sweep in sweeps]
    letters = list(LETTERS[: len(sweeps)]) if len(sweeps) > 1 else [""]
    run_names = [f"{letters[e.sweep]} {e.job.name}".strip() for e in runs.itertuples()]
    flat = [flatten(job.run.config) for job in runs["job"]]
    flat = [{k: v for k, v in config.items() if k not in ("threads", "cache")} for config in flat]
    settings, seconds = _differences(flat, run_names), timings(runs, run_names)
    heads = zip(letters, names, sweeps, strict=True)
    drawn = draw_across(runs, folder / "figures")
    content = {
        "title": " and ".join(names),
        "letters": letters,
        "several": len(sweeps) > 1,
        "legend": [
            f"{': '.join(filter(None, (a, name)))}, {summary(sweep.jobs)}" for a, name, sweep in heads
        ],
        "source": R25,
        "facts": facts(runs),
        "tables": made,
        "contents": contents(made),
        "figures": [
            (CAPTIONS[k], path.name, data_url(path.read_bytes(), "png")) for k, path in drawn.items()
        ],
        "runs": [(run, *_of_page(run, folder)) for run in runs.itertuples()],
        "scatters": scatters(runs),
        "failures": failures(sweeps),
        "timings": seconds,
        "settings": settings.iloc[:, : IN_DIFFS + 1],
        "hidden": max(0, len(settings.columns) - 1 - IN_DIFFS),
        "common": _common(flat),
        "versions": versions(runs),
    }
    texts = {name: fill(f"sweep/{name}.j2", content) for name in ("index.html", "report.md")}
    texts |= {"settings.csv": csv_text(settings), "timings.csv": csv_text(seconds)}
    texts |= {f"tables/{table.name}.csv": table.csv(names) for table in made}
    texts |= {f"tables/{table.name}.tex": table.latex(letters) for table in made}
    for old in (folder / "tables").glob("*"):
        if f"tables/{old.name}" not in texts:
            old.unlink()
    for name, text in texts.items():
        write_text(folder / name, text)
    return runs


def contents(made: Sequence[Table]) -> dict[str, str]:
    """Links to the first table of each number."""
    links: dict[str, str] = {}
    for table in made:
        number_of = table.title.split(":")[0].split(",")[0]
        if number_of.startswith("Table "):
            links.setdefault(number_of, table.name)
    return links


def facts(runs: pd.DataFrame) -> list[str]:
    """What holds for all runs and keeps a reader from comparing what cannot be compared."""
    found = [job.run for job in runs["job"]]
    steps = {int(run.metrics[-1].get("step", 0)) for run in found if run.metrics}
    known = {
        "profile": [(run.config.get("profile") or {}).get("name") for run in found],
        "split by": [run.config.get("split") for run in found],
        "training steps": [f"{step:,}" for step in sorted(steps)],
        "seeds": sorted({run.config.get("seed") for run in found}, key=str),
    }
    lines = {what: dict.fromkeys(str(v) for v in values if v is not None) for what, values in known.items()}
    return [f"{what} {', '.join(values)}" for what, values in lines.items() if values]


def _of_page(run: Any, folder: Path) -> tuple[str, str | None]:
    """The marks of a run's components, by pull-back where it was searched for, and a link to its page."""
    marks = [getattr(run, f"marks_{target}") for target in TARGETS]
    page = run.job.path / "report.html"
    last = next((m for m in reversed(marks) if isinstance(m, str) and m), "–")
    return last, os.path.relpath(page, folder) if page.exists() else None


def failures(sweeps: Sequence[Sweep]) -> list[dict[str, str]]:
    """The jobs that failed or cannot be read, with their errors and logs."""
    found = []
    for job in (job for sweep in sweeps for job in sweep.jobs):
        error = job.status.get("error") if job.state == "failed" else None
        if job.state == "complete" and job.run is None:
            error = "its files cannot be read"
        if error:
            found.append({"name": job.name, "error": one_line(error, 400), "log": f"{job.name}/{LOG}"})
    return found


def timings(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Wall seconds of each stage and peak memory of each run."""
    rows = []
    for name, job in zip(names, runs["job"], strict=True):
        stages = job.status.get("stages") or {}
        seconds = [(stages.get(stage) or {}).get("seconds") for stage in STAGES]
        rows.append([name, *seconds, round(job.seconds, 3), job.status.get("peak_rss_mib")])
    return pd.DataFrame(rows, columns=["run", *STAGES, "total", "peak_rss_mib"], dtype=object)


def _differences(flat: Sequence[dict[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    """Settings in which the runs differ, and their values in each run."""
    keys = differing(flat)
    values = [["" if f.get(k) is None else str(f[k]) for k in keys] for f in flat]
    rows = [[name, *line] for name, line in zip(names, values, strict=True)]
    return pd.DataFrame(rows, columns=["run", *keys], dtype=object)


def _common(flat: Sequence[dict[str, Any]]) -> str:
    """Settings that all runs share, as YAML."""
    shared = {k: v for k, v in flat[0].items() if all(f.get(k, ...) == v for f in flat)}
    return yaml.safe_dump(shared, sort_keys=False, allow_unicode=True) if shared else ""


def versions(runs: pd.DataFrame) -> str:
    """Commit and versions of packages; more than one where the runs differ."""
    stated = [
        {"commit": job.status.get("commit"), **(job.status.get("versions") or {})} for job in runs["job"]
    ]
    known = pd.DataFrame([{k: str(v) for k, v in each.items() if v} for each in stated])
    return ", ".join(f"{name} {', '.join(column.dropna().unique())}" for name, column in known.items())


def scatters(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """The message scatter of the first run of each row and variant: title and picture."""
    shown = runs.assign(path=[job.path / "figures" / "messages.png" for job in runs["job"]])
    shown = shown[[path.exists() for path in shown["path"]]]
    first = shown.drop_duplicates(["sweep", "row", "variant"])[:EMBEDDED]
    return [(f"{e.row}, {e.variant}", data_url(e.path.read_bytes(), "png")) for e in first.itertuples()]
