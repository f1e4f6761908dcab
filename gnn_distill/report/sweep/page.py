"""The report about many runs: a self-contained page, and the same tables as Markdown, CSV and LaTeX."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from gnn_distill.errors import InputError
from gnn_distill.report.published import R25
from gnn_distill.report.sweep.figures import FIGURES, draw_across
from gnn_distill.report.sweep.formats import csv_text, in_markdown
from gnn_distill.report.sweep.frame import TARGETS, frame
from gnn_distill.report.sweep.labels import differing, flatten
from gnn_distill.report.sweep.status import summary
from gnn_distill.report.sweep.tables import Table, tables
from gnn_distill.report.text import number, r2_text
from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.files import atomic
from gnn_distill.runs.secrets import redacted
from gnn_distill.runs.sweep import LOG, Sweep, one_line

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EMBEDDED = 40
"""Runs whose message scatter is shown in the page; more would make it too heavy."""
IN_DIFFS = 12
"""Differing settings that the page shows; all of them are in `settings.csv`."""


@dataclass(frozen=True)
class Content:
    """What the report is made of.

    Attributes:
        sweeps: the folders.
        names: one for each sweep, its path where two have the same name.
        letters: stand for the sweeps in cells; none for a single one.
        runs: of all sweeps, as `frame` gives them.
    """

    sweeps: tuple[Sweep, ...]
    names: list[str]
    letters: list[str]
    runs: pd.DataFrame

    @property
    def legend(self) -> list[str]:
        """What each sweep is, and how far."""
        return [
            f"{letter}{': ' if letter else ''}{name}, {summary(sweep.jobs)}"
            for letter, name, sweep in zip(self.letters, self.names, self.sweeps, strict=True)
        ]

    @property
    def run_names(self) -> list[str]:
        """The folder of each run, with the letter of its sweep."""
        return [f"{self.letters[e.sweep]} {e.job.name}".strip() for e in self.runs.itertuples()]


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
    if len(set(names)) < len(names):
        names = [str(sweep.path) for sweep in sweeps]
    letters = list(LETTERS[: len(sweeps)]) if len(sweeps) > 1 else [""]
    content = Content(tuple(sweeps), names, letters, runs)
    made_tables = tables(runs, [sweep.name for sweep in sweeps])
    figures = draw_across(runs, folder / "figures")
    made = {"report.md": markdown(content, made_tables, figures)}
    made["index.html"] = render(content, made_tables, figures, folder)
    for table in made_tables:
        made[f"tables/{table.name}.csv"] = table.csv(names)
        made[f"tables/{table.name}.tex"] = table.latex(letters)
    made["settings.csv"] = csv_text(settings(content))
    made["timings.csv"] = csv_text(timings(content))
    for old in (folder / "tables").glob("*"):
        if f"tables/{old.name}" not in made:
            old.unlink()
    for name, text in made.items():
        with atomic(folder / name) as temporary:
            temporary.write_text(redacted(text), encoding="utf-8")
    return runs


def markdown(content: Content, made: Sequence[Table], figures: dict[str, Path]) -> str:
    """The tables as one Markdown file."""
    items = [*content.legend, *facts(content.runs)]
    items += [f"failed: {f['name']}: {f['error']}" for f in failures(content.sweeps)]
    stated = ", ".join(f"{name} {version}" for name, version in versions(content.runs).items())
    return "\n".join([
        f"## {in_markdown(' and '.join(content.names))}",
        "",
        *(f"- {in_markdown(item)}" for item in items),
        "",
        f"Values in brackets are published ({R25}: a million frames, 1.1 million steps, split by frames; "
        "Cranmer et al. 2020 where a table says so). ± is the standard deviation over seeds.",
        "",
        *(table.markdown(content.letters) for table in made),
        "### Figures",
        "",
        *(f"![{FIGURES[name][1]}](figures/{path.name})\n" for name, path in figures.items()),
        f"Made with {in_markdown(stated)}.",
        "",
    ])  # fmt: skip


def render(content: Content, made: Sequence[Table], figures: dict[str, Path], folder: Path) -> str:
    """The page as HTML; links to the runs' own pages are relative to `folder`."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gnn_distill.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "r2": r2_text}
    differ = settings(content)
    return environment.get_template("sweep/sweep.html.j2").render(
        letters=content.letters,
        title=" and ".join(content.names),
        legend=content.legend,
        source=R25,
        facts=facts(content.runs),
        tables=made,
        contents=contents(made),
        figures=[(FIGURES[name][1], _embed(path)) for name, path in figures.items()],
        runs=[(run, *_of_page(run, folder)) for run in content.runs.itertuples()],
        several=len(content.sweeps) > 1,
        scatters=scatters(content.runs),
        failures=failures(content.sweeps),
        timings=timings(content),
        settings=differ.iloc[:, : IN_DIFFS + 1],
        hidden=max(0, len(differ.columns) - 1 - IN_DIFFS),
        common=common(content.runs),
        versions=versions(content.runs),
    )


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
        error = job.error if job.state == "failed" else None
        if job.state == "complete" and job.run is None:
            error = "its files cannot be read"
        if error:
            found.append({"name": job.name, "error": one_line(error, 400), "log": f"{job.name}/{LOG}"})
    return found


def timings(content: Content) -> pd.DataFrame:
    """Wall seconds of each stage and peak memory of each run."""
    rows = []
    for name, job in zip(content.run_names, content.runs["job"], strict=True):
        stages = job.status.get("stages") or {}
        seconds = [(stages.get(stage) or {}).get("seconds") for stage in STAGES]
        rows.append([name, *seconds, round(job.seconds, 3), job.status.get("peak_rss_mib")])
    return pd.DataFrame(rows, columns=["run", *STAGES, "total", "peak_rss_mib"], dtype=object)


def settings(content: Content) -> pd.DataFrame:
    """Settings in which the runs differ, and their values in each run."""
    flat = _flat(content.runs)
    keys = differing(flat)
    values = [["" if f.get(k) is None else str(f[k]) for k in keys] for f in flat]
    rows = [[name, *line] for name, line in zip(content.run_names, values, strict=True)]
    return pd.DataFrame(rows, columns=["run", *keys], dtype=object)


def common(runs: pd.DataFrame) -> str:
    """Settings that all runs share, as YAML."""
    first, *others = _flat(runs)
    shared = {k: v for k, v in first.items() if all(f.get(k, ...) == v for f in others)}
    return yaml.safe_dump(shared, sort_keys=False, allow_unicode=True) if shared else ""


def _flat(runs: pd.DataFrame) -> list[dict[str, Any]]:
    flat = [flatten(job.run.config) for job in runs["job"]]
    return [{k: v for k, v in config.items() if k not in ("threads", "cache")} for config in flat]


def versions(runs: pd.DataFrame) -> dict[str, str]:
    """Commit and versions of packages; more than one where the runs differ."""
    known: dict[str, dict[str, None]] = {}
    for job in runs["job"]:
        stated = {"commit": job.status.get("commit"), **(job.status.get("versions") or {})}
        for name, version in stated.items():
            if version:
                known.setdefault(name, {})[str(version)] = None
    return {name: ", ".join(values) for name, values in known.items()}


def scatters(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """The message scatter of the first run of each row and variant: title and picture."""
    paths = [job.path / "figures" / "messages.png" for job in runs["job"]]
    shown = runs.assign(path=paths)[[path.exists() for path in paths]]
    first = shown.drop_duplicates(["sweep", "row", "variant"])[:EMBEDDED]
    return [(f"{e.row}, {e.variant}", _embed(e.path)) for e in first.itertuples()]


def _embed(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
