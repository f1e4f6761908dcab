"""What a run was asked for, as one fingerprint, found without building anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gnn_distill import __version__
from gnn_distill.physics import laws
from gnn_distill.pipeline.trust import code_hashes, named
from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.files import file_hash, fingerprint

SIMULATION, LAWS = "gnn_distill.physics.simulate.Simulation", laws.__name__
IRRELEVANT = ("threads", "gpus", "cache", "logger", "stages", "winner_of")
"""Keys that no result depends on, and the stages, whose results are looked for one by one."""


def request_key(cfg: DictConfig) -> str | None:
    """Fingerprint of all that a run's results depend on.

    None where that needs a look at files of the user's: data, or code of their own.
    """
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    law = str((config["dataset"].get("law") or {}).get("_target_"))
    if config["dataset"].get("_target_") != SIMULATION or law.rpartition(".")[0] != LAWS:
        return None
    for key in IRRELEVANT:
        config.pop(key, None)
    if named(config):
        return None
    config["symbolic"].pop("jobs", None)
    return fingerprint(__version__, file_hash(Path(laws.__file__)), config)


PLACE = ("accelerator", "devices", "num_nodes", "strategy")
"""Settings of the trainer that say where a run happens, not what it computes: another place may resume it."""


def stage_keys(config: dict[str, Any]) -> dict[str, str]:
    """Fingerprint of what each stage's result depends on, the earlier stages and the user's code included."""
    parts = {
        "simulate": ("dataset",),
        "train": (
            "split",
            "seed",
            "profile",
            "model",
            "regulariser",
            "augment",
            "callbacks",
            "trainer",
            "compile",
        ),
        "analyse": ("pullback", "importance"),
        "distil": ("symbolic",),
        "report": ("variant",),
    }
    trainer = {k: v for k, v in config["trainer"].items() if k not in PLACE}
    symbolic = {k: v for k, v in config["symbolic"].items() if k != "jobs"}
    config = config | {"trainer": trainer, "symbolic": symbolic}
    keys, key = {}, __version__
    for stage in STAGES:
        settings = {part: config[part] for part in parts[stage]}
        code = code_hashes(settings)
        key = fingerprint(key, stage, settings | ({"code": code} if code else {}))
        keys[stage] = key
    return keys
