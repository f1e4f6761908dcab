"""Code of the user's own that a config names: a stage's result depends on it as on any setting."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import isclass
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from gnn_distill.rundir import file_hash

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
    modules = {module for target in named(config) for module in _modules(get_object(target))}
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in sorted(modules)}
    return {name: file_hash(Path(file)) for name, file in files.items() if file and Path(file).is_file()}


def _modules(found: Any) -> set[str]:
    """Names of the modules that define a class, with its bases, or a function."""
    parts = found.__mro__ if isclass(found) else (found,)
    names = {str(getattr(part, "__module__", "")) for part in parts}
    known = {*KNOWN, *sys.stdlib_module_names}
    return {name for name in names if name.partition(".")[0] not in known}
