"""Entry point `gnn-distill`: Hydra in, one run directory out, errors on one screen."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from gnn_distill import __version__
from gnn_distill.config import Config, register
from gnn_distill.errors import DivergedError, InputError


@hydra.main(config_path="pkg://gnn_distill.conf", config_name="config", version_base="1.3")
def _hydra_main(cfg: DictConfig) -> None:
    from gnn_distill.run import run

    run(cfg, Path(HydraConfig.get().runtime.output_dir))


def main() -> None:
    """Run `gnn-distill`; exit code 0 on success, 2 for bad input, 1 for any other failure."""
    if "--version" in sys.argv[1:]:
        print(f"gnn-distill {__version__}")
        return
    # Threads that sleep while they wait: where other programs use the cores too, spinning ones cost ten times
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.path.insert(0, os.getcwd())  # a _target_ may name a class in a file of the user's
    traceback_wanted = os.environ.setdefault("HYDRA_FULL_ERROR", "0") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    register()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        _hydra_main()
    except (InputError, HydraException, OmegaConfBaseException) as error:
        if traceback_wanted:
            raise
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error[/] {escape(explain(error))}", highlight=False
        )
        sys.exit(2)
    except DivergedError as error:
        if traceback_wanted:
            raise
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]error[/] {escape(str(error))}", highlight=False
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def explain(error: BaseException) -> str:
    """What was wrong and what to do, from an exception of ours, Hydra's or OmegaConf's."""
    for cause in _causes(error):
        if isinstance(cause, InputError):
            return str(cause)
    key = getattr(error, "full_key", None)
    for cause in _causes(error):
        key = key or getattr(cause, "full_key", None)
    text = "\n".join(dict.fromkeys(line for cause in _causes(error) for line in str(cause).splitlines()))
    near = difflib.get_close_matches(str(key).split(".")[0], Config.__dataclass_fields__, n=1) if key else []
    hint = f"\ndid you mean {near[0]}?" if near and near[0] != key else ""
    return f"{text}{hint}\ngnn-distill --help lists groups and keys; HYDRA_FULL_ERROR=1 shows the traceback"


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


if __name__ == "__main__":
    main()
