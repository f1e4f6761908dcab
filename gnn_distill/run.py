"""The whole job, in order: simulate → train → analyse → distil → report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf

from gnn_distill import __version__
from gnn_distill.analysis import analyse
from gnn_distill.build import Experiment, build
from gnn_distill.distil import closed_form, equations, judged, search
from gnn_distill.errors import InputError
from gnn_distill.lit import DistilModule
from gnn_distill.progress import EpochLog, Reporter
from gnn_distill.report import write_report
from gnn_distill.rundir import STAGES, RunDirectory, fingerprint
from gnn_distill.summary import examples, summarise

CALIBRATION = 1_000_000  # training graphs that set the output scale


def run(cfg: DictConfig, path: Path, report: Reporter | None = None) -> None:
    """Do the stages of `cfg` in the run directory `path`; stages already done there are skipped."""
    experiment = build(cfg, Reporter() if report is None else report)
    directory = RunDirectory(path)
    directory.write_text("config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    directory.begin(experiment.config["seed"])
    work = {
        "simulate": lambda resumed: simulate_run(experiment, directory),
        "train": lambda resumed: train(experiment, directory, resumed),
        "analyse": lambda resumed: analyse_run(experiment, directory),
        "distil": lambda resumed: distil_run(experiment, directory),
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


def stage_keys(config: dict[str, Any]) -> dict[str, str]:
    """Fingerprint of what each stage's result depends on, the earlier stages included."""
    parts = {
        "simulate": ("dataset",),
        "train": ("split", "seed", "profile", "model", "regulariser", "augment", "callbacks", "trainer"),
        "analyse": ("pullback",),
        "distil": ("symbolic",),
        "report": ("variant",),
    }
    keys, key = {}, __version__
    for stage in STAGES:
        key = fingerprint(key, stage, {part: config[part] for part in parts[stage]})
        keys[stage] = key
    return keys


def simulate_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Make or read the data, and write down what they are like."""
    data, source = experiment.data, experiment.source
    directory.write_arrays("trajectories.npz", examples(data, source.dim))
    directory.write_json("data.json", summarise(data, source.dim, source.law))


def train(experiment: Experiment, directory: RunDirectory, resumed: bool) -> None:
    """Train the network, from its last checkpoint if there is one of the same configuration."""
    folder = directory.path / "checkpoints"
    last = folder / "last.ckpt"
    if not resumed:
        for old in [*folder.glob("*.ckpt"), directory.path / "metrics.csv"]:
            old.unlink(missing_ok=True)
    L.seed_everything(experiment.config["seed"], verbose=False)
    experiment.module.model.calibrate(experiment.datamodule.train[:CALIBRATION].accelerations)
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
    try:
        trainer.fit(
            experiment.module,
            datamodule=experiment.datamodule,
            ckpt_path=last if resumed and last.exists() else None,
            weights_only=True,
        )
    except SystemExit as stop:
        if stop.code == 1:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
        raise


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


def distil_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Search for equations, judge them, and put them together as one law."""
    load_weights(experiment.module, directory.path)
    fronts = search(experiment)
    verdicts = judged(experiment, fronts)
    directory.write_json("equations.json", equations(experiment, fronts, verdicts))
    directory.write_json("law.json", closed_form(experiment, fronts, verdicts))
