"""The whole job, in order: simulate → train → analyse → distil → report."""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import lightning as L
import numpy as np
import torch
from hydra.utils import instantiate
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from gnn_distill import __version__
from gnn_distill.analysis import analyse, gauge_fits
from gnn_distill.data import NBodyDataModule, ParticleData, load_or_simulate
from gnn_distill.errors import InputError, check_choice, check_int
from gnn_distill.lit import Augmentation, DistilModule, Optimisation
from gnn_distill.messages import Recording, edge_features, record
from gnn_distill.model import ParticleGNN
from gnn_distill.progress import EpochLog, Reporter, check_loggers
from gnn_distill.report import write_report
from gnn_distill.rundir import STAGES, RunDirectory, fingerprint
from gnn_distill.simulate import Simulation
from gnn_distill.symbolic.closed_form import Law, compare, from_messages, refit
from gnn_distill.symbolic.engine import Engine
from gnn_distill.symbolic.front import Front
from gnn_distill.symbolic.verdict import Verdict, data_ranges, judge

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


def run(cfg: DictConfig, path: Path, report: Reporter | None = None) -> None:
    """Do the stages of `cfg` in the run directory `path`; stages already done there are skipped."""
    experiment = build(cfg, Reporter() if report is None else report)
    directory = RunDirectory(path)
    directory.write_text("config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    directory.begin(experiment.config["seed"])
    work = {
        "simulate": lambda resumed: experiment.data,
        "train": lambda resumed: train(experiment, directory, resumed),
        "analyse": lambda resumed: analyse_run(experiment, directory),
        "distil": lambda resumed: distil(experiment, directory),
        "report": lambda resumed: write_report(path, experiment.report.console),
    }
    keys = stage_keys(experiment.config)
    for stage in (s for s in STAGES if s in experiment.config["stages"]):
        if directory.is_done(stage, keys[stage]):
            experiment.report.line(f"[green]✓[/] {stage}  (done before)")
            continue
        resumed = directory.is_begun(stage, keys[stage])
        with experiment.report.stage(stage), directory.stage(stage, keys[stage]):
            work[stage](resumed)
    directory.finish()


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


def stage_keys(config: dict[str, Any]) -> dict[str, str]:
    """Fingerprint of what each stage's result depends on, the earlier stages included."""
    parts = {
        "simulate": ("dataset",),
        "train": ("split", "seed", "profile", "model", "regulariser", "augment", "callbacks", "trainer"),
        "analyse": (),
        "distil": ("symbolic",),
        "report": ("variant",),
    }
    keys, key = {}, __version__
    for stage in STAGES:
        key = fingerprint(key, stage, {part: config[part] for part in parts[stage]})
        keys[stage] = key
    return keys


def train(experiment: Experiment, directory: RunDirectory, resumed: bool) -> None:
    """Train the network, from its last checkpoint if there is one of the same configuration."""
    folder = directory.path / "checkpoints"
    last = folder / "last.ckpt"
    if not resumed:
        for old in [*folder.glob("*.ckpt"), directory.path / "metrics.csv"]:
            old.unlink(missing_ok=True)
    L.seed_everything(experiment.config["seed"], verbose=False)
    experiment.module.model.calibrate(experiment.datamodule.train.accelerations)
    checkpoint = ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor="val/selection",
        save_last=True,
        enable_version_counter=False,
    )
    trainer = experiment.trainer(
        callbacks=[
            *experiment.callbacks,
            EpochLog(directory.path / "metrics.csv", experiment.report.line),
            checkpoint,
        ],
        logger=[logger(save_dir=directory.path) for logger in experiment.loggers] or False,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=directory.path,
    )
    trainer.fit(
        experiment.module,
        datamodule=experiment.datamodule,
        ckpt_path=last if resumed and last.exists() else None,
        weights_only=True,
    )


def analyse_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Record messages on the test set and compare them with the true forces."""
    load_weights(experiment.module, directory.path)
    recording = experiment.recording
    directory.write_arrays("messages.npz", recording.arrays())
    directory.write_json("analysis.json", analyse(recording, experiment.config["split"]))


def load_weights(module: DistilModule, path: Path) -> None:
    """Put the final weights of a trained run into `module`."""
    last = path / "checkpoints" / "last.ckpt"
    if not last.exists():
        fix = "no trained network in this folder: add train to stages, or set hydra.run.dir"
        raise InputError("stages", str(path), fix)
    checkpoint = torch.load(last, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    module.cpu()


def distil(experiment: Experiment, directory: RunDirectory) -> None:
    """Search for equations, judge them, and put them together as one law."""
    load_weights(experiment.module, directory.path)
    settings, recording = experiment.config["symbolic"], experiment.recording
    fronts = search(experiment, recording)
    edges, dim = recording.edges, experiment.simulation.dim
    ranges = data_ranges(edges.variables, edges.names)
    verdicts = judge(
        fronts, experiment.simulation.law, edges.names, dim=dim, target=settings["target"], ranges=ranges
    )
    labels = edges.names[:dim] if settings["target"] == "pullback" else recording.components
    directory.write_json(
        "equations.json",
        {
            "engine": experiment.engine.name,
            "target": settings["target"],
            "variables": edges.names,
            "components": [
                component(label, front, verdict)
                for label, front, verdict in zip(labels, fronts, verdicts, strict=True)
            ],
        },
    )
    directory.write_json("law.json", closed_form(experiment, recording, fronts, verdicts))


def search(experiment: Experiment, recording: Recording) -> list[Front]:
    """One front per component of the symbolic target, on random test edges."""
    settings, seed = experiment.config["symbolic"], experiment.config["seed"]
    target = recording.pullback if settings["target"] == "pullback" else recording.selected
    edges = recording.sample[np.random.default_rng([seed, 2]).permutation(len(recording.sample))]
    edges = np.sort(edges[: settings["points"]])
    x, y = recording.edges.variables[edges], target[edges]
    fit = joblib.delayed(experiment.engine.fit)
    jobs = (fit(x, y[:, k], recording.edges.names, seed=seed + k) for k in range(y.shape[1]))
    return list(joblib.Parallel(n_jobs=min(settings["jobs"], y.shape[1]))(jobs))


def component(label: Any, front: Front, verdict: Verdict) -> dict[str, Any]:
    """One entry of `equations.json`."""
    equations = front.to_dict()
    return {
        "dim": label,
        "front": equations["equations"],
        "score_pick": front.score_pick,
        "choice": front.choice,
        "verdict": verdict.to_dict(),
    }


def closed_form(
    experiment: Experiment, recording: Recording, fronts: list[Front], verdicts: list[Verdict]
) -> dict[str, Any]:
    """The content of `law.json`: recovered equations, or the fronts' choices, with refitted constants."""
    picked = [f.choice if v.equation is None else v.equation for f, v in zip(fronts, verdicts, strict=True)]
    expressions = [f.equations[k].expression for f, k in zip(fronts, picked, strict=True)]
    if experiment.config["symbolic"]["target"] == "pullback":
        law = Law(tuple(expressions))
    else:
        law = from_messages(expressions, gauge_fits(recording)["gauge"])
    validation, test = experiment.datamodule.validation, experiment.datamodule.test
    generator = torch.Generator().manual_seed(experiment.config["seed"])
    some = torch.randperm(len(validation), generator=generator)[:2000]
    edges = edge_features(validation.features[some], experiment.simulation.dim, None)
    law = refit(law, edges, validation.accelerations[some].flatten(0, 1).double().numpy())
    target = test.accelerations.flatten(0, 1).double().numpy()
    return {"equations": picked, **compare(law, recording.edges, target, recording.mae)}


def set_threads(threads: int | None) -> None:
    """Limit the CPU threads of torch and numba."""
    if threads is None:
        return
    check_int("threads", threads, 1, os.cpu_count() or 1)
    import numba

    torch.set_num_threads(threads)
    numba.set_num_threads(threads)


def _quiet() -> None:
    """Keep Lightning's start-up notes out of the terminal; its warnings stay."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
