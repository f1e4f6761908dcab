"""Where a result comes from: versions, commit, memory used; and which settings have no part in it."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import platform
import resource
import subprocess
import sys
from pathlib import Path

PACKAGES = "gnn_distill torch torch-geometric lightning hydra-core numpy numba pyoperon".split()

IRRELEVANT = (
    *("stages", "threads", "gpus", "cache", "logger", "checkpoint_steps", "symbolic.jobs"),
    "symbolic.engine.n_threads",
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)
"""Settings that change no result: what is done, where and how fast, and what is written beside it.

A stage may be resumed, a job of a sweep found again and runs be averaged whatever these are."""


def peak_rss_mib() -> float:
    """Peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the result depends on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@functools.cache
def commit() -> str | None:
    """Git commit of the package's checkout; None for an installed package."""
    here = Path(__file__).resolve().parents[1]
    if not (here.parent / ".git").exists():
        return None
    command = ["git", "-C", str(here), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
