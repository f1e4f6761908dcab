"""What a config may have instantiated.

A `_target_` names code that Hydra imports and calls. A config can come from a run directory, a colleague or a
download, so only parts of this package, torch and Lightning are taken, and what the user allows by name.
"""

from __future__ import annotations

from collections.abc import Collection
from inspect import isclass, isfunction
from typing import Any

from hydra.utils import get_object
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.plugins import Precision as FabricPrecision
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch import nn, optim

from gnn_distill.errors import InputError
from gnn_distill.sources import VARIABLE, allowed_by_user
from gnn_distill.user_code import targets

PARTS = ("forces", "simulate", "own", "model", "regularise", "prune", "symbolic")
FUNCTIONS = ("prune", "progress")
BASES: dict[str, tuple[type, ...]] = {
    "torch.nn": (nn.Module,),
    "torch.optim": (optim.Optimizer, optim.lr_scheduler.LRScheduler),
    "lightning": (
        Trainer,
        Callback,
        Logger,
        Strategy,
        Accelerator,
        FabricPrecision,
        CheckpointIO,
        ClusterEnvironment,
        Profiler,
    ),
}


def check_targets(config: Any, allow: Collection[str] = ()) -> None:
    """Refuse a config that names code outside of the allow-list, before any of it is imported.

    Args:
        config: plain data, at any depth of which there may be a `_target_`.
        allow: modules or classes allowed besides those of the environment.

    Raises:
        InputError: naming the key, the target and what would allow it.
    """
    allowed = {*allowed_by_user(), *allow}
    for key, target in targets(config):
        if target is not None and not _by_user(target, allowed):
            _check(key, target)


def check_parts(config: dict[str, Any]) -> None:
    """Refuse a config whose parts are not mappings that name what to make of them.

    Raises:
        InputError: naming the key.
    """
    parts = {key: config.get(key) for key in ("dataset", "model", "regulariser", "trainer")}
    parts |= {"symbolic.engine": config["symbolic"].get("engine")}
    parts |= {f"{group}.{name}": v for group in ("callbacks", "logger") for name, v in config[group].items()}
    fix = "give a mapping with a _target_, or choose an option of the group as --help lists them"
    for key, value in parts.items():
        if not isinstance(value, dict) or not isinstance(value.get("_target_"), str):
            raise InputError(key, value, fix)
    law = config["dataset"].get("law")
    if law is not None and not isinstance(law, dict):
        raise InputError("dataset.law", law, "give a mapping with a _target_, or choose another dataset")


def _by_user(target: Any, allowed: Collection[str]) -> bool:
    return isinstance(target, str) and any(target == a or target.startswith(f"{a}.") for a in allowed)


def _check(key: str, target: Any) -> None:
    if not isinstance(target, str) or not target:
        raise InputError(key, target, "give the dotted name of a class")
    parts = target.split(".")
    fix = f"set {VARIABLE}={'.'.join(parts[:-1]) or target} if you trust that code, or type {key}={target}"
    if parts[0] not in ("gnn_distill", "torch", "lightning") or any(p.startswith("_") for p in parts):
        raise InputError(key, target, fix)
    try:
        found = get_object(target)
    except Exception as error:
        raise InputError(key, target, f"there is no such class ({_first_line(error)})") from error
    if not _is_part(found):
        raise InputError(key, target, fix)


def _is_part(found: Any) -> bool:
    """Whether a config may have an object called; by the object itself, not by the name it goes by."""
    home = str(getattr(found, "__module__", ""))
    if home.startswith("gnn_distill."):
        room = home.split(".")[1]
        return (isclass(found) and room in PARTS) or (isfunction(found) and room in FUNCTIONS)
    bases = [bases for root, bases in BASES.items() if home == root or home.startswith(f"{root}.")]
    return isclass(found) and any(issubclass(found, some) for some in bases)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[-1]
