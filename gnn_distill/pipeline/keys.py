"""Fingerprints of what the stages' results depend on: where one is unchanged, the stage is not done again."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from gnn_distill import __version__
from gnn_distill.data.own.files.places import files_of
from gnn_distill.data.own.files.read import ENDINGS
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.pipeline.trust import code_hashes
from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.files import file_hash, fingerprint
from gnn_distill.runs.provenance import IRRELEVANT

PARTS = {
    "simulate": ("dataset",),
    "train": (
        "split", "seed", "profile", "model", "regulariser", "augment", "callbacks", "trainer", "compile",
    ),
    "analyse": ("pullback", "importance"),
    "distil": ("symbolic",),
    "report": ("variant",),
}  # fmt: skip
"""The settings that each stage reads, beside those of the stages before it."""


def stage_keys(config: dict[str, Any]) -> dict[str, str]:
    """Fingerprint of what each stage's result depends on, found without building anything.

    That is the version of this package, the settings of the stage and of those before it, the user's own code
    and data, and the law's source text. What `IRRELEVANT` lists is left out.
    """
    keys, key = {}, __version__
    for stage in STAGES:
        settings = {part: relevant(config[part], part) for part in PARTS[stage]}
        if stage == "simulate":
            settings["dataset"] |= sources(config["dataset"])
        code = code_hashes(settings)
        key = fingerprint(key, stage, settings | ({"code": code} if code else {}))
        keys[stage] = key
    return keys


def relevant(settings: Any, key: str) -> Any:
    """The settings under `key` without those that change no result."""
    if not isinstance(settings, dict):
        return settings
    kept = {name: value for name, value in settings.items() if f"{key}.{name}" not in IRRELEVANT}
    return {name: relevant(value, f"{key}.{name}") for name, value in kept.items()}


def sources(dataset: dict[str, Any]) -> dict[str, str]:
    """Fingerprints of the law's source text and of the user's data files, as far as there are any."""
    found: dict[str, str] = {}
    target, path = (dataset.get("law") or {}).get("_target_"), dataset.get("path")
    kind = get_object(target) if target else None
    if isinstance(kind, type) and issubclass(kind, ForceLaw):
        found["source"] = fingerprint(kind.source())
    with contextlib.suppress(InputError):
        hashes = [file_hash(file) for file in files_of(path, ENDINGS)] if path else []
        topology = Path(dataset.get("topology") or "").expanduser()
        hashes += [file_hash(topology)] if topology.is_file() else []
        found |= {"content": hashes[0] if len(hashes) == 1 else fingerprint(*hashes)} if hashes else {}
    return found
