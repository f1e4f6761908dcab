"""The typed root of the configuration: rejects misspelt keys and wrong types before any work starts.

Leaves with a `_target_` are not typed by Hydra; their constructors check types and ranges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class ProfileConfig:
    """Size of the data and the network, length of training: how long a run takes.

    Attributes:
        name: of the profile, for reports.
        simulations: trajectories; `frames` kept frames of each.
        epochs: passes over the training set; `batch_size` graphs per step.
        learning_rate: Adam's peak rate; `lr_schedule` cosine or onecycle; `warmup` fraction of steps.
        weight_decay: L2 term.
        width: ReLU units per hidden layer.
        basis: what φe reads, raw or delta; `node` model, mlp or linear; see `gnn_distill.model`.
        charge_scale: factor on charges at the network's inputs.
        scale_output: scale accelerations by their mean magnitude.
    """

    name: str = MISSING
    simulations: int = MISSING
    frames: int = 100
    epochs: int = MISSING
    batch_size: int = MISSING
    learning_rate: float = MISSING
    lr_schedule: str = "cosine"
    warmup: float = 0.0
    weight_decay: float = 1e-8
    width: int = MISSING
    basis: str = "raw"
    node: str = "mlp"
    charge_scale: float = 1.0
    scale_output: bool = False


@dataclass
class ScheduleConfig:
    """Pruning schedule: `function` progress → fraction pruned, done after the fraction `end` of epochs.

    Attributes:
        target_dims: message dimensions left at the end.
        sample: validation graphs that importance is measured on.
    """

    function: Any = MISSING
    end: float = 0.65
    target_dims: int = MISSING
    sample: int = 10_240


@dataclass
class AugmentConfig:
    """Random translations of all positions while training: one per graph or per batch, N(0, scale²)."""

    scope: str = "graph"
    scale: float = 3.0


@dataclass
class SymbolicConfig:
    """Symbolic regression.

    Attributes:
        engine: a `_target_` with the engine's own settings.
        target: `pullback` (pair accelerations read through φv) or `components` (messages, as published).
        points: random test edges that the engine sees.
        jobs: components distilled side by side.
    """

    engine: Any = MISSING
    target: str = "pullback"
    points: int = 5000
    jobs: int = 2


@dataclass
class Config:
    """Everything a run depends on.

    Attributes:
        dataset: a `_target_` that simulates or loads particles.
        split: `trajectories`, no leakage; or `frames`, as the 2025 report did.
        pullback: `share` of the prediction, `odd` part in Δ where single particles are accelerated, too, or
            `auto`, which asks the law.
        stages: which of simulate, train, analyse, distil, report to do.
        seed: of the data, the split, the weights, the batches and symbolic regression.
        threads: CPU threads; null takes what the machine offers.
        compile: mode of `torch.compile` for the network's training step: default, reduce-overhead (CUDA
            graphs), max-autotune or max-autotune-no-cudagraphs; null for eager.
        checkpoint_steps: also write `last.ckpt` every so many steps, for epochs that take hours.
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
    stages: list[str] = field(default_factory=list)
    seed: int = 0
    threads: int | None = None
    compile: str | None = None
    checkpoint_steps: int | None = None
    cache: str = MISSING


def register() -> None:
    """Put the schema where `config.yaml` finds it."""
    ConfigStore.instance().store(name="schema", node=Config, provider="gnn_distill")
