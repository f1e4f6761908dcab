"""Construct and check everything that a run needs, before any work starts."""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numba
import torch
from hydra.utils import instantiate
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from gnn_distill.data import NBodyDataModule, ParticleData, load_or_simulate
from gnn_distill.errors import InputError, check_choice, check_int
from gnn_distill.lit import Augmentation, DistilModule, Optimisation
from gnn_distill.messages import Recording, record
from gnn_distill.model import ParticleGNN
from gnn_distill.progress import Reporter, check_loggers
from gnn_distill.rundir import STAGES
from gnn_distill.simulate import Simulation
from gnn_distill.symbolic.engine import Engine

TARGETS = ("pullback", "components")


@dataclass
class Experiment:
    """Everything that a run needs, constructed and checked before any work starts."""

    config: dict[str, Any]
    simulation: Simulation
    module: DistilModule
    callbacks: list[L.Callback]
    loggers: list[Callable[..., Logger]]
    trainer: functools.partial[L.Trainer]
    engine: Engine
    cache: Path
    report: Reporter

    @functools.cached_property
    def data(self) -> ParticleData:
        """The simulated graphs, from the cache if they are there."""
        return load_or_simulate(self.simulation, self.cache, self.report.simulated)

    @functools.cached_property
    def datamodule(self) -> NBodyDataModule:
        """The graphs, split."""
        c = self.config
        return NBodyDataModule(self.data, c["split"], c["profile"]["batch_size"], c["seed"])

    @functools.cached_property
    def recording(self) -> Recording:
        """Messages of the trained network on the test set."""
        test = self.datamodule.test
        return record(
            self.module.model,
            test.features,
            test.accelerations,
            self.datamodule.test_trajectory,
            self.simulation.law,
            seed=self.config["seed"],
        )


def build(cfg: DictConfig, report: Reporter) -> Experiment:
    """Construct and check everything.

    Raises:
        InputError: naming the key, the value and the fix.
    """
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    for stage in config["stages"]:
        check_choice("stages", stage, STAGES)
    check_choice("symbolic.target", config["symbolic"]["target"], TARGETS)
    check_int("symbolic.points", config["symbolic"]["points"], 50)
    check_int("symbolic.jobs", config["symbolic"]["jobs"], 1)
    check_int("seed", config["seed"], 0)
    profile = config["profile"]
    for key in ("simulations", "frames", "epochs", "batch_size", "width"):
        check_int(f"profile.{key}", profile[key], 1)
    check_choice("split", config["split"], ("trajectories", "frames"))
    check_loggers(config["logger"])
    set_threads(config["threads"])
    _quiet()
    torch.manual_seed(config["seed"])

    def make(part: Any, **more: Any) -> Any:
        return instantiate(part, _convert_="all", **more)

    simulation = make(cfg.dataset)
    if not isinstance(simulation, Simulation):
        raise InputError("dataset._target_", config["dataset"].get("_target_"), "give a Simulation")
    model = make(cfg.model)
    if not isinstance(model, ParticleGNN):
        raise InputError("model._target_", config["model"].get("_target_"), "give a ParticleGNN")
    o = {key: profile[key] for key in ("learning_rate", "warmup", "weight_decay")}
    module = DistilModule(
        model,
        make(cfg.regulariser),
        Optimisation(schedule=profile["lr_schedule"], **o),
        Augmentation(**config["augment"]),
    )
    callbacks = list(make(cfg.callbacks).values())
    trainer = make(cfg.trainer, _partial_=True)
    try:
        trainer(logger=False, enable_checkpointing=False)
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise InputError("trainer", config["trainer"], str(error)) from error
    loggers = [make(leaf, _partial_=True) for leaf in cfg.logger.values()]
    engine, cache = make(cfg.symbolic.engine), Path(config["cache"])
    return Experiment(config, simulation, module, callbacks, loggers, trainer, engine, cache, report)


def set_threads(threads: int | None) -> None:
    """Limit the CPU threads of torch and numba."""
    if threads is None:
        return
    check_int("threads", threads, 1, os.cpu_count() or 1)
    torch.set_num_threads(threads)
    numba.set_num_threads(threads)


def _quiet() -> None:
    """Keep Lightning's start-up notes out of the terminal; its warnings stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
