"""The data that a configuration names, and their simulation while the libraries of a run still load."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

PATIENCE = 60.0
"""Seconds that the second process may take to be ready; after that this one simulates."""


def make(part: Any, **more: Any) -> Any:
    """What a `_target_` leaf describes."""
    return instantiate(part, _convert_="all", **more)


def make_source(dataset: DictConfig) -> Any:
    """The `Simulation` or `OwnData` of the group `dataset`; a law that is not named is left out."""
    named = (dataset.get("law") or {"_target_": ""}).get("_target_") is not None
    return make({key: leaf for key, leaf in dataset.items() if named or key != "law"})


@contextmanager
def simulated_ahead(cfg: DictConfig) -> Iterator[Callable[[], None]]:
    """Let a second process make ready to simulate the data of `cfg`, while this one loads its libraries.

    To load torch and Lightning takes as long as to compile a simulation. What is wrong with the configuration
    or the law, this process finds and says itself: until it asks, nothing is written. The other one ends
    with the block.

    Yields:
        What asks for the data: it returns once the other process is at it, and nobody else can be.
    """
    simulates = "simulate" in cfg.stages and str(cfg.dataset.get("_target_")).endswith(".Simulation")
    if not (simulates and sys.platform == "linux"):  # elsewhere a fork is not safe, or there is none
        yield lambda: None
        return
    fork = multiprocessing.get_context("fork")
    mine, its = fork.Pipe()

    child = fork.Process(target=_simulate, args=(cfg, its, mine), daemon=True)
    child.start()
    its.close()

    def ask() -> None:
        with suppress(EOFError, OSError):  # it has ended: there is nothing to do, or something is wrong
            mine.send(True)
            if not mine.poll(PATIENCE):
                child.kill()

    try:
        yield ask
    finally:
        child.kill()
        child.join()
        mine.close()


def _simulate(cfg: DictConfig, asked: Connection, other: Connection) -> None:
    other.close()
    logging.disable()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # the terminal is the first process's
        os.dup2(quiet, stream)
    if cfg.threads is not None:
        os.environ["NUMBA_NUM_THREADS"] = str(cfg.threads)
    from gnn_distill.data.cache import dataset_folder, make_if_missing
    from gnn_distill.physics.simulate import simulate
    from gnn_distill.pipeline.trust import check_targets

    with suppress(Exception):
        config: Any = OmegaConf.to_container(cfg, resolve=True)
        check_targets(config["dataset"])
        spec, cache = make_source(OmegaConf.create(config["dataset"])), Path(config["cache"])
        if not dataset_folder(spec, cache).exists():
            simulate(replace(spec, simulations=1))  # compiles
            asked.recv()
            make_if_missing(spec, cache, lambda: asked.send(True))
