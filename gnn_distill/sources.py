"""Where configs may come from, and what the command line itself allows them to name."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.utils import get_args_parser

from gnn_distill.errors import InputError

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
    given = get_args_parser().parse_known_args(list(arguments))[0]
    if given.experimental_rerun is not None:
        fix = "leave it out: it loads a pickle, which can run any code; hydra.run.dir=FOLDER goes on there"
        raise InputError("--experimental-rerun", given.experimental_rerun, fix)
    for name, folder in (("--config-dir", given.config_dir), ("--config-path", given.config_path)):
        if folder and _of_a_run(Path(folder)):
            fix = "it is a run directory: to repeat that run, type the lines of its .hydra/overrides.yaml"
            raise InputError(name, folder, fix)


def _of_a_run(folder: Path) -> bool:
    """Whether the folder is a run directory or lies in one."""
    here = folder.resolve()
    return any((place / "status.json").exists() for place in (here, *here.parents))
