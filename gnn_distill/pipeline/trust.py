"""What a config may have instantiated.

A `_target_` names code that Hydra imports and calls. A config can come from a run directory, a colleague or a
download, so only parts of this package, torch and Lightning are taken, and what the user allows by name.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.utils import get_object

from gnn_distill.errors import InputError
from gnn_distill.physics.simulate import ADDED
from gnn_distill.runs.files import file_hash

PARTS = (
    "physics.laws",
    "physics.equation",
    "physics.simulate",
    "data.own",
    "model",
    "train.penalties",
    "train.prune",
    "distil.engines",
)
"""Rooms and files of this package whose classes a config may name."""
FUNCTIONS = ("train.prune", "pipeline.loggers")
"""The same for functions."""


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
        by_user = any(str(target) == a or str(target).startswith(f"{a}.") for a in allowed)
        if target is not None and not by_user:
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
    if not isinstance(law, dict | None):
        raise InputError("dataset.law", law, "give a mapping with a _target_, or choose another dataset")
    written = any(config["dataset"].get(name) for name in ADDED)
    if law and not law.get("_target_") and not written:
        fix = "name the class of your law, as in my_module.Yukawa, or write it in dataset.along_distance"
        raise InputError("dataset.law._target_", None, fix)


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
        reason = (str(error) or repr(error)).splitlines()[-1]
        raise InputError(key, target, f"there is no such class ({reason})") from error
    if not _is_part(found):
        raise InputError(key, target, fix)


def _is_part(found: Any) -> bool:
    """Whether a config may have an object called; by the object itself, not by the name it goes by."""
    home = str(getattr(found, "__module__", ""))
    if home.startswith("gnn_distill."):
        places = PARTS if isclass(found) else FUNCTIONS if isfunction(found) else ()
        return any(f"{home}.".startswith(f"gnn_distill.{place}.") for place in places)
    bases = [bases for root, bases in _bases().items() if f"{home}.".startswith(f"{root}.")]
    return isclass(found) and any(issubclass(found, some) for some in bases)


def _bases() -> dict[str, tuple[type, ...]]:
    """Classes of torch and Lightning whose kin a config may name; imported late, since that takes seconds."""
    from lightning.fabric import plugins
    from lightning.pytorch import Callback, Trainer, accelerators, loggers, profilers, strategies
    from torch import nn, optim

    running = (Trainer, Callback, loggers.Logger, strategies.Strategy, accelerators.Accelerator)
    plugged = (plugins.Precision, plugins.CheckpointIO, plugins.ClusterEnvironment, profilers.Profiler)
    return {
        "torch.nn": (nn.Module,),
        "torch.optim": (optim.Optimizer, optim.lr_scheduler.LRScheduler),
        "lightning": running + plugged,
    }


VARIABLE = "GNN_DISTILL_ALLOW"
"""Environment variable: further modules, separated by commas, whose classes a config may name."""
_TYPED = re.compile(r"_target_['\"]?\s*[=:]\s*['\"]?([A-Za-z_][\w.]*)")


def allow_typed(arguments: Sequence[str]) -> None:
    """Allow what the user has typed as a `_target_`, here and in processes that are started from here."""
    typed = [name for line in arguments for name in _TYPED.findall(line)]
    names = [*allowed_by_user(), *typed]
    os.environ[VARIABLE] = ",".join(dict.fromkeys(names))


def allowed_by_user() -> list[str]:
    """Modules and classes that the environment allows."""
    return [name for part in os.environ.get(VARIABLE, "").split(",") if (name := part.strip())]


def check_sources(arguments: Sequence[str]) -> None:
    """Refuse to take configs from where others may have put code: a pickle, or a run directory.

    Raises:
        InputError: naming the argument.
    """
    given, _ = get_args_parser().parse_known_args(list(arguments))
    if given.experimental_rerun is not None:
        fix = "leave it out: it loads a pickle, which can run any code; hydra.run.dir=FOLDER goes on there"
        raise InputError("--experimental-rerun", given.experimental_rerun, fix)
    for name, folder in (("--config-dir", given.config_dir), ("--config-path", given.config_path)):
        inside = [Path(folder).resolve(), *Path(folder).resolve().parents] if folder else []
        if any((place / "status.json").exists() for place in inside):
            fix = "it is a run directory: to repeat that run, type the lines of its .hydra/overrides.yaml"
            raise InputError(name, folder, fix)


KNOWN = ("gnn_distill", "torch", "torch_geometric", "lightning")
"""Packages that users do not edit."""


def targets(config: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Each `_target_` in the config with its key."""
    if isinstance(config, dict):
        for name, value in config.items():
            here = f"{key}.{name}" if key else str(name)
            if name == "_target_":
                yield here, value
            else:
                yield from targets(value, here)
    elif isinstance(config, list | tuple):
        for k, value in enumerate(config):
            yield from targets(value, f"{key}[{k}]")


def named(config: Any) -> list[str]:
    """Each `_target_` in the config that lies outside of `KNOWN`."""
    found = {target for _, target in targets(config) if isinstance(target, str)}
    return sorted(target for target in found if target.partition(".")[0] not in KNOWN)


def code_hashes(config: Any) -> dict[str, str]:
    """SHA-256 of each file that defines a class or function named in the config, by its module's name.

    A class brings the files of the classes it is made from. What these files import in turn is not looked at,
    nor is code without a file, such as a class typed at a prompt.
    """
    found = [get_object(target) for target in named(config)]
    parts = [part for one in found for part in (one.__mro__ if isclass(one) else (one,))]
    names = sorted({str(getattr(part, "__module__", "")) for part in parts})
    own = [name for name in names if name.partition(".")[0] not in {*KNOWN, *sys.stdlib_module_names}]
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in own}
    return {name: file_hash(Path(file)) for name, file in files.items() if file and Path(file).is_file()}
