"""Entry point `gnn-distill`: Hydra in, one run directory a job out, errors on one screen."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gnn_distill import __version__
from gnn_distill.pipeline.config import implied, register
from gnn_distill.pipeline.explain import exit_code, show
from gnn_distill.pipeline.source import simulated_ahead
from gnn_distill.pipeline.trust import allow_typed, check_sources

FLAGS = {"-m", "--multirun"}


@hydra.main(config_path="pkg://gnn_distill.conf", config_name="config", version_base="1.3")
def _hydra_main(cfg: DictConfig) -> None:
    settings = HydraConfig.get()
    if settings.mode == RunMode.MULTIRUN:
        from gnn_distill.cli.job import run_job

        run_job(cfg, cast(DictConfig, settings))
    else:
        with simulated_ahead(cfg) as ask:
            from gnn_distill.pipeline.progress import Reporter
            from gnn_distill.pipeline.stages import run

            run(cfg, Path(settings.runtime.output_dir), Reporter(keys=True), ask)


def main() -> None:
    """Run `gnn-distill`; exit code 0 on success, 2 for bad input, 1 for any other failure."""
    if "--version" in sys.argv[1:]:
        print(f"gnn-distill {__version__}")
        return
    # Threads that soon sleep while they wait: where other programs use the cores, too, spinning ones cost ten
    # times. A short spin spares the wake-up between the small products of one step (docs/benchmarks.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "8000")
    sys.path.append(os.getcwd())  # a _target_ may name a class in a file of the user's
    traceback_wanted = os.environ.setdefault("HYDRA_FULL_ERROR", "0") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting
    register()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        check_sources(sys.argv[1:])
        allow_typed(sys.argv[1:])
        sys.argv += implied(sys.argv[1:])
        _hydra_main()
    except KeyboardInterrupt:
        if FLAGS & set(sys.argv[1:]):
            print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        code = exit_code(error)
        if traceback_wanted or code is None:
            raise
        show(error)
        sys.exit(code)


if __name__ == "__main__":
    main()
