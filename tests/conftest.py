"""Shared fixtures: small data and small runs, made once per session."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is imported
os.environ.setdefault("GOMP_SPINCOUNT", "8000")
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from gnn_distill.cli import main as cli
from gnn_distill.data.module import NBodyDataModule
from gnn_distill.data.particles import to_graphs
from gnn_distill.physics.laws import (
    Coulomb,
    Damped,
    Discontinuous,
    ForceLaw,
    InverseDistance,
    InverseSquare,
    Spring,
    String,
    Superposition,
)
from gnn_distill.physics.simulate import Simulation, Trajectories, simulate
from gnn_distill.pipeline.config import composed
from gnn_distill.pipeline.trust import VARIABLE

PUBLISHED: list[ForceLaw] = [Spring(), InverseDistance(), InverseSquare(), Coulomb()]
LAWS: list[ForceLaw] = [*PUBLISHED, Superposition(), Damped(), String(), Discontinuous()]

TINY = [
    "profile.simulations=20",
    "profile.frames=10",
    "profile.epochs=2",
    "profile.batch_size=32",
    "profile.width=16",
    "symbolic.engine.generations=2",
    "symbolic.engine.restarts=1",
    "symbolic.engine.functions=[]",
    "symbolic.engine.seconds=0",
    "symbolic.points=300",
    "symbolic.jobs=1",
    "symbolic.rollouts=1",
    "threads=1",
]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def spring_trajectories() -> Trajectories:
    return simulate(Simulation(Spring(), simulations=40, frames=20))


@pytest.fixture
def spring_data(spring_trajectories: Trajectories) -> NBodyDataModule:
    return NBodyDataModule(to_graphs(spring_trajectories), "trajectories", batch_size=64, seed=0)


@pytest.fixture(scope="session")
def compose() -> Callable[..., DictConfig]:
    """The configuration of some overrides, as the command line composes it; nothing of it is built."""
    return lambda *overrides: composed(overrides)


@pytest.fixture(scope="session")
def gnn_distill(cache: Path):
    """Run the command line as a user does; returns the finished process."""

    def call(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"GNN_DISTILL_CACHE": str(cache), "COLUMNS": "200"}
        command = [sys.executable, "-m", "gnn_distill", *arguments]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def command_line(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    """Run the command line in this process, in a folder of its own; returns exit code and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNN_DISTILL_CACHE", str(cache))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv(VARIABLE, "")

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        monkeypatch.setattr("sys.argv", ["gnn-distill", *arguments])
        monkeypatch.setattr("sys.path", list(sys.path))
        capfd.readouterr()
        try:
            cli.main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code
        assert isinstance(code, int)
        return code, capfd.readouterr().err

    yield call
    for name, module in list(sys.modules.items()):  # of the same name in the folder of another test
        if str(getattr(module, "__file__", None)).startswith(f"{tmp_path}/"):
            del sys.modules[name]
