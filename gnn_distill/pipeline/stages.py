"""The whole job, in order: simulate → train → analyse → distil → report."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import torch
import torch._dynamo.exc
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape
from threadpoolctl import threadpool_limits

from gnn_distill.analyse.scores import analyse, selection_scores
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.summary import examples, summarise
from gnn_distill.distil.law.assemble import distilled_law
from gnn_distill.distil.law.central import particles_of
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import export
from gnn_distill.distil.law.rollout import roll_out
from gnn_distill.distil.motion.assemble import central_law, distilled
from gnn_distill.distil.motion.sampling import leaves_nothing
from gnn_distill.distil.solve import FileMemory, Work, confirmed, equations, search
from gnn_distill.errors import InputError
from gnn_distill.model.network import ISOTROPIC
from gnn_distill.pipeline.build import Experiment, build
from gnn_distill.pipeline.keys import stage_keys
from gnn_distill.pipeline.loggers import close
from gnn_distill.pipeline.machine import prepare
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.read.record import Reading, record
from gnn_distill.read.recording import Recording
from gnn_distill.report import write_report
from gnn_distill.runs.directory import STAGES, RunDirectory
from gnn_distill.train.checkpoint import AtomicCheckpointIO, load_weights, read_checkpoint
from gnn_distill.train.ending import EndAtPlateau, EndByHand
from gnn_distill.train.epochs import EpochLog
from gnn_distill.train.processes import READY, dismiss, end_with_parent, joined, started

NEEDS = {"simulate": (), "train": (), "analyse": ("train",), "distil": ("train",), "report": ()}
"""Stages whose files a stage reads. Data come from the cache, and a report shows what there is."""

VALIDATION_GRAPHS = 5000

CALIBRATION = 1_000_000  # training graphs that set the output scale


def run(
    cfg: DictConfig, path: Path, report: Reporter | None = None, ask: Callable[[], None] | None = None
) -> None:
    """Do the stages of `cfg` in the run directory `path`; stages already done there are skipped.

    `ask` is called before data are simulated, see `gnn_distill.pipeline.source.simulated_ahead`.
    """
    prepare(cfg.threads)
    experiment = build(cfg, Reporter() if report is None else report)
    experiment.ask = ask or experiment.ask
    if not experiment.place.is_global_zero:
        join(experiment)
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
    if "train" not in wanted or directory.is_done("train", keys["train"]):
        dismiss(experiment.place)
    for number, stage in enumerate((s for s in STAGES if s in wanted), 1):
        if directory.is_done(stage, keys[stage]):
            experiment.report.line(f"[green]✓[/] {stage}  (done before)")
            continue
        resumed = directory.is_begun(stage, keys[stage])
        place = f"{number}/{len(wanted)}"
        with experiment.report.stage(stage, place), directory.stage(stage, keys[stage]):
            work[stage](resumed)
    directory.finish()


def check_earlier_stages(directory: RunDirectory, keys: dict[str, str], wanted: Sequence[str]) -> None:
    """Refuse stages whose input in this folder is missing, unfinished, or of other settings."""
    fix = f"add {{0}} to stages, or repeat the settings that {directory.path} was made with"
    for stage in wanted:
        earlier = [s for s in STAGES[: STAGES.index(stage)] if s not in wanted]
        unfinished = [s for s in earlier if s in NEEDS[stage] and not directory.is_done(s, keys[s])]
        begun = [s for s in earlier if s in directory.status["stages"]]
        foreign = [s for s in begun if not directory.is_begun(s, keys[s])]
        for bad in unfinished + foreign:
            raise InputError("stages", list(wanted), fix.format(bad))


def simulate_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Make or read the data, and write down what they are like."""
    directory.write_arrays("trajectories.npz", examples(experiment.data))
    directory.write_json("data.json", summarise(experiment.data, experiment.source.law))


def train(experiment: Experiment, directory: RunDirectory, resumed: bool) -> None:
    """Train the network, from its last checkpoint if there is one of the same configuration."""
    folder = directory.path / "checkpoints"
    last = folder / "last.ckpt"
    if not resumed:
        for old in [*folder.glob("*.ckpt"), directory.path / "metrics.csv"]:
            old.unlink(missing_ok=True)
    elif last.exists():
        read_checkpoint(last)  # a damaged one is refused here, before any other process is started
    place, plan = experiment.place, (directory.path, last if last.exists() else None)
    with started(place, directory.path, experiment.config["threads"]), joined(place, plan):
        directory.status["stages"]["train"] |= fit(experiment, *plan)


def join(experiment: Experiment) -> None:
    """Be one of the further processes of a training: no other stage, no files."""
    with joined(experiment.place) as plan:
        if plan is not None:
            fit(experiment, *plan)


def follow(path: str) -> None:
    """Join the training of the run directory `path`, in a process that the first one started for that."""
    end_with_parent()
    config = cast(DictConfig, OmegaConf.load(Path(path) / "config.yaml"))
    prepare(config.get("threads"))
    experiment = build(config, Reporter())
    print(READY, flush=True)
    join(experiment)


def fit(experiment: Experiment, path: Path, checkpoint: Path | None) -> dict[str, Any]:
    """Train in the run directory `path`, from `checkpoint` on if there is one.

    Returns:
        `epochs` that were done, `of` how many, and how the training `ended` before that: `plateau`,
        `by hand`, or None where it did not.
    """
    L.seed_everything(experiment.config["seed"], verbose=False)
    some = experiment.datamodule.calibration(CALIBRATION)
    experiment.module.model.calibrate(some.features, some.accelerations, some.graph)
    experiment.datamodule.mutual = experiment.module.model.mutual
    keep = functools.partial(ModelCheckpoint, path / "checkpoints", enable_version_counter=False)
    checkpoints = [keep(filename="best", monitor="val/selection"), keep(filename="last")]
    if (n := experiment.config["checkpoint_steps"]) is not None:  # beside those after each epoch
        checkpoints.append(keep(filename="last", every_n_train_steps=n))
    report, patience = experiment.report, experiment.config["profile"]["patience"]
    epochs = EpochLog(path / "metrics.csv", report.note, report.progress)
    by_hand, plateau = EndByHand(report.asked_to_end), EndAtPlateau(patience)
    loggers = [make(save_dir=path) for make in experiment.loggers]
    trainer = experiment.trainer(
        # checkpoints last: they score an epoch after its pruning
        callbacks=[*experiment.callbacks, by_hand, plateau, epochs, *checkpoints],
        logger=loggers or False,
        log_every_n_steps=0,  # epochs only: a step's values would have to be waited for
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
    of = int(trainer.max_epochs or 0)
    done = round(of * trainer.global_step / trainer.estimated_stepping_batches, 1)
    how = "by hand" if by_hand.ended else "plateau" if done < of else None
    return {"epochs": done, "of": of, "ended": how}


def analyse_run(experiment: Experiment, directory: RunDirectory) -> None:
    """Record messages on the test set and compare them with the true forces."""
    load_weights(experiment.module, directory.path)
    recording, beside = experiment.recording, validation(experiment)
    # BLAS keeps to one thread: its products here are thin, and both cores are taken
    with threadpool_limits(1), ThreadPoolExecutor(1) as other:  # on another core, if there is one
        written = other.submit(directory.write_arrays, "messages.npz", recording.arrays())
        scores = other.submit(selection_scores, beside)
        content = analyse(recording, experiment.config["split"])
    written.result()
    directory.write_json("analysis.json", content | {"validation": scores.result()})


def validation(experiment: Experiment) -> Recording:
    """Messages on validation graphs, whose losses and R² a choice between runs may look at."""
    graphs, seed = experiment.datamodule.validation, experiment.config["seed"]
    drawn = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(seed))
    reading = Reading(importance=experiment.config["importance"], seed=seed)
    some = graphs[drawn[:VALIDATION_GRAPHS]]
    return record(experiment.module.model, some, experiment.source.law, reading)


def distil_run(experiment: Experiment, directory: RunDirectory, key: str) -> None:
    """Search for equations, judge them, and put them together as one law.

    A search leaves its front in `fronts/` while it works; a killed stage goes on from there.
    """
    load_weights(experiment.module, directory.path)
    fronts, settings, evidence = directory.path / "fronts", experiment.settings, experiment.evidence
    edges = None
    work = Work(
        experiment.engine,
        evidence.seed,
        joint=settings.joint,
        jobs=settings.jobs,
        say=experiment.report.note,
        memory=lambda name: FileMemory(fronts / f"{name}.json", key),
    )
    if evidence.model.basis == ISOTROPIC:
        found = distilled(work, evidence, settings)
        content, law, edges = found.equations, found.law, found.edges
    else:
        work = replace(work, enough=leaves_nothing(evidence))
        first, *others = settings.targets
        searched = [search(work, evidence, settings, first)]
        searched += [search(work.beside(), evidence, settings, target) for target in others]
        joint = searched[0].joint
        law = None if joint is None else central_law(work, evidence, searched[0], joint)
        if law is not None:
            searched[0] = confirmed(searched[0], law[0].components, evidence)
        else:
            law = distilled_law(evidence, work.engine, searched[0])
        content = equations(work.engine, searched)
    if law is not None and not np.isfinite(law[1]["test"]["mae"]):
        experiment.report.line("  the law is not finite on all recorded pairs of unseen runs, so it is none")
        law = None
    directory.write_json("equations.json", content)
    directory.write_json("law.json", None if law is None else write_law(experiment, directory, *law))
    if law is not None and edges is not None:
        directory.write_text("law/edges.csv", edges.to_csv(index=False, float_format="%.6g"))
    shutil.rmtree(fronts, ignore_errors=True)


def write_law(
    experiment: Experiment, directory: RunDirectory, law: Law, content: dict[str, Any]
) -> dict[str, Any]:
    """Export the law and let it run beside the network; returns `content` with what came of that."""
    columns = experiment.datamodule.test.columns
    radius = content.get("radius") or experiment.data.radius
    content = content | {"box": columns.box, "softening": columns.softening, "radius": radius}
    content["units"] = dict(experiment.data.units)
    if isinstance(experiment.source, OwnData):
        content["particles"] = particles_of(law, experiment.data.features, columns, content.get("kinds"))
        least, largest = experiment.evidence.recording.distances
        content["distances"] = [least, largest] if largest > 0 else []
    export(law, content, directory.path / "law")
    rolled = None
    if "edges" not in content:  # whose factors of pairs are those of single runs
        tested = content | content.get("tested", {})  # constants that no test trajectory has moved
        rolled = roll_out(experiment.evidence, tested, experiment.settings.rollouts, experiment.report.note)
    if rolled is None:
        (directory.path / "rollout.npz").unlink(missing_ok=True)
        return content | {"rollouts": None}
    directory.write_arrays("rollout.npz", rolled[0])
    return content | {"rollouts": rolled[1]}
