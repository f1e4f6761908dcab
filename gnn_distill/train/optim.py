"""How the weights move: Adam as published or Muon for hidden matrices, and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gnn_distill.errors import check_choice, check_range

SMALLEST_MATRIX = 16  # rows and columns from which on Muon takes a weight; the rest is Adam's
SCHEDULES = ("cosine", "onecycle", "plateau")
FALL = 0.3  # of the epochs so far, over which the rate of `plateau` falls to zero
SMALLEST_NORM = 1e-7  # of a momentum that Muon divides by
POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)
"""Factors of x, x³ and x⁵, one row a step, that bring singular values from 0.01 to 1 to between 0.4 and 1.6
(N. Amsel et al. 2025, *The Polar Express*). Four such steps serve as well as five of Muon's own."""
ROOM = 1.01  # the first step wants singular values below 1, with room for rounding


@dataclass(frozen=True)
class Optimisation:
    """Optimiser and learning-rate schedule.

    Args:
        learning_rate: peak learning rate of Adam.
        schedule: `cosine` to zero over the whole run, after `warmup`; `onecycle`; or `plateau`, which stays
            at the peak and falls to zero at the end, see `gnn_distill.train.ending.EndAtPlateau`.
        warmup: fraction of all steps over which the rate rises linearly from zero (not `onecycle`).
        weight_decay: L2 term in Adam's gradient; decoupled in Muon.
        betas: Adam's decay rates.
        optimiser: `adam`; or `muon`, which moves hidden matrices along orthogonalised momenta (Jordan et al.
            2024) and leaves biases and thin matrices to Adam.
        muon_rate: peak learning rate of Muon.
        fused: one kernel for all of Adam's update; Lightning cannot clip gradients then in mixed precision.
    """

    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup: float = 0.0
    weight_decay: float = 1e-8
    betas: tuple[float, float] = (0.9, 0.999)
    optimiser: str = "adam"
    muon_rate: float = 5e-3
    fused: bool = True

    def __post_init__(self) -> None:
        check_range("profile.learning_rate", self.learning_rate, 0.0, 10.0, open_low=True)
        check_choice("profile.lr_schedule", self.schedule, SCHEDULES)
        check_range("profile.warmup", self.warmup, 0.0, 1.0)
        check_range("profile.weight_decay", self.weight_decay, 0.0)
        check_choice("profile.optimiser", self.optimiser, ("adam", "muon"))
        check_range("profile.muon_rate", self.muon_rate, 0.0, 10.0, open_low=True)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimiser of these parameters."""
        weights = list(parameters)
        wide = [w for w in weights if w.ndim == 2 and min(w.shape) >= SMALLEST_MATRIX]
        if self.optimiser == "adam" or not wide:
            return self._adam(weights)
        chosen = {id(w) for w in wide}
        muon = Muon(wide, lr=self.muon_rate, weight_decay=self.weight_decay)
        return Together([self._adam([w for w in weights if id(w) not in chosen]), muon])

    def rate(self, optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """The learning-rate scheduler of a run of `steps` optimiser steps."""
        if self.schedule == "onecycle":
            peaks = [group["lr"] for group in optimiser.param_groups]
            return torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, total_steps=steps)
        rise = round(self.warmup * steps)
        if self.schedule == "plateau":
            return torch.optim.lr_scheduler.LambdaLR(
                optimiser, Held(rise, steps - round(FALL * steps), steps)
            )

        def factor(step: int) -> float:
            if step < rise:
                return (step + 1) / rise
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))

        return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)

    def _adam(self, weights: list[nn.Parameter]) -> torch.optim.Adam:
        fused = self.fused or None  # not False, which would take weights one by one on a GPU
        decay = self.weight_decay
        return torch.optim.Adam(weights, self.learning_rate, self.betas, weight_decay=decay, fused=fused)


@dataclass
class Held:
    """A learning rate, as a share of its peak, that rises, stays, and falls to zero along a line.

    The scheduler keeps these numbers in its checkpoint.

    Args:
        rise: steps over which it rises.
        start: step from which on it falls, later than any plateau.
        end: step at which it is zero.
    """

    rise: int
    start: int
    end: int

    def __call__(self, step: int) -> float:
        """The share at a step."""
        if step < self.rise:
            return (step + 1) / self.rise
        return min(1.0, max(0.0, (self.end - step) / max(1, self.end - self.start)))

    def falling(self, step: int) -> bool:
        """Whether the rate falls by then."""
        return step >= self.start

    def fall(self, step: int, steps: int) -> None:
        """Begin to fall now, over so many steps."""
        self.start, self.end = step, step + steps


class Muon(torch.optim.Muon):
    """torch's Muon with products in float32 and fewer of them.

    Torch orthogonalises in bfloat16, whose products are slow on a processor that has none.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move each matrix along its orthogonalised momentum, with Nesterov's look ahead."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in (w for w in group["params"] if w.grad is not None):
                state, keep = self.state[weight], group["momentum"]
                momentum = state.setdefault("momentum_buffer", torch.zeros_like(weight.grad))
                momentum.lerp_(weight.grad, 1 - keep)
                ahead = weight.grad.lerp(momentum, keep)
                update = orthogonal(ahead)
                rows, columns = weight.shape
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))
        return loss


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with its singular values near 1, by an iteration of Newton and Schulz's kind."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (ROOM * x.norm()).clamp(min=SMALLEST_NORM)
    for a, b, c in POLYNOMIALS:
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Together(torch.optim.Optimizer):
    """Several optimisers, each with parameters of its own, that step as one.

    Args:
        parts: the optimisers; their parameter groups are shared, so a scheduler of the whole moves each rate.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([{"params": group["params"]} for group in self._groups()], {})
        self.param_groups = self._groups()

    def _groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each part."""
        first, *others = self.parts
        loss = first.step(closure)  # whose gradients all parts then use
        for part in others:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The parts' states."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put every part where it was."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = self._groups()
