"""Kill -9 at random moments of every stage: does the next start end with an unbroken run's result?

    python -m benchmarks.kill_trials --chains 9

A chain is one run directory in which a run is killed once in each stage (and once before the first), each
time at a random moment, and started again in the same folder until it ends. Its losses, messages, equations
and law must then equal those of a run that nobody killed, and a stage that was complete when a kill came must
not have been done again. Runs are forked from this process, which has everything imported already.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gnn_distill.cli.job
import gnn_distill.pipeline.progress
import gnn_distill.pipeline.stages  # noqa: F401 (forked runs need not import it)
from gnn_distill.cli import main as cli
from gnn_distill.runs.directory import OUTPUTS, STAGES

SMOKE = [
    "profile=smoke",
    "dataset.simulations=40",
    "profile.epochs=8",
    "symbolic.engine.restarts=2",
    "symbolic.engine.generations=20",
    "symbolic.engine.population=200",
    "symbolic.engine.functions=[]",
    "symbolic.points=300",
    "symbolic.rollouts=1",
    "symbolic.jobs=1",
    "threads=1",
]
SHOWN = ("analysis.json", "equations.json", "law.json")
TIMES = ("seconds",)


@dataclass(frozen=True)
class Kill:
    """One trial: the stage that was at work when the kill came, and what was complete."""

    aimed: str
    stage: str
    complete: tuple[str, ...]


def start(folder: Path, cache: Path) -> int:
    """Fork a run in `folder`; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["GNN_DISTILL_CACHE"] = str(cache)
    sys.argv = ["gnn-distill", *SMOKE, f"hydra.run.dir={folder}"]
    code = 1
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        os._exit(code)


def finish(pid: int) -> int:
    """Exit code of a forked run; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def status(folder: Path) -> dict[str, Any]:
    """The content of `status.json`, which is always whole."""
    path = folder / "status.json"
    return json.loads(path.read_text()) if path.exists() else {"stages": {}}


def done(folder: Path) -> dict[str, list[int]]:
    """Modification times of the files of complete stages."""
    entries = status(folder)["stages"]
    names = [s for s in STAGES if entries.get(s, {}).get("complete")]
    return {s: [(folder / name).stat().st_mtime_ns for name in OUTPUTS[s]] for s in names}


def kill_in(stage: str, share: float, seconds: dict[str, float], folder: Path, cache: Path) -> Kill | None:
    """Start a run and kill it after a share of `stage`; None if it ended first."""
    pid = start(folder, cache)
    while stage != "start" and status(folder).get("stage") != stage:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return None
        time.sleep(0.002)
    time.sleep(share * seconds[stage])
    if os.waitpid(pid, os.WNOHANG)[0]:
        return None
    os.kill(pid, signal.SIGKILL)
    finish(pid)
    found = status(folder)
    return Kill(stage, str(found.get("stage") or "start"), tuple(done(folder)))


def results(folder: Path) -> dict[str, Any]:
    """Everything that a run has computed, without times."""
    found: dict[str, Any] = {name: timeless(json.loads((folder / name).read_text())) for name in SHOWN}
    found["metrics.csv"] = (folder / "metrics.csv").read_text()
    weights = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    found["last.ckpt"] = {name: value.tolist() for name, value in weights.items()}
    with np.load(folder / "messages.npz", allow_pickle=False) as stored:
        found["messages.npz"] = {name: stored[name].tobytes() for name in stored.files}
    return found


def timeless(content: Any) -> Any:
    """The content without wall-clock times."""
    if isinstance(content, dict):
        return {k: timeless(v) for k, v in content.items() if k not in TIMES}
    return [timeless(v) for v in content] if isinstance(content, list) else content


def unbroken(folder: Path, cache: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Results of a run that nobody kills, and the seconds of its stages."""
    begun = time.perf_counter()
    code = finish(start(folder, cache))
    if code:
        raise SystemExit(f"the unbroken run failed with exit code {code}: {folder}.log")
    seconds = {name: entry["seconds"] for name, entry in status(folder)["stages"].items()}
    return results(folder), seconds | {"start": time.perf_counter() - begun - sum(seconds.values())}


def chain(
    folder: Path, cache: Path, reference: dict[str, Any], seconds: dict[str, float], draw: random.Random
) -> tuple[list[Kill], list[str]]:
    """Kill one run in every stage, let it end, and say what differs from the unbroken run."""
    kills, faults = [], []
    for stage in ("start", *STAGES):
        before = done(folder)
        kill = kill_in(stage, draw.random(), seconds, folder, cache)
        if kill is not None:
            kills.append(kill)
        after = done(folder)
        faults += [f"{s} was done again" for s, times in before.items() if after.get(s) != times]
    before = done(folder)
    code = finish(start(folder, cache))
    after = done(folder)
    faults += [f"{s} was done again" for s, times in before.items() if after.get(s) != times]
    if code or status(folder).get("state") != "complete":
        return kills, [*faults, f"the last start ended with {code} and state {status(folder).get('state')}"]
    found = results(folder)
    faults += [f"{name} differs" for name in reference if found[name] != reference[name]]
    left = [str(p.relative_to(folder)) for p in folder.rglob(".unfinished-*")]
    return kills, [*faults, *(f"left behind: {name}" for name in left)]


def trials(chains: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Kills by the stage at work, and every fault found."""
    draw, counted, faults = random.Random(seed), Counter[str](), []
    reference, seconds = unbroken(folder / "unbroken", folder / "cache")
    print("unbroken run:", {name: round(value, 2) for name, value in seconds.items()}, flush=True)
    for k in range(chains):
        here, cache = (
            folder / f"chain_{k}",
            folder / f"cache_{k}",
        )  # of its own: the simulation is killed, too
        kills, found = chain(here, cache, reference, seconds, draw)
        counted.update(kill.stage for kill in kills)
        faults += [f"{here.name}: {fault}" for fault in found]
        print(
            f"{here.name}: killed in {', '.join(kill.stage for kill in kills)}; {found or 'same'}", flush=True
        )
        if not found:
            shutil.rmtree(here)
        shutil.rmtree(cache)
    return counted, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--chains", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        counted, faults = trials(given.chains, given.seed, Path(folder))
        print(f"{sum(counted.values())} kills: {dict(counted)}; {len(faults)} faults")
        for fault in faults:
            print(fault)
        if faults:
            sys.exit(1)


if __name__ == "__main__":
    main()
