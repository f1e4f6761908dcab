"""The whole job, in order: simulate → train → analyse → distil → report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
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
from gnn_distill.ranks import agreed, dismiss, joined, started
from gnn_distill.report import write_report
from gnn_distill.rundir import STAGES, RunDirectory, fingerprint
from gnn_distill.summary import examples, summarise

NEEDS = {"simulate": (), "train": (), "analyse": ("train",), "distil": ("train",), "report": ()}
"""Stages whose files a stage reads. Data come from the cache, and a report shows what there is."""

PLACE = ("accelerator", "devices", "num_nodes", "strategy")
"""Settings of the trainer that say where a run happens, not what it computes: another place may resume it."""

CALIBRATION = 1_000_000  # training graphs that set the output scale


def run(cfg: DictConfig, path: Path, report: Reporter | None = None) -> None:
    """Do the stages of `cfg` in the run directory `path`; stages already done there are skipped."""
    experiment = build(cfg, Reporter() if report is None else report)
    if not experiment.place.is_global_zero:
        follow(experiment)
        return
    directory = RunDirectory(path)
    keys, wanted = stage_keys(experiment.config), experiment.config["stages"]
    check_earlier_stages(directory, keys, wanted)
    directory.write_text("config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    directory.begin(experiment.config["seed"])
    work = {
        "simulate": lambda resumed: simulate_run(experiment, directory),
        "train": lambda resumed: train(experiment, directory, resumed),
        "analyse": lambda resumed: analyse_run(experiment, directory),
        "distil": lambda resumed: distil_run(experiment, directory),
        "report": lambda resumed: write_report(path, experiment.report.console),
    }
    if "train" not in wanted or directory.is_done("train", keys["train"]):
        dismiss(experiment.place)
    for stage in (s for s in STAGES if s in wanted):
        if directory.is_done(stage, keys[stage]):
            experiment.report.line(f"[green]✓[/] {stage}  (done before)")
            continue
        resumed = directory.is_begun(stage, keys[stage])
        with experiment.report.stage(stage), directory.stage(stage, keys[stage]):
            work[stage](resumed)
    directory.finish()


def check_earlier_stages(directory: RunDirectory, keys: dict[str, str], wanted: Sequence[str]) -> None:
    """Refuse stages whose input in this folder is missing, unfinished, or of other settings."""
    fix = f"add {{0}} to stages, or repeat the settings that {directory.path} was made with"
    for stage in wanted:
        earlier = [s for s in STAGES[: STAGES.index(stage)] if s not in wanted]
        unfinished = [s for s in earlier if s in NEEDS[stage] and not directory.is_done(s, keys[s])]
        foreign = [
            s for s in earlier if s in directory.status["stages"] and not directory.is_begun(s, keys[s])
        ]
        for bad in unfinished + foreign:
            raise InputError("stages", list(wanted), fix.format(bad))


def stage_keys(config: dict[str, Any]) -> dict[str, str]:
    """Fingerprint of what each stage's result depends on, the earlier stages included."""
    parts = {
        "simulate": ("dataset",),
        "train": (
            "split",
            "seed",
            "profile",
            "model",
            "regulariser",
            "augment",
            "callbacks",
            "trainer",
            "compile",
        ),
        "analyse": ("pullback",),
        "distil": ("symbolic",),
        "report": ("variant",),
    }
    trainer = {k: v for k, v in config["trainer"].items() if k not in PLACE}
    keys, key = {}, __version__
    for stage in STAGES:
        key = fingerprint(key, stage, {part: (config | {"trainer": trainer})[part] for part in parts[stage]})
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
    elif last.exists():
        read_checkpoint(last)
    place = experiment.place
    with started(place, directory.path, experiment.config["threads"]), joined(place):
        fit(experiment, *agreed((directory.path, last if last.exists() else None)))


def follow(experiment: Experiment) -> None:
    """Be one of the further processes of a training: no other stage, no files."""
    with joined(experiment.place):
        if (plan := agreed(None)) is not None:
            fit(experiment, *plan)


def fit(experiment: Experiment, path: Path, checkpoint: Path | None) -> None:
    """Train in the run directory `path`, from `checkpoint` on if there is one."""
    folder = path / "checkpoints"
    L.seed_everything(experiment.config["seed"], verbose=False)
    experiment.module.model.calibrate(experiment.datamodule.train[:CALIBRATION].accelerations)
    best = ModelCheckpoint(folder, filename="best", monitor="val/selection", enable_version_counter=False)
    every = [ModelCheckpoint(folder, filename="last", enable_version_counter=False)]
    if (n := experiment.config["checkpoint_steps"]) is not None:
        often = ModelCheckpoint(folder, filename="last", every_n_train_steps=n, enable_version_counter=False)
        every.append(often)
    epochs = EpochLog(path / "metrics.csv", experiment.report.line)
    trainer = experiment.trainer(
        callbacks=[*experiment.callbacks, epochs, best, *every],
        logger=[logger(save_dir=path) for logger in experiment.loggers] or False,
        log_every_n_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=path,
    )
    try:
        trainer.fit(
            experiment.module, datamodule=experiment.datamodule, ckpt_path=checkpoint, weights_only=True
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
    """Put the weights of a run's last epoch into `module`."""
    last = path / "checkpoints" / "last.ckpt"
    if not last.exists():
        fix = "no trained network in this folder: add train to stages, or set hydra.run.dir"
        raise InputError("stages", str(path), fix)
    module.load_state_dict(read_checkpoint(last)["state_dict"])
    module.cpu()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; no code in it is run."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, UnpicklingError) as error:
        fix = f"it cannot be read ({str(error).splitlines()[0]}): delete it to train again"
        raise InputError("checkpoint", str(path), fix) from error


def distil_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Search for equations, judge them, and put them together as one law."""
    load_weights(experiment.module, directory.path)
    fronts = search(experiment)
    verdicts = judged(experiment, fronts)
    directory.write_json("equations.json", equations(experiment, fronts, verdicts))
    directory.write_json("law.json", closed_form(experiment, fronts, verdicts))
