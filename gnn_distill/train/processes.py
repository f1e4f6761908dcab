"""Several processes for one training (DDP): who starts them, and what the first one tells the others.

The first process does every stage and writes every file; the others join it for training only. Under Slurm or
torchrun they exist from the beginning. On one machine the first process starts them, from the `config.yaml`
of the run directory. Lightning's own launcher gives the command line again in each process instead. That does
not work in a notebook or where jobs of a sweep run side by side, and when a process dies, it kills the first
one, and the whole sweep with it, before `status.json` can say why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from gnn_distill.errors import InputError

PATIENCE = timedelta(hours=6)
"""Of processes of Slurm or torchrun: the first may have to simulate before it trains."""
READY = "ready to train"
FOLLOW = "import sys; from gnn_distill.pipeline.stages import follow; follow(sys.argv[1])"


def check_ranks(trainer: L.Trainer, batch_size: int) -> None:
    """Refuse what cannot be shared between the processes of `trainer`.

    Raises:
        InputError: the batch does not divide, or nobody would start the processes.
    """
    strategy = trainer.strategy
    several = isinstance(strategy, DDPStrategy) and strategy._start_method == "popen"
    if not (several or isinstance(strategy, SingleDeviceStrategy)):
        raise InputError("trainer.strategy", type(strategy).__name__, "use trainer=ddp")
    if batch_size % trainer.world_size:
        fix = f"give a multiple of the number of processes, {trainer.world_size}: each takes its share"
        raise InputError("profile.batch_size", batch_size, fix)
    if trainer.num_nodes > 1 and starts_others(trainer):
        fix = "start one process per device with srun or torchrun; see docs/training.md"
        raise InputError("trainer.num_nodes", trainer.num_nodes, fix)


def starts_others(trainer: L.Trainer) -> bool:
    """Whether this process has to start others: training is distributed, and not by Slurm or torchrun."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return environment is not None and not environment.creates_processes_externally


@contextmanager
def started(trainer: L.Trainer, path: Path, threads: int | None) -> Iterator[None]:
    """The other processes of a training, started if nobody else does, ended with the block.

    Args:
        trainer: as it was built, to see how many processes there are.
        path: the run directory, which holds `config.yaml`. Process k prints to `rank_k.log` there, which is
            kept only if training fails.
        threads: CPU threads of each process; an equal part of the cores, which Lightning finds, if None.

    Raises:
        RuntimeError: one of them ended before it was ready.
    """
    if not starts_others(trainer):
        yield
        return
    environment: Any = trainer.strategy.cluster_environment  # type: ignore[attr-defined]
    before, own_threads = dict(os.environ), torch.get_num_threads()
    shared = {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
    if threads is not None:
        shared["OMP_NUM_THREADS"] = str(threads)  # else Lightning shares out the cores
    logs = [path / f"rank_{k}.log" for k in range(1, trainer.world_size)]
    children: list[subprocess.Popen[bytes]] = []
    try:
        for k, log in enumerate(logs, 1):
            command, env = [sys.executable, "-c", FOLLOW, str(path)], before | shared | {"LOCAL_RANK": str(k)}
            with log.open("w") as out:
                # In a session of its own: Ctrl-C is for the first process, which then ends the others.
                child = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
            children.append(child)
        # To join a process that has died would take until a timeout, so wait until all have got that far.
        while not all(READY in log.read_text(errors="replace") for log in logs):
            if any(child.poll() is not None for child in children):
                raise RuntimeError(f"a further process ended before training: see {path}/rank_*.log")
            time.sleep(0.05)
        os.environ.update(shared, LOCAL_RANK="0")  # by which Lightning knows that there are others
        yield
        for log in logs:
            log.unlink()
    finally:
        for child in children:
            child.kill()  # after a training, too: all that they had to give has arrived
            child.wait()
        os.environ.clear()
        os.environ.update(before)
        torch.set_num_threads(own_threads)


@contextmanager
def joined(trainer: L.Trainer, plan: Any = None) -> Iterator[Any]:
    """All processes of `trainer` as one group, which a training inside the block finds.

    Args:
        trainer: as it was built.
        plan: what the first process has to say; that of the others does not count.

    Yields:
        The first process's plan, in every process.
    """
    strategy = trainer.strategy
    environment = getattr(strategy, "cluster_environment", None)
    if isinstance(strategy, DDPStrategy) and not isinstance(environment, LightningEnvironment):
        strategy._timeout = PATIENCE
    strategy.setup_environment()
    try:
        yield strategy.broadcast(plan)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def dismiss(trainer: L.Trainer) -> None:
    """Tell processes that Slurm or torchrun started that there is nothing to train."""
    if trainer.world_size > 1 and not starts_others(trainer):
        with joined(trainer):
            pass


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone; it may hang in a collective call then."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
