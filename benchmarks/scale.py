"""Fluids of 100 to 100,000 particles a frame: neighbours, training and memory, beside a plain PyG loop.

    python -m benchmarks.scale [--sizes 100 1000 10000 100000] [--sightings 100000] [--width 64]
        [--threads 2] [--seconds 20] [--edges 16000] [--pyg-to 10000] [--command 1]

Periodic fluids in three dimensions at density 0.8, on a jittered lattice, with Lennard-Jones accelerations as
labels, cut-off 2.5 σ; equal numbers of sightings whatever the size of a frame. For each size, in a process of
its own: directed pairs that are found a second, edges a second in training (network of basis `isotropic`,
batches drawn over receivers, Adam), and the peak of resident memory before the other loop begins. That has a
`Data` per frame with the same neighbours, a DataLoader, and a `MessagePassing` of the same network. Rounds of
both alternate, with threads and memory as the command line sets them, and medians are printed. `--command 1`:
also the whole command on a file of these frames, and the median error of the pair force that it prints.
Seconds are those of the clock, so nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "8000"}  # as the command line sets them

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import MessagePassing

from gnn_distill.data.module import NBodyDataModule
from gnn_distill.data.own.neighbours import within
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.sightings import Sightings
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.variables import Columns
from gnn_distill.pipeline.machine import keep_freed_memory

DENSITY, CUTOFF, JITTER, ROUNDS = 0.8, 2.5, 0.08, 5


def fluid(n: int, sightings: int) -> tuple[ParticleData, float]:
    """The data, and directed pairs that were found a second."""
    frames, edge = max(3, sightings // n), (n / DENSITY) ** (1 / 3)
    rng, side = np.random.default_rng(n), int(np.ceil(n ** (1 / 3)))
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    places = [lattice[np.sort(rng.permutation(side**3)[:n])] for _ in range(frames)]
    x = (np.concatenate(places) + 0.5 + JITTER * rng.normal(size=(n * frames, 3))) * edge / side
    frame, box = np.repeat(np.arange(frames), n), (edge, edge, edge)
    start = time.process_time()
    company = within(frame, x, CUTOFF, box)
    found = len(company[2]) / (time.process_time() - start)
    first, last, senders = company[:3]
    receiver = np.repeat(np.arange(len(x)), last - first)
    delta = x[receiver] - x[senders]
    delta -= edge * np.round(delta / edge)
    r2 = (delta**2).sum(1)
    force = (24 * (2 * r2**-7 - r2**-4))[:, None] * delta
    a = np.stack([np.bincount(receiver, part, len(x)) for part in force.T], 1)
    columns = Columns(3)
    features = np.zeros((len(x), columns.count))
    features[:, columns.position], features[:, columns.mass] = x, 1.0
    piece = np.arange(len(x))
    seen = Sightings(frame, frame, piece, *company)
    made = (features[None].astype("f4"), a[None].astype("f4"), 1)
    return ParticleData(*made, box=box, softening=0.0, sightings=seen), found


def layers(inputs: int, outputs: int, width: int) -> nn.Sequential:
    """Three hidden layers of SiLU units."""
    sizes = [inputs, width, width, width]
    hidden = [m for a, b in zip(sizes, sizes[1:], strict=False) for m in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


class Plain(MessagePassing):
    """f(d, ln d) Δ/d of every edge, summed, and h of the receiver, as one would write it."""

    def __init__(self, width: int, edge: float) -> None:
        super().__init__(aggr="add")
        self.edge = edge
        self.edge_net, self.node_net = (layers(*ends, width) for ends in ((2, 1), (6, 3)))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Accelerations [N, 3] of positions [N, 3]."""
        angle = x * (2 * torch.pi / self.edge)
        return self.propagate(edge_index, x=x) + self.node_net(torch.cat([angle.sin(), angle.cos()], 1))

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """The pair vectors."""
        delta = x_i - x_j
        delta = delta - self.edge * (delta / self.edge).round()
        d = delta.norm(dim=1, keepdim=True)
        return self.edge_net(torch.cat([d, d.log()], 1)) * delta / d


def ours(data: ParticleData, width: int, edges: int) -> Iterator[int]:
    """Training steps; yields the edges of each."""
    split = NBodyDataModule(data, "frames", 1, seed=0, batch_edges=edges)
    model = ParticleGNN(
        3, 3, width=width, basis="isotropic", velocities=False, box=data.box, scale_output=True
    )
    some = split.calibration(100_000)
    model.calibrate(some.features, some.accelerations, some.graph)
    adam, epoch = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True), 0
    split.mutual = model.mutual
    batches = split.train_dataloader()
    while True:
        for batch in replace(batches, epoch=lambda epoch=epoch: epoch):
            predicted, _ = model.on(batch)
            loss = (predicted - batch.accelerations).abs().sum() / batch.frames
            adam.zero_grad()
            loss.backward()
            adam.step()
            yield len(batch.graph.receiver)
        epoch += 1


def plain(data: ParticleData, width: int, edges: int) -> Iterator[int]:
    """The same in the other loop."""
    seen, columns = data.sightings, data.columns
    assert seen is not None and data.box is not None
    x, a = torch.from_numpy(data.features[0, :, columns.position]), torch.from_numpy(data.accelerations[0])
    graphs = []
    for number in range(int(seen.frame.max()) + 1):
        rows = np.flatnonzero(seen.frame == number)
        begin, end = seen.first[rows[0]], seen.last[rows[-1]]
        receiver = np.repeat(np.arange(len(rows)), seen.degree[rows])
        index = torch.from_numpy(np.stack([seen.senders[begin:end] - rows[0], receiver]))
        graphs.append(Data(x=x[rows[0] : rows[-1] + 1], y=a[rows[0] : rows[-1] + 1], edge_index=index))
    size = max(1, round(edges / graphs[0].edge_index.shape[1]))
    model = Plain(width, float(data.box[0] or 1.0))
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    while True:
        for batch in DataLoader(graphs, batch_size=size, shuffle=True):
            loss = (model(batch.x, batch.edge_index) - batch.y).abs().sum() / batch.num_graphs
            adam.zero_grad()
            loss.backward()
            adam.step()
            yield batch.edge_index.shape[1]


def rate(steps: Iterator[int], seconds: float) -> float:
    """Edges a second."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        done += next(steps)
    return done / spent


def commanded(data: ParticleData, n: int, threads: int) -> dict[str, float]:
    """Seconds of the plain command on a file of these frames, each a run, and the law's median error."""
    with tempfile.TemporaryDirectory() as folder:
        path, run = Path(folder) / "fluid.npz", Path(folder) / "run"
        x, a = (part[0].reshape(-1, 1, n, part.shape[-1]) for part in (data.features, data.accelerations))
        v = np.random.default_rng(0).normal(size=a.shape)
        box = np.array(data.box, dtype=float)
        np.savez(path, positions=x[..., :3], velocities=v, accelerations=a, box=box)
        radius = min(CUTOFF, 0.4999 * box[0])  # half of the box is the most
        keys = [f"dataset.path={path}", f"dataset.radius={radius}", f"threads={threads}"]
        begun = time.perf_counter()
        command = [sys.executable, "-m", "gnn_distill", "dataset=own", *keys, f"hydra.run.dir={run}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        law = json.loads((run / "law.json").read_text())
    d = np.linspace(0.95, CUTOFF - 0.01, 200)
    found = at(parse(law["functions"]["u"], ("d",)), {"d": d}, len(d))
    error = float(np.median(np.abs(found / (24 * (2 * d**-13 - d**-7)) - 1)))
    return {"command_s": seconds, "law_error": error}


def measure(given: argparse.Namespace, n: int) -> dict[str, float]:
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    data, found = fluid(n, given.sightings)
    assert data.sightings is not None
    row = {"particles": n, "edges": len(data.sightings.senders), "neighbours_per_s": found}
    loops: dict[str, Callable[..., Iterator[int]]] = {"ours": ours}
    if n <= given.pyg_to:
        loops["plain"] = plain
    running = {name: loop(data, given.width, given.edges) for name, loop in loops.items()}
    rates: dict[str, list[float]] = {name: [] for name in running}
    for name, steps in running.items():
        next(steps)
        if name == "ours":
            row["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for _ in range(ROUNDS):
        for name, steps in running.items():
            rates[name].append(rate(steps, given.seconds / ROUNDS))
    row |= {f"{name}_edges_per_s": float(np.median(part)) for name, part in rates.items()}
    if "plain" in rates:
        row["ratio"] = float(np.median(np.array(rates["ours"]) / np.array(rates["plain"])))
    return row | (commanded(data, n, given.threads) if given.command else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--sightings", type=int, default=100_000)
    parser.add_argument("--pyg-to", type=int, default=10_000)
    for name, default in (("width", 64), ("threads", 2), ("edges", 16_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--command", type=int, choices=(0, 1), default=0)
    given = parser.parse_args()
    if len(given.sizes) == 1:
        print(json.dumps(measure(given, given.sizes[0])), flush=True)
        return
    same = [f"--{k.replace('_', '-')}={v}" for k, v in vars(given).items() if k != "sizes"]
    for n in given.sizes:
        subprocess.run([sys.executable, "-m", "benchmarks.scale", f"--sizes={n}", *same], check=True)


if __name__ == "__main__":
    main()
