"""Runs as entries of tables: which law, which variant, and what else tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gnn_distill import forces
from gnn_distill.report.collect import Job, Sweep
from gnn_distill.report.grid import schedule_of
from gnn_distill.report.story import law_of, law_title
from gnn_distill.rundir import Run

USUAL = {"n": 4, "dim": 2}
NOISE = (
    "seed",
    "threads",
    "gpus",
    "cache",
    "stages",
    "logger",
    "symbolic.jobs",
    "winner_of",
    "trainer.enable",
)
"""Settings that make no other row of a table: they change no result, or seeds, which are averaged over."""
SCHEDULE = ("pruning", "pruning_end")
OF_SCHEDULE = ("callbacks.prune.schedule", "callbacks.prune.end")
SHOWN_ELSEWHERE = ("variant", "dataset.law", "dataset.n", "dataset.dim", "schedule")


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
    def row(self) -> str:
        """What a table's row about this run is called."""
        place = [f"{k} = {v}" for k, v in (("n", self.n), ("dim", self.dim)) if v != USUAL[k] and v]
        return ", ".join([self.law, *place, *([self.label] if self.label else [])])


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
    name = law.name if law else getattr(getattr(forces, target, None), "name", law_title(config))
    variant, pruning = str(config.get("variant")), schedule_of(config)
    return Entry(sweep, job, run, name, data.get("n"), data.get("dim"), variant, "", "", pruning)


def _labelled(found: list[Entry]) -> list[Entry]:
    """The entries with labels: settings in which runs of one law and variant differ."""
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in found:
        groups.setdefault((entry.law, entry.n, entry.dim, entry.variant), []).append(entry)
    labels: dict[int, tuple[str, str]] = {}
    for group in groups.values():
        configs = [_settings(entry.run.config) for entry in group]
        keys = [key for key in differing(configs) if not _under(key, SHOWN_ELSEWHERE)]
        for entry, config in zip(group, configs, strict=True):
            labels[id(entry)] = _words(config, keys), _words(config, [k for k in keys if k not in SCHEDULE])
    return [replace(e, label=labels[id(e)][0], extra=labels[id(e)][1]) for e in found]


def _words(config: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{_short(key)}={config.get(key)}" for key in keys)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Flat settings without noise; the pruning schedule under two short names."""
    flat = {
        key: value
        for key, value in flatten(config).items()
        if not _under(key, NOISE) and not _under(key, OF_SCHEDULE) and not key.endswith(".seed")
    }
    schedule = schedule_of(dict(config))
    return flat | (dict(zip(SCHEDULE, schedule, strict=True)) if schedule else {})


def _short(key: str) -> str:
    parts = key.removesuffix("._target_").split(".")
    return {"pruning_end": "end"}.get(parts[-1], parts[-1])


def _under(key: str, prefixes: Sequence[str]) -> bool:
    return any(key == prefix or key.startswith(prefix + ".") for prefix in prefixes)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    if not isinstance(config, Mapping) or not config:
        return {prefix.removesuffix("."): config} if prefix else {}
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= flatten(value, f"{prefix}{key}.")
    return flat


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values differ; of those that differ in the same way one, from `profile` if possible."""
    every = dict.fromkeys(key for config in configs for key in config)
    order = sorted(every, key=lambda key: not key.startswith(("pruning", "profile.")))
    kept: dict[tuple[int, ...], str] = {}
    for key in order:
        values = [repr(config.get(key)) for config in configs]
        pattern = tuple(values.index(value) for value in values)
        if any(pattern):
            kept.setdefault(pattern, key)
    return list(kept.values())
