"""Random numbers of a training step: the same whoever computes it.

They depend on (seed, epoch, batch) and are drawn for the whole batch, of which a process takes its rows. So a
run that was broken off and resumed, or one that is spread over processes, draws what an unbroken single one
draws.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def step_seed(seed: int, epoch: int, batch: int) -> int:
    """Seed of one training step's random numbers."""
    digest = hashlib.blake2b(f"{seed} {epoch} {batch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_device(device: torch.device, seed: int) -> None:
    """Seed one device's random numbers; `torch.manual_seed` seeds every kind, which takes milliseconds."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@dataclass(frozen=True)
class Share:
    """The graphs of a batch that one process works on: every `world`-th, from number `rank` on."""

    rank: int = 0
    world: int = 1

    def rows(self, whole: Tensor) -> Tensor:
        """This process's rows of a tensor that has a row for each graph of the batch."""
        return whole if self.world == 1 else whole[self.rank :: self.world]

    def part(self, whole: Tensor) -> Tensor:
        """As many rows as those, one after another."""
        return whole.tensor_split(self.world)[self.rank]

    def normal(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Standard normal numbers for this process's graphs, `shape[0]` of them.

        Args:
            shape: of what is returned.
            like: a tensor of the wanted type and device.
        """
        return self.rows(torch.randn(shape[0] * self.world, *shape[1:], device=like.device, dtype=like.dtype))
