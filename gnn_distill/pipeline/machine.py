"""What a run takes of the machine, and how loud its libraries may be."""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import warnings

import numba
import torch

from gnn_distill.errors import check_int

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def prepare(threads: int | None) -> None:
    """Make this process ready for a run: quiet libraries, freed memory kept, CPU threads limited if asked."""
    quiet()
    keep_freed_memory()
    if threads is not None:
        check_int("threads", threads, 1, os.cpu_count() or 1)
        torch.set_num_threads(threads)
        numba.set_num_threads(min(threads, getattr(numba.config, "NUMBA_NUM_THREADS", threads)))


def keep_freed_memory() -> None:
    """Let glibc keep the arrays that a training step frees for the next step, which needs as many.

    By default it gives them back to the kernel and takes page faults to get them again (docs/benchmarks.md).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 256 * 2**20)


def quiet() -> None:
    """Keep Lightning's start-up notes out of the terminal; its warnings stay."""
    for part in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(part).setLevel(logging.WARNING)
    resumable = "your dataloader is not resumable"  # ours is, by itself
    for note in ("does not have many workers", resumable, "isinstance.treespec, LeafSpec"):
        warnings.filterwarnings("ignore", message=f".*{note}.*")
