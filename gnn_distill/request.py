"""What a run was asked for, as one fingerprint, found without building anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gnn_distill import __version__
from gnn_distill.rundir import file_hash, fingerprint
from gnn_distill.user_code import named

SIMULATION, LAWS = "gnn_distill.simulate.Simulation", "gnn_distill.forces"
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
    return fingerprint(__version__, file_hash(Path(__file__).with_name("forces.py")), config)
