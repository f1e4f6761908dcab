"""What tells runs of a sweep apart: names of rows from the settings in which they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from gnn_distill.runs.grid import schedule_of
from gnn_distill.runs.provenance import IRRELEVANT

Settings = Mapping[str, Any]

NOISE = ("seed", *IRRELEVANT)
"""Settings that make no other row of a table: seeds are averaged over."""
SCHEDULE = ("pruning", "pruning_end")
PARAMETERS = "callbacks.prune.schedule."  # of a schedule; another one has none of that name
OF_SCHEDULE = (
    "callbacks.prune.schedule._target_",
    "callbacks.prune.schedule._partial_",
    "callbacks.prune.end",
)
SHOWN_ELSEWHERE = ("variant", "dataset.law._target_", "dataset.n", "dataset.dim", "schedule")
"""`schedule` stands in `callbacks.prune` again, of runs that prune."""


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
    members: dict[Hashable, list[Settings]] = {}
    for group, config in zip(groups, flat, strict=True):
        members.setdefault(group, []).append(config)
    kept = {group: differing(mine) for group, mine in members.items()}
    short = _short_names({key for keys in kept.values() for key in keys})
    variants: dict[Any, list[Settings]] = {}
    for config, whole in zip(flat, configs, strict=True):
        variants.setdefault(whole.get("variant"), []).append(config)
    made = []
    for group, config, whole in zip(groups, flat, configs, strict=True):
        peers = variants[whole.get("variant")]
        said = [k for k in kept[group] if k in SCHEDULE or not _usual(k, config.get(k), peers, flat)]
        said = [k for k in said if k in config or not k.startswith(PARAMETERS)]
        words = {k: f"{short[k]}={config.get(k)}" for k in said}
        extra = [word for k, word in words.items() if k not in SCHEDULE]
        made.append((", ".join(words.values()), ", ".join(extra)))
    return made


def settings(config: Settings) -> dict[str, Any]:
    """Flat settings that can make a difference; the pruning schedule under two short names."""
    flat = {
        key: value
        for key, value in flatten(config).items()
        if not _under(key, (*NOISE, *OF_SCHEDULE, *SHOWN_ELSEWHERE)) and not key.endswith(".seed")
    }
    schedule = schedule_of(dict(config))
    return flat | (dict(zip(SCHEDULE, schedule, strict=True)) if schedule else {})


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


def differing(configs: Sequence[Settings]) -> list[str]:
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
