"""Construct and check everything that a run needs, before any work starts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from gnn_distill.data.cache import load_or_simulate
from gnn_distill.data.module import SPLITS, NBodyDataModule
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.particles import ParticleData
from gnn_distill.distil.engines.engine import Engine
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.problem import Evidence, Settings
from gnn_distill.distil.verdict.functions import own_truths, pair_truths
from gnn_distill.errors import InputError, check_choice, check_int
from gnn_distill.model.heads import GaussianHead
from gnn_distill.model.network import ISOTROPIC, ParticleGNN
from gnn_distill.physics.equation import Equation
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.simulate import Simulation
from gnn_distill.physics.variables import Columns
from gnn_distill.pipeline.explain import as_typed
from gnn_distill.pipeline.loggers import check_loggers
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.pipeline.source import make, make_source
from gnn_distill.pipeline.trust import check_parts, check_targets
from gnn_distill.read.importance import KINDS
from gnn_distill.read.record import PULLBACKS, Reading, record
from gnn_distill.read.recording import Recording
from gnn_distill.runs.directory import STAGES
from gnn_distill.train.lit import Augmentation, DistilModule
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import KLPenalty, L1Penalty
from gnn_distill.train.processes import check_ranks
from gnn_distill.train.prune import PruneMessages


@dataclass
class Experiment:
    """Everything that a run needs, constructed and checked before any work starts.

    Attributes:
        place: a trainer as `trainer` makes it, to see on which devices and as which process this runs.
        ask: called before data are simulated; another process may be ready to do it.
    """

    config: dict[str, Any]
    source: Simulation | OwnData
    module: DistilModule
    callbacks: list[L.Callback]
    loggers: list[Callable[..., Logger]]
    trainer: functools.partial[L.Trainer]
    place: L.Trainer
    engine: Engine
    settings: Settings
    cache: Path
    report: Reporter
    own_data: ParticleData | None = None
    ask: Callable[[], None] = lambda: None

    @functools.cached_property
    def data(self) -> ParticleData:
        """The graphs: simulated, from the cache if they are there, or read from the user's file."""
        if isinstance(self.source, OwnData):
            return self.own_data or self.source.load()
        self.ask()
        return load_or_simulate(self.source, self.cache, self.report.simulated)

    @functools.cached_property
    def datamodule(self) -> NBodyDataModule:
        """The graphs, split."""
        c, p = self.config, self.config["profile"]
        sizes = {key: p[key] for key in ("batch_size", "validation_graphs", "batch_edges")}
        if p["batch_edges"] is not None:
            sizes["least_batches"] = p["steps_per_epoch"] or 1
        data = NBodyDataModule(self.data, c["split"], seed=c["seed"], **sizes)
        self.module.squared = squares(p["loss"], self.data)
        if data.graph is not None:
            self.module.model.connect(*data.graph)
        return data

    @functools.cached_property
    def recording(self) -> Recording:
        """Messages of the trained network on the test set."""
        reading = Reading(self.pullback, self.config["importance"], self.config["seed"])
        return record(self.module.model, self.datamodule.test, self.source.law, reading)

    @property
    def evidence(self) -> Evidence:
        """All that a law may be found from."""
        return Evidence(
            self.module.model,
            self.recording,
            self.datamodule.test,
            self.datamodule.validation,
            self.datamodule.train,
            self.source.law,
            whole=self.config["split"] == "trajectories",
            spacing=self.data.spacing,
            step=self.data.spacing and self.data.spacing / int(self.config["dataset"].get("every") or 1),
            order=self.data.order,
            kernel=self.data.kernel,
            noise=self.data.noise,
            estimates=self.data.estimates,
            seed=self.config["seed"],
            individuals=self.data.individuals,
            known=self.data.known,
            optional=self.data.optional,
        )

    @property
    def pullback(self) -> str:
        """How contributions are read, unless the user chose.

        `pair` in basis `isotropic`, where it is exact; else `odd` where the law accelerates single particles,
        too, and `share` where it does not.
        """
        chosen = self.config["pullback"]
        law = self.source.law
        if chosen != "auto":
            return str(chosen)
        if self.module.model.basis == ISOTROPIC:
            return "pair"
        return "odd" if law and law.has_one_body_term else "share"


NOISY = 0.2
"""Share of noise in the RMS of the labels from which on errors are squared."""
LEAST = {"seed": 0, "threads": 1, "checkpoint_steps": 1}
LEAST |= {f"profile.{key}": 1 for key in ("epochs", "steps_per_epoch", "batch_size", "batch_edges")}
"""Least values of whole numbers that no constructor checks; null, where the schema allows it, is none."""


def build(cfg: DictConfig, report: Reporter) -> Experiment:
    """Construct and check everything; nothing else is touched, not even the state of random numbers.

    Raises:
        InputError: naming the key as it was typed, the value and the fix.
    """
    with as_typed(cfg):
        config: Any = OmegaConf.to_container(cfg, resolve=True)
        check_targets(config)
        check_parts(config)
        cfg = OmegaConf.create(config)  # what was checked is what is made
        check_settings(cfg)
        return construct(cfg, config, report)


def check_settings(cfg: DictConfig) -> None:
    """Refuse values that the schema lets pass and no constructor looks at."""
    for stage in cfg.stages:
        check_choice("stages", stage, STAGES)
    for key, least in LEAST.items():
        if (value := OmegaConf.select(cfg, key)) is not None:
            check_int(key, value, least)
    check_choice("split", cfg.split, SPLITS)
    check_choice("pullback", cfg.pullback, ("auto", *PULLBACKS))
    check_choice("importance", cfg.importance, KINDS)
    check_choice("profile.loss", cfg.profile.loss, ("auto", "absolute", "squared"))
    if cfg.model.get("basis") == ISOTROPIC:
        parts = {
            str(part.get("_target_")).split(".")[-1] for part in (*cfg.callbacks.values(), cfg.regulariser)
        }
        changed = parts & {kind.__name__ for kind in (PruneMessages, L1Penalty, KLPenalty)}
        if cfg.variant not in ("none", "standard") or changed:
            fix = "messages of model=isotropic are pair vectors, with none to spare: take model=additive"
            raise InputError("variant", cfg.variant, f"{fix}, or variant=none")
    check_loggers(cfg.logger)


def construct(cfg: DictConfig, config: dict[str, Any], report: Reporter) -> Experiment:
    """Make the parts of a run, and see that they fit each other."""
    settings = Settings(**{f.name: config["symbolic"][f.name] for f in fields(Settings)})
    source = make_source(cfg.dataset)
    if not isinstance(source, Simulation | OwnData):
        raise InputError("dataset._target_", config["dataset"]["_target_"], "give Simulation or OwnData")
    own_data = source.load() if isinstance(source, OwnData) else None
    if own_data is not None and cfg.model.get("basis") != ISOTROPIC:
        own_data = own_data.anonymous()
    if isinstance(source, Simulation):
        columns, order = Columns(source.dim or 2, softening=source.softening), source.order
    elif own_data is not None:
        columns, order = own_data.columns, own_data.order
    follow_dim(cfg, columns.dim)
    engine = make(cfg.symbolic.engine)
    if isinstance(engine, GivenEngine):
        engine.parsed(columns.pair_names)  # refused now, not after the training
    hidden = (0, 0) if own_data is None else (len(own_data.individuals), own_data.hidden)
    model = make_model(cfg, columns, own_data is not None, order == 1, hidden)
    profile = config["profile"]
    moves = {
        key: profile[key] for key in ("learning_rate", "warmup", "weight_decay", "optimiser", "muon_rate")
    }
    fused = not config["trainer"].get("gradient_clip_val")
    optimisation = Optimisation(schedule=profile["lr_schedule"], fused=fused, **moves)
    augment, regulariser = Augmentation(**config["augment"]), make(cfg.regulariser)
    module = DistilModule(model, regulariser, optimisation, augment, cfg.seed, cfg.compile)
    callbacks = list(make(cfg.callbacks).values())
    check_together(module, callbacks, cfg, source.law)
    trainer = make(cfg.trainer, _partial_=True)
    try:
        place = trainer(logger=False, enable_checkpointing=False)
    except (ValueError, TypeError, RuntimeError, MisconfigurationException) as error:
        raise InputError("trainer", config["trainer"], str(error)) from error
    check_ranks(place, profile["batch_size"])
    if place.check_val_every_n_epoch != 1 or place.limit_val_batches == 0:
        fix = "validate after every epoch: metrics and checkpoints need it"
        raise InputError("trainer", config["trainer"], fix)
    loggers = [make(leaf, _partial_=True) for leaf in cfg.logger.values()]
    cache = Path(cfg.cache)
    return Experiment(
        config, source, module, callbacks, loggers, trainer, place, engine, settings, cache, report, own_data
    )


FOLLOWING = ("model.dim", "model.message_dim", "callbacks.prune.target_dims")
"""Keys that take their value from `dataset.dim`, which is null where the file says it."""


def follow_dim(cfg: DictConfig, dim: int) -> None:
    """Give the dimensions of the data to what follows them."""
    for key in FOLLOWING:
        if OmegaConf.select(cfg, key, default=0) is None:
            OmegaConf.update(cfg, key, dim)


def make_model(
    cfg: DictConfig, columns: Columns, own: bool, first_order: bool, hidden: tuple[int, int] = (0, 0)
) -> ParticleGNN:
    """The network for particles with these columns, the user's own or simulated; its weights are drawn.

    `hidden` says how many individuals there are, and how many properties each of them may have.
    """
    scale = automatic(cfg, "scale_input", own)
    velocities = automatic(cfg, "velocities", not first_order)
    if first_order and velocities and cfg.model.get("basis") == ISOTROPIC:
        fix = "motion is of first order, where the velocity is what is asked for: give false or auto"
        raise InputError("model.velocities", True, fix)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)  # of the weights
        known = {"extra_features": len(columns.further), "box": columns.box}
        known |= {"individuals": hidden[0], "hidden": hidden[1]} if columns.identity else {}
        known |= {"bonds": columns.bonds.count} if columns.bonds else {}
        model = make(cfg.model, scale_input=scale, velocities=velocities, **known)
    if not isinstance(model, ParticleGNN):
        raise InputError("model._target_", cfg.model.get("_target_"), "give a ParticleGNN")
    return model


def automatic(cfg: DictConfig, name: str, by_data: bool) -> bool:
    """A switch of the model that may be `auto`, what the data ask for."""
    value = cfg.model.get(name, "auto" if name == "velocities" else False)
    if value not in ("auto", True, False):
        raise InputError(f"model.{name}", value, "give auto, true or false")
    return by_data if value == "auto" else bool(value)


def squares(loss: str, data: ParticleData) -> bool:
    """Whether errors are squared: as asked for, or where noise is a good part of the labels."""
    if loss != "auto":
        return loss == "squared"
    size = float(np.sqrt(np.nanmean(np.square(data.accelerations, dtype=np.float64))))
    return data.order == 1 or data.noise > NOISY * size


def check_together(
    module: DistilModule, callbacks: Sequence[L.Callback], cfg: DictConfig, law: ForceLaw | None
) -> None:
    """Refuse parts that are sound by themselves and do not fit each other."""
    model = module.model
    if isinstance(law, Equation) and model.basis != ISOTROPIC:
        fix = "what is written down as text is read off pair vectors: take model=isotropic"
        raise InputError("model", model.basis, fix)
    if isinstance(law, Equation):  # what the verdict could not read is refused now, not after the training
        pair_truths(law), own_truths(law, model.dim)
    if model.basis != ISOTROPIC and cfg.pullback == "pair":
        raise InputError("pullback", "pair", "it is exact for model=isotropic only: give auto, share or odd")
    if not isinstance(model.head, GaussianHead):
        if cfg.importance == "kl":
            raise InputError("importance", "kl", "take variant=kl, or rank by std or trimmed_std")
        if isinstance(module.regulariser, KLPenalty):
            fix = "take variant=kl, whose messages have the variance that it needs"
            raise InputError("regulariser", "kl", fix)
    for callback in callbacks:
        target = callback.target_dims if isinstance(callback, PruneMessages) else 1
        if isinstance(target, int) and target > model.message_dim:
            fix = f"give at most model.message_dim = {model.message_dim}"
            raise InputError("callbacks.prune.target_dims", target, fix)
