"""What glibc does with freed memory: kept while a network trains, given back between jobs."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc keep the arrays that a training step frees for the next step, which needs as many.

    By default it gives them back to the kernel and takes page faults to get them again (docs/benchmarks.md).
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 256 * 2**20)


def give_back_freed_memory() -> None:
    """Return all free pages of glibc's heaps to the kernel; other allocators do so by themselves."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
