"""Several processes for one training (DDP): who starts them, what they agree on, who writes.

The first process does every stage and writes every file. The others join it for training only. On one
machine the first process starts them, each from the run directory's `config.yaml`, so that a sweep or a
notebook can do it, too; under Slurm or torchrun they exist from the beginning.
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
from lightning.fabric.plugins.environments.lightning import find_free_network_port
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from gnn_distill.errors import InputError

PATIENCE = timedelta(hours=6)  # that the others wait: the first may have to simulate before it trains
GRACE = 60.0  # seconds that they have to end after the first


def check_ranks(trainer: L.Trainer, batch_size: int) -> None:
    """Refuse what cannot be shared between the processes of `trainer`.

    Raises:
        InputError: the batch does not divide, or nobody would start the processes.
    """
    strategy = trainer.strategy
    launched = isinstance(strategy, DDPStrategy) and strategy._start_method == "popen"
    if not (launched or isinstance(strategy, SingleDeviceStrategy)):
        raise InputError("trainer.strategy", type(strategy).__name__, "use trainer=ddp")
    if batch_size % trainer.world_size:
        fix = f"give a multiple of the number of processes, {trainer.world_size}: each takes its share"
        raise InputError("profile.batch_size", batch_size, fix)
    if trainer.num_nodes > 1 and started_here(trainer):
        fix = "start one process per device with srun or torchrun; see docs/training.md"
        raise InputError("trainer.num_nodes", trainer.num_nodes, fix)


def started_here(trainer: L.Trainer) -> bool:
    """Whether this process has to start others: training is distributed, and not by Slurm or torchrun."""
    environment = getattr(trainer.strategy, "cluster_environment", None)
    return isinstance(environment, LightningEnvironment) and not environment.creates_processes_externally


def ready_file(path: Path, rank: int) -> Path:
    """The file by which a further process says that it has built everything and is about to join."""
    return path / f".ready_{rank}"


@contextmanager
def started(trainer: L.Trainer, path: Path, threads: int | None) -> Iterator[None]:
    """The other processes of a training, started if nobody else does, ended with the block.

    Args:
        trainer: as it was built, to see how many processes there are.
        path: the run directory, which holds `config.yaml`; process k writes to `rank_k.log` there.
        threads: CPU threads of each process; an equal part of the cores if None.
    """
    if not started_here(trainer):
        yield
        return
    each = threads or max(1, len(os.sched_getaffinity(0)) // trainer.world_size)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(find_free_network_port()),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(trainer.world_size),
        "OMP_NUM_THREADS": str(each),
    }
    before, own_threads = dict(os.environ), torch.get_num_threads()
    logs = [path / f"rank_{k}.log" for k in range(1, trainer.world_size)]
    ready = [ready_file(path, k) for k in range(1, trainer.world_size)]
    children: list[subprocess.Popen[bytes]] = []
    try:
        for file in ready:
            file.unlink(missing_ok=True)
        for k, log in enumerate(logs, 1):
            with log.open("w") as output:
                command = [sys.executable, "-m", "gnn_distill.pipeline.follow", str(path)]
                environment = before | shared | {"LOCAL_RANK": str(k)}
                children.append(
                    subprocess.Popen(
                        command, env=environment, stdout=output, stderr=output, start_new_session=True
                    )
                )
        while not all(file.exists() for file in ready):  # the first process would wait for them for hours
            if any(child.poll() is not None for child in children):
                raise RuntimeError(f"a further process ended before training: see {path}/rank_*.log")
            time.sleep(0.05)
        os.environ.update(shared, LOCAL_RANK="0")
        torch.set_num_threads(each)
        yield
        deadline = time.monotonic() + GRACE
        codes = [child.wait(max(0.0, deadline - time.monotonic())) for child in children]
        if any(codes):
            raise RuntimeError(f"exit codes {codes} of processes 1 to {len(codes)}: see {path}/rank_*.log")
        for log in logs:
            log.unlink()
    finally:
        for file in ready:
            file.unlink(missing_ok=True)
        for child in children:
            if child.poll() is None:
                child.kill()
                child.wait()
        os.environ.clear()
        os.environ.update(before)
        torch.set_num_threads(own_threads)


@contextmanager
def joined(trainer: L.Trainer) -> Iterator[None]:
    """The process group of `trainer`, which its strategy then finds; gone after the block."""
    strategy = trainer.strategy
    environment = getattr(strategy, "cluster_environment", None)
    if not isinstance(strategy, DDPStrategy) or environment is None:
        yield
        return
    device = strategy.root_device
    if device.type == "cuda":
        torch.cuda.set_device(device)
    os.environ |= {"MASTER_ADDR": environment.main_address, "MASTER_PORT": str(environment.main_port)}
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        rank=trainer.global_rank,
        world_size=trainer.world_size,
        timeout=PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def agreed(value: Any) -> Any:
    """The first process's `value`, on every process."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def dismiss(trainer: L.Trainer) -> None:
    """Tell processes that Slurm or torchrun started that there is nothing to train."""
    if trainer.world_size > 1 and not started_here(trainer):
        with joined(trainer):
            agreed(None)


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
