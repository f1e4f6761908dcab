"""One job of a sweep: skipped if complete, resumed if begun, its failure written down instead of raised."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import filelock
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from gnn_distill.errors import InputError
from gnn_distill.pipeline.explain import origin
from gnn_distill.pipeline.keys import stage_keys
from gnn_distill.pipeline.trust import named
from gnn_distill.runs.directory import RunDirectory, RunIsBusyError
from gnn_distill.runs.secrets import redacted
from gnn_distill.runs.sweep import LOG, one_line


def run_job(cfg: DictConfig, hydra: DictConfig) -> None:
    """Do one job of a sweep.

    Failures end up in the job's `status.json` and log, so that the other jobs go on; only an interruption
    goes further up.
    """
    path, terminal = Path(hydra.runtime.output_dir), Console(stderr=True, highlight=False, soft_wrap=True)
    name, log = escape(path.name), path / LOG
    if hydra.runtime.cwd not in sys.path:  # as in the main process: a _target_ may name a file there
        sys.path.append(hydra.runtime.cwd)
    check_inside(path, Path(hydra.sweep.dir))
    try:
        if complete_before(cfg, path):
            terminal.print(f"[green]✓[/] {name}  (complete before)")
            return
        terminal.print(f"[bold]▶[/] {name}")
        start = time.perf_counter()
        if cfg.gpus is not None:
            own_gpu(cfg.gpus)
        share_cores(cfg, hydra.launcher)
        with log.open("a", encoding="utf-8") as file:
            _work(cfg, path, Console(file=file, width=110, highlight=False), terminal)
        terminal.print(f"[green]✓[/] {name}  {time.perf_counter() - start:.1f} s")
    except RunIsBusyError as error:
        terminal.print(f"[yellow]–[/] {name}  {escape(error.fix)}")
    except Exception as error:
        with log.open("a", encoding="utf-8") as file:
            file.write(redacted(traceback.format_exc()))
        record_failure(cfg, path, origin(error))
        line = one_line(redacted(f"{type(origin(error)).__name__}: {origin(error)}"))
        terminal.print(f"[bold red]✗[/] {name}  {escape(line)}  log: {escape(os.path.relpath(log))}")
    finally:
        gc.collect()
        give_back_freed_memory()


def give_back_freed_memory() -> None:
    """Return all free pages of glibc's heaps to the kernel; other allocators do so by themselves."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _work(cfg: DictConfig, path: Path, log: Console, terminal: Console) -> None:
    from sympy.core.cache import clear_cache  # these load much that a job that is complete can spare

    from gnn_distill.pipeline.progress import JobReporter
    from gnn_distill.pipeline.stages import run

    try:
        run(cfg, path, JobReporter(log, terminal, path.name))
    finally:
        clear_cache()  # each job has equations of its own


def check_inside(path: Path, sweep: Path) -> None:
    """Refuse a run directory outside the sweep's folder."""
    if sweep.resolve() not in path.resolve().parents:
        raise InputError("hydra.sweep.subdir", str(path), f"give a folder inside {sweep}")


def complete_before(cfg: DictConfig, path: Path) -> bool:
    """Whether an earlier command has done all of this job; found without building anything.

    A job with code of the user's own is built all the same: that code is not read before it is allowed.
    """
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    directory = RunDirectory(path)
    if directory.status["state"] != "complete" or named(config):
        return False
    keys = stage_keys(config)
    return all(directory.is_done(stage, keys[stage]) for stage in config["stages"])


def record_failure(cfg: DictConfig, path: Path, error: BaseException) -> None:
    """Make the run directory say that the job failed, also where it failed before its first stage."""
    try:
        directory = RunDirectory(path)
    except InputError:  # it is the status that is damaged
        os.replace(path / "status.json", path / "status.json.damaged")
        directory = RunDirectory(path)
    directory.fail(error)
    if (path / "config.yaml").exists():
        return
    try:
        text = OmegaConf.to_yaml(cfg, resolve=True)
    except OmegaConfBaseException:  # what cannot be resolved may be why it failed
        text = OmegaConf.to_yaml(cfg)
    directory.write_text("config.yaml", text)


@functools.cache
def own_gpu(count: int) -> filelock.BaseFileLock:
    """Take one of a machine's GPUs for this process, which other processes then leave alone until it ends.

    Raises:
        InputError: all are taken.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = visible if visible != [""] else [str(k) for k in range(count)]
    for name in names[:count]:
        lock = filelock.FileLock(Path(tempfile.gettempdir()) / f"gnn_distill-gpu-{name}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            continue
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        return lock
    raise InputError("gpus", count, "all of them are taken: give no more jobs at a time than GPUs")


def share_cores(cfg: DictConfig, launcher: DictConfig) -> None:
    """Give a job that runs beside others its share of the cores."""
    share = cores_of_a_job(launcher)
    if share is None:
        return
    if cfg.threads is None:
        cfg.threads = share
    cfg.symbolic.jobs = min(cfg.symbolic.jobs, share)


def cores_of_a_job(launcher: DictConfig) -> int | None:
    """Cores that the launcher leaves to one job; None where jobs run one after another."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if (jobs := launcher.get("n_jobs")) is not None:
        return max(1, cores // (cores if jobs < 0 else jobs))
    ray = OmegaConf.select(launcher, "ray.remote.num_cpus")
    given = launcher.get("cpus_per_task") or ray
    return None if given is None else max(1, min(cores, int(given)))
