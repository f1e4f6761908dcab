"""The typed root of the configuration: rejects misspelt keys and wrong types before any work starts.

Leaves with a `_target_` are not typed by Hydra; their constructors check types and ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.resolvers import oc

from gnn_distill.errors import InputError
from gnn_distill.physics.simulate import ADDED
from gnn_distill.runs.secrets import is_secret


@dataclass
class ProfileConfig:
    """Size of the data and the network, length of training: how long a run takes.

    Attributes:
        name: of the profile, for reports.
        simulations: trajectories.
        frames: kept frames of each trajectory.
        epochs: passes over the training set, or over `steps_per_epoch` steps.
        batch_size: graphs of a step, over all processes.
        batch_edges: edges of a step, in the place of `batch_size`; an epoch then has `steps_per_epoch` steps
            however few graphs there are. Where one message serves both ends of a pair, up to twice as many.
        steps_per_epoch: steps of an epoch, on graphs drawn afresh; null takes the whole training set.
        validation_graphs: random validation graphs that an epoch is judged by; null takes all.
        learning_rate: Adam's peak rate.
        lr_schedule: cosine or onecycle; plateau holds the rate until the validation loss no longer falls, and
            ends the training soon after, after `epochs` at the latest.
        patience: epochs without a lower validation loss that `plateau` waits for.
        warmup: fraction of all steps over which the rate rises from zero, but for onecycle.
        weight_decay: L2 term.
        optimiser: adam, or muon for the hidden matrices.
        muon_rate: muon's own peak rate.
        width: units per hidden layer.
        basis: what φe reads: raw, delta or polar; see `model.basis`.
        kl_warmup: fraction of all steps over which the KL penalty of the variant `kl` rises from zero.
        loss: absolute or squared errors; auto takes squares where labels are noisy, since the mean of the
            noise is zero and not its median.
    """

    name: str = MISSING
    simulations: int = MISSING
    frames: int = 100
    epochs: int = MISSING
    batch_size: int = MISSING
    batch_edges: int | None = None
    steps_per_epoch: int | None = None
    validation_graphs: int | None = None
    learning_rate: float = MISSING
    lr_schedule: str = "cosine"
    patience: int = 3
    warmup: float = 0.0
    weight_decay: float = 1e-8
    optimiser: str = "adam"
    muon_rate: float = 5e-3
    width: int = MISSING
    basis: str = "raw"
    kl_warmup: float = 0.0
    loss: str = "auto"


@dataclass
class ScheduleConfig:
    """Pruning schedule: when how many message dimensions are masked.

    Attributes:
        function: progress → fraction pruned.
        end: fraction of all epochs after which `target_dims` are left.
        target_dims: message dimensions left at the end; `auto` stops where the validation loss would rise.
        sample: validation graphs that importance is measured on.
        tolerance: auto refuses a cut where the validation loss exceeds the lowest so far by this factor.
        patience: refused cuts to one dimension less that end the pruning (auto only).
    """

    function: Any = MISSING
    end: float = 0.65
    target_dims: Any = MISSING
    sample: int = 10_240
    tolerance: float = 1.5
    patience: int = 2


@dataclass
class AugmentConfig:
    """Random translations of all positions while training.

    Attributes:
        scope: one translation per `graph`, or per `batch` as published.
        scale: standard deviation of its components.
    """

    scope: str = "graph"
    scale: float = 3.0


@dataclass
class SymbolicConfig:
    """Symbolic regression.

    Attributes:
        engine: a `_target_` with the engine's own settings.
        target: `pullback` (pair accelerations read through φv), `components` (messages with the network's
            gauge taken out) or `components_raw` (messages as published); of a list the first makes the law.
        expression: the equation that `symbolic=given` takes.
        joint: search for one equation along Δ that all components of the pull-back share.
        points: test edges that the engine sees.
        sample: `random`, or `stratified` over the decades of r.
        weights: `equal`, or `decades` of r weigh the same.
        probes: further points, at designed states inside the range of the data.
        rollouts: test trajectories on which network and law are let run, 0 for none.
        jobs: components searched side by side, a thread each.
    """

    engine: Any = MISSING
    target: Any = "pullback"
    expression: str | None = None
    joint: bool = True
    points: int = 5000
    sample: str = "random"
    weights: str = "equal"
    probes: int = 0
    rollouts: int = 12
    jobs: int = 2


@dataclass
class Config:
    """Everything a run depends on.

    Attributes:
        dataset: a `_target_` that simulates or loads particles.
        split: `trajectories`, no leakage; or `frames`, as the 2025 report did.
        pullback: `share` of the prediction, `path` for the share with a path-averaged Jacobian, `odd` part in
            Δ where single particles are accelerated, too, `pair` vectors of model=isotropic, or `auto`: pair
            for that model, else share or odd as the law asks.
        importance: what ranks message dimensions: `std`, `kl` (Gaussian heads), `trimmed_std`, or `auto`, std
            or kl as published.
        stages: which of simulate, train, analyse, distil, report to do.
        seed: of the data, the split, the weights, the batches and symbolic regression.
        threads: CPU threads; null takes what the machine offers.
        compile: mode of `torch.compile` for the network's training step: default, reduce-overhead (CUDA
            graphs), max-autotune or max-autotune-no-cudagraphs; null for eager.
        checkpoint_steps: also write `last.ckpt` every so many steps, for epochs that take hours.
        gpus: GPUs of a machine that jobs of a sweep, run side by side, have one each of; null: they share.
        cache: folder that holds simulated datasets.
        variant: name of the variant, for reports.
        regulariser, model, callbacks, trainer, logger: `_target_` leaves; see `conf/`.
    """

    dataset: Any = MISSING
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    model: Any = MISSING
    regulariser: Any = MISSING
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    callbacks: dict[str, Any] = field(default_factory=dict)
    trainer: Any = MISSING
    logger: dict[str, Any] = field(default_factory=dict)
    symbolic: SymbolicConfig = field(default_factory=SymbolicConfig)
    variant: str = MISSING
    split: str = "trajectories"
    pullback: str = "auto"
    importance: str = "auto"
    stages: list[str] = field(default_factory=list)
    seed: int = 0
    threads: int | None = None
    compile: str | None = None
    checkpoint_steps: int | None = None
    cache: str = MISSING
    gpus: int | None = None


def register() -> None:
    """Put the schema where `config.yaml` finds it, and keep secrets out of what a config can read."""
    ConfigStore.instance().store(name="schema", node=Config, provider="gnn_distill")
    OmegaConf.register_new_resolver("oc.env", environment, replace=True)


def environment(name: str, *default: Any) -> str | None:
    """The resolver `oc.env`, which does not give away what the environment keeps secret.

    Raises:
        InputError: the variable is named like a secret: a config is written down, and may be somebody else's.
    """
    if is_secret(name):
        fix = "leave secrets in the environment: configs are written to disk"
        raise InputError(f"${{oc.env:{name}}}", "...", fix)
    value: str | None = oc.env(name, *default)
    return value


def composed(overrides: Sequence[str], config_dir: str | Path | None = None) -> DictConfig:
    """The configuration with these overrides; groups in `config_dir` are found, too."""
    register()
    where = [] if config_dir is None else [f"hydra.searchpath=['file://{Path(config_dir).resolve()}']"]
    with initialize_config_module("gnn_distill.conf", version_base="1.3"):
        return compose("config", [*where, *overrides, *implied(overrides)])


def implied(overrides: Sequence[str]) -> list[str]:
    """What typed overrides bring with them.

    `model=isotropic` brings `variant=none`: its messages are few by themselves, and only a variant that was
    asked for is worth a refusal. A law written down in `dataset=custom` brings `model=isotropic` with it, and
    `profile=tracks`. What was typed stays.
    """
    typed = [line.lstrip("+") for line in overrides]

    def free(group: str) -> bool:
        return not any(line.startswith(f"{group}=") for line in typed)

    written = "dataset=custom" in typed and any(
        line.startswith(f"dataset.{k}=") for line in typed for k in ADDED
    )
    found = [f"{k}={v}" for k, v in (("model", "isotropic"), ("profile", "tracks")) if written and free(k)]
    isotropic = "model=isotropic" in (*typed, *found)
    return found + (["variant=none"] if isotropic and free("variant") else [])
