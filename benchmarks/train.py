"""Training speed and memory, beside a plain PyTorch Geometric loop, in alternation.

    python benchmarks/train.py [--threads 2] [--blocks 7] [--steps 150]   # (a) steps/s, GFLOP/s
    python benchmarks/train.py --memory                                   # (b) peak memory of a paper run
    python benchmarks/train.py --gpu [--blocks 7] [--steps 1000]          # (c) eager, compiled, CUDA graph

Steps are those of the `paper` profile's `standard` variant (batch 64, width 300, 100 message dims), ours
through the real Lightning trainer, with the real data module. Each contender has a process of its own; blocks
of steps alternate between them. The plain loop runs twice: in the environment that a script finds, and with
the way of waiting for threads that the command line of this package sets. A block's figure is the median
step, the table shows the median over blocks, and ratios are taken within each round before their median.
CPU time counts all threads: it tells the work where others use the cores, too.

(c) runs each contender by itself: some steps, in which it is compiled, too, then blocks of steps, before and
after which it waits for the device. `--device cpu` tries it out where there is no GPU.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import lightning as L
import pyg_loop
import torch
from hydra import compose, initialize_config_module

from gnn_distill.model.mlp import _linear, _outer
from gnn_distill.pipeline.build import Experiment, build
from gnn_distill.pipeline.config import register
from gnn_distill.pipeline.machine import prepare
from gnn_distill.pipeline.progress import Reporter

BATCH, WIDTH, MESSAGE, N, FEATURES, DIM = 64, 300, 100, 4, 6, 2
WARM = 20
PROCESSES = ("as it is", "theirs", "ours")
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "8000"}  # as the command line sets it
PAPER = "gnn-distill profile=paper trainer=gpu compile=reduce-overhead dataset=charge variant=pruning"


class Clock(L.Callback):
    """Notes the time after every step."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        """Note it."""
        self.note()

    def note(self) -> None:
        """Note the time."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def milliseconds(self) -> tuple[float, float]:
        """Median wall time of a step, and the mean CPU time, over all threads, both after a warm-up."""
        wall = [b - a for a, b in zip(self.wall[WARM:], self.wall[WARM + 1 :], strict=False)]
        cpu = (self.cpu[-1] - self.cpu[WARM]) / len(wall)
        return 1e3 * statistics.median(wall), 1e3 * cpu


def experiment(*overrides: str) -> Experiment:
    register()
    with initialize_config_module("gnn_distill.conf", version_base="1.3"):
        base = ["profile=paper", "variant=standard", "profile.simulations=300", "profile.epochs=1"]
        cfg = compose("config", [*base, *overrides])
        prepare(cfg.threads)
        return build(cfg, Reporter())


def fit(e: Experiment, clock: L.Callback, steps: int) -> None:
    """Train for some steps an epoch, with nothing beside the clock."""
    trainer = e.trainer(
        callbacks=[*e.callbacks, clock],
        logger=False,
        enable_checkpointing=False,
        log_every_n_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_train_batches=steps,
        limit_val_batches=1,
    )
    trainer.fit(e.module, datamodule=e.datamodule)


def ours(steps: int, *overrides: str) -> tuple[float, float]:
    e, clock = experiment(*overrides), Clock()
    fit(e, clock, steps)
    return clock.milliseconds()


def plain(steps: int, threads: int) -> tuple[float, float]:
    torch.set_num_threads(threads)
    graphs = torch.randn(10_000, N, FEATURES), torch.randn(10_000, N, DIM)
    clock = Clock()
    for _ in pyg_loop.steps(pyg_loop.dataset(*graphs), BATCH, WIDTH, MESSAGE, steps):
        clock.note()
    return clock.milliseconds()


def products() -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of each layer's product in a step."""
    edges, nodes = BATCH * N * (N - 1), BATCH * N

    def layers(rows: int, first: int, last: int) -> list[tuple[int, int, int]]:
        return [(rows, a, b) for a, b in ((first, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, last))]

    return layers(edges, 2 * FEATURES, MESSAGE) + layers(nodes, FEATURES + MESSAGE, DIM)


def flops() -> float:
    """Floating-point operations of the products of a step; φe's inputs need no gradient."""
    edges, a, b = products()[0]
    return float(sum(6 * r * i * o for r, i, o in products()) - 2 * edges * a * b)


def peak(repeats: int, threads: int, kind: torch.dtype) -> tuple[float, float]:
    """Time of nothing but the products of a step, in the faster of MKL and oneDNN for each: ms."""
    torch.set_num_threads(threads)
    best = 0.0, 0.0
    for k, (r, i, o) in enumerate(products()):
        x, w, g = (torch.randn(s).to(kind) for s in ((r, i), (o, i), (r, o)))
        trio = [
            (lambda x=x, w=w: x @ w.T, lambda x=x, w=w: _linear(x, w)),
            (lambda g=g, x=x: g.T @ x, lambda g=g, x=x: _outer(g, x)),
            (lambda g=g, w=w: g @ w, lambda g=g, w=w: _linear(g, w.T)),
        ]
        for pair in trio[: 2 if k == 0 else 3]:
            wall, cpu = zip(*(timed(f, repeats) for f in pair), strict=True)
            best = best[0] + min(wall), best[1] + min(cpu)
    return best


def timed(f, repeats: int) -> tuple[float, float]:
    f()
    clock = Clock()
    for _ in range(WARM + repeats):
        f()
        clock.note()
    return clock.milliseconds()


def speed(threads: int, blocks: int, steps: int) -> None:
    common = f"threads={threads}"
    plainly = "PyG loop, fp32"
    contenders = {
        plainly: ("as it is", plain, steps, threads),
        "PyG loop, fp32, threads wait as ours": ("theirs", plain, steps, threads),
        "ours, fp32": ("ours", ours, steps, common),
        "ours, bf16-mixed": ("ours", ours, steps, common, "trainer.precision=bf16-mixed"),
        "products alone, fp32": ("ours", peak, steps, threads, torch.float32),
        "products alone, bf16": ("ours", peak, steps, threads, torch.bfloat16),
    }
    rounds = []
    with ExitStack() as stack:
        processes = {name: stack.enter_context(process(name != "as it is")) for name in PROCESSES}
        for _ in range(blocks):
            rounds.append({})
            for name, (where, function, *arguments) in contenders.items():
                rounds[-1][name] = processes[where].submit(function, *arguments).result()
            print(".", end="", file=sys.stderr, flush=True)
    gflop = flops() / 1e9
    print(f"\n{threads} threads, {blocks} rounds of {steps} steps, batch {BATCH}, width {WIDTH},", end=" ")
    print(f"{gflop:.2f} GFLOP a step\n")
    print("| | ms a step | steps/s | GFLOP/s | × PyG loop | × PyG loop, waiting as ours | CPU ms a step |")
    print("|---|---|---|---|---|---|---|")
    for name in contenders:
        wall, cpu = (statistics.median(r[name][k] for r in rounds) for k in (0, 1))
        loops = list(contenders)[:2]
        faster = [statistics.median(r[loop][0] / r[name][0] for r in rounds) for loop in loops]
        print(
            f"| {name} | {wall:.2f} | {1e3 / wall:.0f} | {1e3 * gflop / wall:.0f} | {faster[0]:.2f} "
            f"| {faster[1]:.2f} | {cpu:.2f} |"
        )
    for mine, floor in (("ours, fp32", "products alone, fp32"), ("ours, bf16-mixed", "products alone, bf16")):
        parts = [statistics.median(r[floor][k] / r[mine][k] for r in rounds) for k in (0, 1)]
        print(
            f"\n{mine}: {100 * parts[0]:.0f} % of the peak by wall time, {100 * parts[1]:.0f} % by CPU time"
        )


def process(waiting: bool) -> ProcessPoolExecutor:
    """A process that waits for threads as the command line does, or as OpenMP does by itself."""
    for name, value in WAITING.items():
        os.environ.pop(name, None)
        if waiting:
            os.environ[name] = value
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    pool.submit(os.getpid).result()  # it has started, with this environment
    return pool


def memory() -> None:
    """Peak memory of the first stages of a `paper` run on a million samples, as the run records it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gnn_distill", "profile=paper", "dataset=charge", "variant=pruning"]
        command += ["profile.epochs=2", "schedule.end=1.0", "+trainer.limit_train_batches=200"]
        command += ["stages=[simulate,train]", f"hydra.run.dir={folder}/run"]
        subprocess.run(command, check=True)
        from gnn_distill import load_run

        run = load_run(Path(folder) / "run")
        print(f"peak memory {run.status['peak_rss_mib']:.0f} MiB, {run.status['stages']}")


def gpu(device: str, blocks: int, steps: int) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        print(f"no GPU here. One paper run of charge/pruning to the end:\n    {PAPER}")
        return
    name = torch.cuda.get_device_name() if device == "cuda" else device
    print(f"{name}, {blocks} blocks of {steps} steps, batch {BATCH}, width {WIDTH}\n")
    print("| | ms a step | steps/s | × PyG loop |\n|---|---|---|---|")
    loop = plain_on(device, WARM + blocks * steps)
    slowest = row("PyG loop, fp32", per_step(lambda n: deque(islice(loop, n), 0), device, blocks, steps))
    for precision in ("32-true", "bf16-mixed"):
        for mode in ("null", "default", "reduce-overhead"):
            options = (f"trainer.precision={precision}", f"compile={mode}")
            row(f"ours, {precision}, compile={mode}", ours_on(device, blocks, steps, *options), slowest)
    for kind in (torch.float32, torch.bfloat16):
        alone = products_on(device, kind)
        row(f"products alone, eager, {kind}", per_step(alone, device, blocks, steps), slowest)


def row(name: str, seconds: float, slowest: float | None = None) -> float:
    """Print a row of the table; returns its `seconds` a step."""
    faster = (slowest or seconds) / seconds
    print(f"| {name} | {1e3 * seconds:.3f} | {1 / seconds:.0f} | {faster:.2f} |", flush=True)
    return seconds


def wait(device: str) -> None:
    """Let the device finish."""
    if device == "cuda":
        torch.cuda.synchronize()


def per_step(run: Callable[[int], object], device: str, blocks: int, steps: int) -> float:
    """Seconds of one of the steps of which `run` does as many as it is told: the median over blocks."""
    run(WARM)
    seconds = []
    for _ in range(blocks):
        wait(device)
        start = time.perf_counter()
        run(steps)
        wait(device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) / steps


def plain_on(device: str, steps: int) -> Iterator[torch.Tensor]:
    graphs = torch.randn(10_000, N, FEATURES), torch.randn(10_000, N, DIM)
    return pyg_loop.steps(pyg_loop.dataset(*graphs), BATCH, WIDTH, MESSAGE, steps, device)


def products_on(device: str, kind: torch.dtype) -> Callable[[int], None]:
    """Nothing but the products of a step, launched one after another."""
    layers = [
        [torch.randn(s, device=device, dtype=kind) for s in ((r, i), (o, i), (r, o))]
        for r, i, o in products()
    ]

    def run(steps: int) -> None:
        for _ in range(steps):
            for k, (x, w, g) in enumerate(layers):
                x @ w.T, g.T @ x
                if k > 0:  # φe's inputs need no gradient
                    g @ w

    return run


def ours_on(device: str, blocks: int, steps: int, *overrides: str) -> float:
    """Seconds of a step: the median over the epochs after the first, without validation."""
    seconds: list[float] = []

    class Epochs(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, *_: object) -> None:
            wait(device)
            self.begun, self.start = trainer.global_step, time.perf_counter()

        def on_validation_start(self, trainer: L.Trainer, *_: object) -> None:
            wait(device)
            seconds.append((time.perf_counter() - self.start) / (trainer.global_step - self.begun))

    simulations = 3 + steps * BATCH // 70  # of 100 frames, 70 % of them for training
    size = (f"profile.simulations={simulations}", f"profile.epochs={blocks + 1}")
    e = experiment(f"trainer={'gpu' if device == 'cuda' else 'cpu'}", *size, *overrides)
    fit(e, Epochs(), steps)
    torch.compiler.reset()
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="of --gpu")
    arguments = parser.parse_args()
    if arguments.memory:
        memory()
    elif arguments.gpu:
        gpu(arguments.device, arguments.blocks, arguments.steps or 1000)
    else:
        speed(arguments.threads, arguments.blocks, arguments.steps or 150)


if __name__ == "__main__":
    main()
