"""What tells runs of a sweep apart: names of rows from the settings in which they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from gnn_distill.runs.provenance import IRRELEVANT

Settings = Mapping[str, Any]

NOISE = ("seed", "winner_of", "trainer.enable", *IRRELEVANT)  # two of them keys of earlier versions
"""Settings that make no other row of a table: seeds are averaged over."""
SCHEDULE = ("pruning", "pruning_end")
PARAMETERS = "callbacks.prune.schedule."  # of a schedule; another one has none of that name
OF_SCHEDULE = (f"{PARAMETERS}_target_", f"{PARAMETERS}_partial_", "callbacks.prune.end")
SHOWN_ELSEWHERE = ("variant", "dataset.law._target_", "dataset.n", "dataset.dim", "schedule")
"""`schedule` stands in `callbacks.prune` again, of runs that prune."""
OPTIONS = {"exponential": "exp"}
"""Schedules whose option in the config group has another name than their function."""


def schedule_of(config: Settings) -> tuple[str, float] | None:
    """Pruning schedule and end fraction of a run; None for a run that does not prune."""
    prune = (config.get("callbacks") or {}).get("prune") or {}
    target = str((prune.get("schedule") or {}).get("_target_", "")).rpartition(".")[2]
    return (OPTIONS.get(target, target), float(prune["end"])) if target and "end" in prune else None


def labels(configs: Sequence[Settings], groups: Sequence[Hashable]) -> list[tuple[str, str]]:
    """The label of each run, whole and without its pruning schedule.

    A label names the settings in which runs of a group (one system, one variant) differ. Those that most
    settings of a variant share, or else most of the sweep, go without saying; different settings of a group
    have different labels.

    Args:
        configs: resolved configurations.
        groups: system and variant of each run.
    """
    flat = [settings(config) for config in configs]
    variants = [config.get("variant") for config in configs]

    def members(of: Sequence[Hashable]) -> dict[Hashable, list[Settings]]:
        return {
            key: [f for f, mine in zip(flat, of, strict=True) if mine == key] for key in dict.fromkeys(of)
        }

    kept = {group: differing(mine) for group, mine in members(groups).items()}
    peers = members(variants)
    short = _short_names({key for keys in kept.values() for key in keys})
    made = []
    for group, variant, config in zip(groups, variants, flat, strict=True):
        words = {
            key: f"{short[key]}={config.get(key)}"
            for key in kept[group]
            if key in SCHEDULE or not _usual(key, config.get(key), peers[variant], flat)
            if key in config or not key.startswith(PARAMETERS)
        }
        extra = [word for key, word in words.items() if key not in SCHEDULE]
        made.append((", ".join(words.values()), ", ".join(extra)))
    return made


def settings(config: Settings) -> dict[str, Any]:
    """Flat settings that can make a difference; the pruning schedule under two short names."""
    left_out = (*NOISE, *OF_SCHEDULE, *SHOWN_ELSEWHERE)
    flat = {
        key: value
        for key, value in flatten(config).items()
        if not key.endswith(".seed") and not any(f"{key}.".startswith(f"{part}.") for part in left_out)
    }
    return flat | dict(zip(SCHEDULE, schedule_of(config) or (), strict=False))


def _usual(key: str, value: Any, peers: Sequence[Settings], every: Sequence[Settings]) -> bool:
    """Whether a value is what most of a variant's settings have, or else most of all settings."""
    most = _most(key, peers)
    return repr(value) == (_most(key, every) if most is None else most)


def _most(key: str, configs: Iterable[Settings]) -> str | None:
    """The value that more than half of the distinct settings with this key have; None if there is none."""
    distinct = {repr(sorted(c.items(), key=lambda item: item[0])): repr(c[key]) for c in configs if key in c}
    if not distinct:
        return None
    value, times = Counter(distinct.values()).most_common(1)[0]
    return value if 2 * times > len(distinct) else None


def _short_names(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each key, and more of those before it where that alone would not tell keys apart."""
    parts = {key: key.removesuffix("._target_").split(".") for key in keys}
    names = {key: {"pruning_end": "end"}.get(key, part[-1]) for key, part in parts.items()}
    for length in range(2, max(map(len, parts.values()), default=0) + 1):
        times = Counter(names.values())
        names = {k: ".".join(parts[k][-length:]) if times[name] > 1 else name for k, name in names.items()}
    return names


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    if not isinstance(config, Mapping) or not config:
        return {prefix.removesuffix("."): config} if prefix else {}
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat |= flatten(value, f"{prefix}{key}.")
    return flat


def differing(configs: Sequence[Settings]) -> list[str]:
    """Keys whose values differ; of those that differ in the same way one.

    One from `profile` if possible, and a name rather than a number.
    """
    every = dict.fromkeys(key for config in configs for key in config)
    numbers = {key for key in every if not any(isinstance(config.get(key), str) for config in configs)}
    kept: dict[tuple[int, ...], str] = {}
    for key in sorted(every, key=lambda key: (not key.startswith(("pruning", "profile.")), key in numbers)):
        values = [repr(config.get(key)) for config in configs]
        pattern = tuple(values.index(value) for value in values)  # the same for keys that differ alike
        if any(pattern):
            kept.setdefault(pattern, key)
    return list(kept.values())
