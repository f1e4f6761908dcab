"""Compose a configuration and run it, without a command line."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from omegaconf import DictConfig
from rich.console import Console

from gnn_distill.api.loaded import LoadedRun, console, load_run
from gnn_distill.errors import InputError
from gnn_distill.pipeline.build import build
from gnn_distill.pipeline.config import composed
from gnn_distill.pipeline.explain import as_input
from gnn_distill.pipeline.machine import quiet
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.pipeline.stages import run
from gnn_distill.pipeline.trust import allow_typed, check_sources
from gnn_distill.runs.files import atomic


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> DictConfig:
    """The configuration that `gnn-distill OVERRIDES` would run, checked.

    All parts are built once, so that a wrong name, type or value is known here, before any work.

    ```python
    config = compose(["dataset=spring", "variant=bottleneck", "profile.epochs=20"])
    ```

    Args:
        overrides: `GROUP=OPTION` and `KEY=VALUE`, as on the command line.
        config_dir: a folder with groups of your own, as `--config-dir`.

    Raises:
        InputError: naming the key, the value and what to write instead.
    """
    lines = [str(line) for line in overrides]
    if config_dir is not None and not Path(config_dir).is_dir():
        raise InputError("config_dir", str(config_dir), "give a folder that holds dataset/, variant/ …")
    check_sources(["--config-dir", str(config_dir)] if config_dir is not None else [])
    allow_typed(lines)
    log = logging.getLogger("gnn_distill")
    with as_input("overrides", lines), ExitStack() as afterwards:
        afterwards.callback(log.setLevel, log.level)
        log.setLevel(logging.ERROR)  # the run reads the data again, and gives the warnings about them
        config = composed(lines, config_dir)
        quiet()
        build(config, Reporter(Console(quiet=True)))
        return config


def run_pipeline(config: DictConfig, directory: str | Path, *, quiet: bool = False) -> LoadedRun:
    """Simulate, train, analyse, distil and report, as far as `config.stages` says.

    Called again with the same directory it goes on where it stopped; complete stages are skipped.

    ```python
    run = run_pipeline(compose(["dataset=spring"]), "runs/spring")
    ```

    Args:
        config: what `compose` returned.
        directory: the run directory; made if missing.
        quiet: print nothing.

    Returns:
        The run, read back from its directory.

    Raises:
        InputError: naming the key, the value and what to write instead.
    """
    with as_input("config", str(directory)):
        run(config, Path(directory), Reporter(console(quiet)))
    return load_run(directory)


def distil_tracks(
    tracks: pd.DataFrame | Mapping[str, npt.ArrayLike] | str | Path,
    directory: str | Path,
    overrides: Sequence[str] = (),
    *,
    quiet: bool = False,
) -> LoadedRun:
    """Find the equation of motion of tracked particles.

    ```python
    run = distil_tracks(frame, "runs/beads", ["dataset.time_step=0.04", "dataset.radius=3"])
    print(run.law)
    ```

    Args:
        tracks: a table with a row for each particle and frame, arrays by name, or a file's path; what columns
            and arrays mean is told in `docs/own_data.md`.
        directory: the run directory; made if missing. A table and arrays are kept in it, as `tracks.csv` or
            `tracks.npz`.
        overrides: `KEY=VALUE`, as on the command line after `dataset=own`.
        quiet: print nothing.

    Returns:
        The run, read back from its directory.

    Raises:
        InputError: naming the key, the column or array, and what to do.
    """
    folder, path = Path(directory), tracks
    if not isinstance(tracks, str | Path):
        path = folder / ("tracks.csv" if isinstance(tracks, pd.DataFrame) else "tracks.npz")
        with atomic(path) as temporary:
            if isinstance(tracks, pd.DataFrame):
                named = [name for name in tracks.index.names if name and name not in tracks]
                tracks.to_csv(temporary, index=bool(named))
            else:
                with temporary.open("wb") as file:
                    np.savez(file, allow_pickle=False, **{k: np.asarray(v) for k, v in tracks.items()})
    quoted = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return run_pipeline(compose(["dataset=own", f"dataset.path='{quoted}'", *overrides]), folder, quiet=quiet)
