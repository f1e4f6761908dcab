"""The whole job, in order: simulate → train → analyse → distil → report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch._dynamo.exc
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape

from gnn_distill.analyse.scores import analyse, selection_scores
from gnn_distill.data.summary import examples, summarise
from gnn_distill.distil.law.assemble import distilled_law
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import export
from gnn_distill.distil.law.rollout import roll_out
from gnn_distill.distil.problem import wanted
from gnn_distill.distil.solve import equations, search
from gnn_distill.errors import InputError
from gnn_distill.pipeline.build import Experiment, build
from gnn_distill.pipeline.keys import stage_keys
from gnn_distill.pipeline.loggers import close, upload_results
from gnn_distill.pipeline.machine import prepare
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.read.record import record
from gnn_distill.report import write_report
from gnn_distill.runs.directory import STAGES, RunDirectory
from gnn_distill.train.checkpoint import AtomicCheckpointIO, load_weights, read_checkpoint
from gnn_distill.train.epochs import EpochLog
from gnn_distill.train.processes import agreed, dismiss, joined, started

NEEDS = {"simulate": (), "train": (), "analyse": ("train",), "distil": ("train",), "report": ()}
"""Stages whose files a stage reads. Data come from the cache, and a report shows what there is."""

VALIDATION_GRAPHS = 5000

CALIBRATION = 1_000_000  # training graphs that set the output scale


def run(cfg: DictConfig, path: Path, report: Reporter | None = None) -> None:
    """Do the stages of `cfg` in the run directory `path`; stages already done there are skipped."""
    prepare(cfg.threads)
    experiment = build(cfg, Reporter() if report is None else report)
    if not experiment.place.is_global_zero:
        follow(experiment)
        return
    directory = RunDirectory(path)
    with directory.locked():
        do_stages(experiment, directory, cfg)


def do_stages(experiment: Experiment, directory: RunDirectory, cfg: DictConfig) -> None:
    """Do the stages of a run whose directory is this process's own."""
    keys, wanted = stage_keys(experiment.config), experiment.config["stages"]
    check_earlier_stages(directory, keys, wanted)
    directory.write_text("config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    if (earlier := directory.found()) is not None:
        experiment.report.line(escape(earlier))
    directory.begin(experiment.config["seed"])
    work = {
        "simulate": lambda resumed: simulate_run(experiment, directory),
        "train": lambda resumed: train(experiment, directory, resumed),
        "analyse": lambda resumed: analyse_run(experiment, directory),
        "distil": lambda resumed: distil_run(experiment, directory, keys["distil"]),
        "report": lambda resumed: write_report(directory.path, experiment.report.console),
    }
    worked: list[str] = []
    if "train" not in wanted or directory.is_done("train", keys["train"]):
        dismiss(experiment.place)
    for stage in (s for s in STAGES if s in wanted):
        if directory.is_done(stage, keys[stage]):
            experiment.report.line(f"[green]✓[/] {stage}  (done before)")
            continue
        resumed = directory.is_begun(stage, keys[stage])
        with experiment.report.stage(stage), directory.stage(stage, keys[stage]):
            work[stage](resumed)
        worked.append(stage)
    for make in experiment.loggers if worked else ():
        upload_results(make, directory.path)
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
    some = experiment.datamodule.train[:CALIBRATION]
    experiment.module.model.calibrate(some.features, some.accelerations)
    best = ModelCheckpoint(folder, filename="best", monitor="val/selection", enable_version_counter=False)
    every = [ModelCheckpoint(folder, filename="last", enable_version_counter=False)]
    if (n := experiment.config["checkpoint_steps"]) is not None:
        often = ModelCheckpoint(folder, filename="last", every_n_train_steps=n, enable_version_counter=False)
        every.append(often)
    epochs = EpochLog(path / "metrics.csv", experiment.report.line)
    loggers = [make(save_dir=path) for make in experiment.loggers]
    trainer = experiment.trainer(
        callbacks=[*experiment.callbacks, epochs, best, *every],
        logger=loggers or False,
        log_every_n_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=path,
    )
    trainer.strategy.checkpoint_io = AtomicCheckpointIO()
    if experiment.config["compile"] is not None:
        torch.compiler.reset()  # else a process's jobs share dynamic shapes and a limit of recompilations
    try:
        trainer.fit(
            experiment.module, datamodule=experiment.datamodule, ckpt_path=checkpoint, weights_only=True
        )
    except SystemExit as stop:
        if stop.code == 1:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
        raise
    except torch._dynamo.exc.ShortenTraceback as error:  # a compiler that failed, or a missing one
        fix = f"give null: the compiler of this machine failed ({str(error).splitlines()[0]})"
        raise InputError("compile", experiment.config["compile"], fix) from error
    finally:
        close(loggers)


def analyse_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Record messages on the test set and compare them with the true forces."""
    load_weights(experiment.module, directory.path)
    recording = experiment.recording
    directory.write_arrays("messages.npz", recording.arrays())
    content = analyse(recording, experiment.config["split"])
    directory.write_json("analysis.json", content | {"validation": validation(experiment)})


def validation(experiment: Experiment) -> dict[str, Any]:
    """Losses and R² on validation graphs: what a choice between runs may look at."""
    graphs, config = experiment.datamodule.validation, experiment.config
    generator = torch.Generator().manual_seed(config["seed"])
    some = graphs[torch.randperm(len(graphs), generator=generator)[:VALIDATION_GRAPHS]]
    law, seed = experiment.source.law, config["seed"]
    recorded = record(experiment.module.model, some, law, seed=seed, importance=config["importance"])
    return selection_scores(recorded)


def distil_run(experiment: Experiment, directory: RunDirectory, key: str) -> None:
    """Search for equations, judge them, and put them together as one law.

    A search leaves its front in `fronts/` while it works; a killed stage goes on from there.
    """
    load_weights(experiment.module, directory.path)
    fronts = directory.path / "fronts"
    targets = wanted(experiment.config["symbolic"]["target"])
    found = [search(experiment, target, fronts, key) for target in targets]
    directory.write_json("equations.json", equations(experiment, found))
    distilled = distilled_law(experiment, found[0])
    content = write_law(experiment, directory, *distilled) if distilled else None
    directory.write_json("law.json", content)
    shutil.rmtree(fronts, ignore_errors=True)


def write_law(
    experiment: Experiment, directory: RunDirectory, law: Law, content: dict[str, Any]
) -> dict[str, Any]:
    """Export the law and let it run beside the network; returns `content` with what came of that."""
    export(law, content, directory.path / "law")
    rolled = roll_out(experiment, content)
    if rolled is None:
        (directory.path / "rollout.npz").unlink(missing_ok=True)
        return content | {"rollouts": None}
    directory.write_arrays("rollout.npz", rolled[0])
    return content | {"rollouts": rolled[1]}
