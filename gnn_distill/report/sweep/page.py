"""The page about many runs: `index.html`, self-contained, for screens, phones and paper."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from gnn_distill.report.published import R25
from gnn_distill.report.sweep.entries import Entry
from gnn_distill.report.sweep.figures import FIGURES
from gnn_distill.report.sweep.labels import differing, flatten
from gnn_distill.report.sweep.recovered import TARGETS, marks
from gnn_distill.report.sweep.status import summary
from gnn_distill.report.sweep.tables import Table, law_loss, mean_r2, test_loss
from gnn_distill.report.text import number, r2_text
from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.sweep import LOG, Job, Sweep, one_line

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EMBEDDED = 40
"""Runs whose message scatter is shown in the page; more would make it too heavy."""
IN_DIFFS = 12
"""Differing settings that the page shows; all of them are in `settings.csv`."""


@dataclass(frozen=True)
class Content:
    """What the page and the Markdown file are made of."""

    sweeps: tuple[Sweep, ...]
    found: tuple[Entry, ...]
    tables: tuple[Table, ...]
    figures: Mapping[str, Path]
    folder: Path

    @property
    def names(self) -> list[str]:
        """One name for each sweep, told apart by their folders."""
        names = [sweep.name for sweep in self.sweeps]
        return names if len(set(names)) == len(names) else [str(sweep.path) for sweep in self.sweeps]

    @property
    def labels(self) -> list[str]:
        """One letter for each sweep, to stand in cells; none for a single one."""
        return list(LETTERS[: len(self.sweeps)]) if len(self.sweeps) > 1 else [""]

    @property
    def legend(self) -> list[str]:
        """What each sweep is, and how far."""
        return [
            f"{label}{': ' if label else ''}{name}, {summary(sweep.jobs)}"
            for label, name, sweep in zip(self.labels, self.names, self.sweeps, strict=True)
        ]


def render(content: Content) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gnn_distill.report", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    keys, values = settings(content.found, content.labels)
    environment.filters |= {"number": number, "r2": r2_text}
    return environment.get_template("sweep/sweep.html.j2").render(
        labels=content.labels,
        title=" and ".join(content.names),
        legend=content.legend,
        pruning=[sweep.plan.get("pruning") for sweep in content.sweeps],
        source=R25,
        facts=facts(content.found),
        tables=content.tables,
        contents=contents(content.tables),
        figures=[(FIGURES[n][1], _embed(path)) for n, path in content.figures.items()],
        runs=runs(content),
        several=len(content.sweeps) > 1,
        scatters=scatters(content),
        failures=failures(content.sweeps),
        stages=STAGES,
        timings=timings(content),
        keys=keys[:IN_DIFFS],
        hidden=max(0, len(keys) - IN_DIFFS),
        settings=values,
        common=common(content.found),
        versions=versions(content.found),
    )


def contents(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Links to the first table of each number."""
    links: dict[str, str] = {}
    for table in tables:
        number_of = table.title.split(":")[0].split(",")[0]
        if number_of.startswith("Table "):
            links.setdefault(number_of, table.name)
    return [(name, number_of) for number_of, name in links.items()]


def facts(found: Sequence[Entry]) -> list[str]:
    """What holds for all runs and keeps a reader from comparing what cannot be compared."""

    def every(what: str, values: Sequence[Any]) -> str | None:
        known = list(dict.fromkeys(str(v) for v in values if v is not None))
        return f"{what} {', '.join(known)}" if known else None

    profiles = [(e.run.config.get("profile") or {}) for e in found]
    steps = {int(e.run.metrics[-1].get("step", 0)) for e in found if e.run.metrics}
    lines = [
        every("profile", [p.get("name") for p in profiles]),
        every("split by", [e.run.config.get("split") for e in found]),
        every("training steps", [f"{step:,}" for step in sorted(steps)]),
        every("seeds", sorted({e.run.config.get("seed") for e in found}, key=str)),
    ]
    return [line for line in lines if line]


def runs(content: Content) -> list[dict[str, Any]]:
    """One row for each run, with a link to its own report."""
    rows = []
    for e in content.found:
        page = e.job.path / "report.html"
        verdicts = [m for target in TARGETS if (m := marks(e.run, target))]
        rows.append(
            {
                "sweep": content.labels[e.sweep],
                "law": e.row,
                "variant": e.variant,
                "seed": e.run.config.get("seed"),
                "state": e.job.state,
                "link": os.path.relpath(page, content.folder) if page.exists() else None,
                "loss": test_loss("mae_per_graph")(e.run),
                "best": mean_r2("best", "robust")(e.run),
                "pullback": mean_r2("pullback", "robust")(e.run),
                "gauge": ((e.run.analysis or {}).get("best") or {}).get("gauge"),
                "recovered": " ".join(verdicts[-1]) if verdicts else "–",
                "law_loss": law_loss(e.run),
            }
        )
    return rows


def failures(sweeps: Sequence[Sweep]) -> list[dict[str, str]]:
    """The jobs that failed or cannot be read, with their errors and logs."""
    return [
        {"name": job.name, "error": one_line(error, 400), "log": f"{job.name}/{LOG}"}
        for sweep in sweeps
        for job in sweep.jobs
        for error in [job.error if job.state == "failed" else _unreadable(job)]
        if error
    ]


def _unreadable(job: Job) -> str | None:
    return "its files cannot be read" if job.state == "complete" and job.run is None else None


def timings(content: Content) -> list[dict[str, Any]]:
    """Wall seconds of each stage and peak memory of each run."""
    rows = []
    for e in content.found:
        stages = e.run.status.get("stages") or {}
        seconds = {stage: (stages.get(stage) or {}).get("seconds") for stage in STAGES}
        name = f"{content.labels[e.sweep]} {e.job.name}".strip()
        row = {"name": name, "seconds": seconds, "total": e.job.seconds}
        rows.append(row | {"mib": e.run.status.get("peak_rss_mib")})
    return rows


def settings(found: Sequence[Entry], labels: Sequence[str]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Settings in which the runs differ, and their values in each run."""
    flat = [_flat(e) for e in found]
    keys = differing(flat)
    return keys, [
        (f"{labels[e.sweep]} {e.job.name}".strip(), ["" if f.get(k) is None else str(f[k]) for k in keys])
        for e, f in zip(found, flat, strict=True)
    ]


def common(found: Sequence[Entry]) -> str:
    """Settings that all runs share, as YAML."""
    flat = [_flat(e) for e in found]
    shared = {k: v for k, v in flat[0].items() if all(f.get(k, ...) == v for f in flat)} if flat else {}
    return yaml.safe_dump(shared, sort_keys=False, allow_unicode=True) if shared else ""


def _flat(entry: Entry) -> dict[str, Any]:
    return {k: v for k, v in flatten(entry.run.config).items() if k not in ("threads", "cache")}


def versions(found: Sequence[Entry]) -> dict[str, str]:
    """Commit and versions of packages; more than one where the runs differ."""
    known: dict[str, dict[str, None]] = {}
    for e in found:
        stated = {"commit": e.run.status.get("commit"), **(e.run.status.get("versions") or {})}
        for name, version in stated.items():
            if version:
                known.setdefault(name, {})[str(version)] = None
    return {name: ", ".join(values) for name, values in known.items()}


def scatters(content: Content) -> list[dict[str, str]]:
    """The message scatter of the first run of each row and variant."""
    first: dict[tuple[int, str, str], Entry] = {}
    for e in content.found:
        if (e.job.path / "figures" / "messages.png").exists():
            first.setdefault((e.sweep, e.row, e.variant), e)
    return [
        {"title": f"{e.row}, {e.variant}", "src": _embed(e.job.path / "figures" / "messages.png")}
        for e in list(first.values())[:EMBEDDED]
    ]


def _embed(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
