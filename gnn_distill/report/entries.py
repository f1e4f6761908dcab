"""Runs as entries of tables: which law, which variant, and what else tells them apart."""

from __future__ import annotations

from collections import Counter
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
USUAL_SHARE = 2 / 3  # a setting that more of a sweep's runs have goes without saying
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
    name = law.name if law else getattr(getattr(forces, target, None), "name", law_title(config))
    variant, pruning = str(config.get("variant")), schedule_of(config)
    return Entry(sweep, job, run, name, data.get("n"), data.get("dim"), variant, "", "", pruning)


def _labelled(found: list[Entry]) -> list[Entry]:
    """The entries with labels: settings in which runs of one law and variant differ, but for usual ones."""
    usual = _usual([_settings(entry.run.config) for entry in found])
    groups: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in found:
        groups.setdefault((entry.law, entry.n, entry.dim, entry.variant), []).append(entry)
    labels: dict[int, tuple[str, str]] = {}
    for group in groups.values():
        configs = [_settings(entry.run.config) for entry in group]
        keys = [key for key in differing(configs) if not _under(key, SHOWN_ELSEWHERE)]
        for entry, config in zip(group, configs, strict=True):
            said = [k for k in keys if k in SCHEDULE or repr(config.get(k)) != usual.get(k)]
            labels[id(entry)] = _words(config, said), _words(config, [k for k in said if k not in SCHEDULE])
    return [replace(e, label=labels[id(e)][0], extra=labels[id(e)][1]) for e in found]


def _usual(configs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The value of each setting that nearly all runs share."""
    counts: dict[str, Counter[str]] = {}
    for config in configs:
        for key, value in config.items():
            counts.setdefault(key, Counter())[repr(value)] += 1
    most = {key: count.most_common(1)[0] for key, count in counts.items()}
    return {key: value for key, (value, n) in most.items() if n > USUAL_SHARE * len(configs)}


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
    """Keys whose values differ; of those that differ in the same way one.

    One from `profile` if possible, and a name rather than a number.
    """
    every = dict.fromkeys(key for config in configs for key in config)
    numbers = {key for key in every if not any(isinstance(config.get(key), str) for config in configs)}
    order = sorted(every, key=lambda key: (not key.startswith(("pruning", "profile.")), key in numbers))
    kept: dict[tuple[int, ...], str] = {}
    for key in order:
        values = [repr(config.get(key)) for config in configs]
        pattern = tuple(values.index(value) for value in values)
        if any(pattern):
            kept.setdefault(pattern, key)
    return list(kept.values())
