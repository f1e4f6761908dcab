"""What a run takes of the machine, and how loud its libraries may be."""

from __future__ import annotations

import logging
import os
import warnings

import numba
import torch

from gnn_distill.errors import check_int
from gnn_distill.pipeline.heap import keep_freed_memory


def prepare(threads: int | None) -> None:
    """Make this process ready for a run: quiet libraries, freed memory kept, CPU threads limited if asked."""
    quiet()
    keep_freed_memory()
    if threads is not None:
        check_int("threads", threads, 1, os.cpu_count() or 1)
        torch.set_num_threads(threads)
        numba.set_num_threads(min(threads, getattr(numba.config, "NUMBA_NUM_THREADS", threads)))


def quiet() -> None:
    """Keep Lightning's start-up notes out of the terminal; its warnings stay."""
    for part in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(part).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # ours is, by itself
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
