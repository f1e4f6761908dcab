"""Runs as entries of tables: which law, which variant, and what else tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gnn_distill.physics import laws
from gnn_distill.report.sweep.labels import labels
from gnn_distill.report.text import law_title
from gnn_distill.runs.grid import schedule_of
from gnn_distill.runs.load import Run, law_of
from gnn_distill.runs.sweep import Job, Sweep

USUAL = {"n": 4, "dim": 2}


@dataclass(frozen=True)
class Entry:
    """One run in the tables.

    Attributes:
        sweep: index of its sweep.
        job: the run and its state; `run` its files.
        law: name of the force law, `n` particles in `dim` dimensions.
        variant: of the network.
        label: settings besides these that tell it apart from other runs of the law and variant; `extra` is
            the same without the pruning schedule.
        pruning: schedule and end fraction, of a run that prunes.
    """

    sweep: int
    job: Job
    run: Run
    law: str
    n: int | None
    dim: int | None
    variant: str
    label: str
    extra: str
    pruning: tuple[str, float] | None

    @property
    def system(self) -> str:
        """The law, and how many particles and dimensions where those are not the usual ones."""
        place = [f"{k} = {v}" for k, v in (("n", self.n), ("dim", self.dim)) if v != USUAL[k] and v]
        return ", ".join([self.law, *place])

    @property
    def row(self) -> str:
        """What a table's row about this run is called."""
        return ", ".join([self.system, *([self.label] if self.label else [])])


def entries(sweeps: Sequence[Sweep]) -> list[Entry]:
    """An entry for each run that has left a config."""
    found = []
    for k, sweep in enumerate(sweeps):
        mine = [_entry(k, job) for job in sweep.jobs if job.run is not None and job.run.config]
        found += _labelled(mine)
    return found


def _entry(sweep: int, job: Job) -> Entry:
    run = job.run
    if run is None:
        raise ValueError(f"{job.path} has no files to read")
    config, law = run.config, law_of(run.config)
    data = config.get("dataset") or {}
    target = str((data.get("law") or {}).get("_target_", "")).rpartition(".")[2]
    name = law.name if law else getattr(getattr(laws, target, None), "name", law_title(run))
    variant, pruning = str(config.get("variant")), schedule_of(config)
    return Entry(sweep, job, run, name, data.get("n"), data.get("dim"), variant, "", "", pruning)


def _labelled(found: list[Entry]) -> list[Entry]:
    """The entries with labels: settings in which runs of one law and variant differ."""
    groups = [(e.law, e.n, e.dim, e.variant) for e in found]
    made = labels([e.run.config for e in found], groups)
    return [replace(e, label=label, extra=extra) for e, (label, extra) in zip(found, made, strict=True)]
