"""A run directory as an object: what a notebook reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
from omegaconf import OmegaConf
from rich.console import Console

from gnn_distill import rundir
from gnn_distill.api.parts import DistilledLaw, Messages
from gnn_distill.build import Experiment, build
from gnn_distill.data import Subset
from gnn_distill.errors import InputError, check_choice
from gnn_distill.explain import as_input
from gnn_distill.forces import ForceLaw
from gnn_distill.model import ParticleGNN
from gnn_distill.progress import Reporter
from gnn_distill.report.story import law_of
from gnn_distill.report.terminal import show
from gnn_distill.run import load_weights
from gnn_distill.simulate import Simulation
from gnn_distill.symbolic.extrapolate import borne_out
from gnn_distill.symbolic.family import Target, constant_inputs
from gnn_distill.symbolic.front import Front
from gnn_distill.symbolic.verdict import Verdict, data_ranges, judge

WIDTH = 100
"""Characters of a line that is printed."""
PARTS = ("train", "validation", "test")
STAGE = {"analysis": "analyse", "equations": "distil", "law": "distil", "data": "simulate"}


@dataclass(frozen=True)
class LoadedRun:
    """A run directory, read lazily. What a stage has not made yet raises `InputError` that names the stage.

    Attributes:
        path: the folder.
    """

    path: Path

    @cached_property
    def files(self) -> rundir.Run:
        """The files as plain data; None for those that are missing."""
        return rundir.load_run(self.path)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return self.files.config

    @property
    def status(self) -> dict[str, Any]:
        """State, seconds of each stage, seed, versions."""
        return self.files.status

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Losses, learning rate and active dimensions, one row for each epoch."""
        return self.files.metrics

    @property
    def force_law(self) -> ForceLaw | None:
        """The true law of the data, if it is known and one of `gnn_distill.forces`."""
        return law_of(self.config)

    @property
    def data(self) -> dict[str, Any]:
        """What the data are like: the content of `data.json`."""
        return self._content("data")

    @property
    def analysis(self) -> dict[str, Any]:
        """Test losses and R² of the messages: the content of `analysis.json`."""
        return self._content("analysis")

    @property
    def equations(self) -> dict[str, Any]:
        """Fronts and verdicts: the content of `equations.json`."""
        return self._content("equations")

    @cached_property
    def law(self) -> DistilledLaw:
        """The distilled law."""
        if self.files.law is None and self.files.equations is not None:
            fix = "its components do not span a force: take symbolic.target=pullback"
            raise InputError("law", str(self.path), fix)
        return DistilledLaw(self._content("law"))

    @cached_property
    def messages(self) -> Messages:
        """The recorded sample of messages."""
        if not (self.path / "messages.npz").exists():
            raise self._missing("messages", "analyse")
        return Messages.of(self.files.messages())

    @property
    def trajectories(self) -> dict[str, npt.NDArray[Any]]:
        """A few trajectories: positions and velocities [S, T, n, D], masses and charges."""
        found = self.files.trajectories()
        if found is None:
            raise self._missing("trajectories", "simulate")
        return found

    @property
    def fronts(self) -> tuple[Front, ...]:
        """The Pareto front of each component."""
        names = self.equations["variables"]
        entries = self.equations["components"]
        return tuple(Front.from_dict({"names": names, "equations": e["front"]}) for e in entries)

    @property
    def verdicts(self) -> tuple[Verdict, ...] | None:
        """The verdict on each component; None where the law of the data is not known, see `judge`."""
        entries = [entry["verdict"] for entry in self.equations["components"]]
        if None in entries:
            return None
        return tuple(Verdict(**(e | {"r2": float("-inf") if e["r2"] is None else e["r2"]})) for e in entries)

    def judge(self, law: ForceLaw) -> tuple[Verdict, ...]:
        """Ask of the equations that were found whether they are `law`, one verdict for each component.

        Args:
            law: the law to be compared with, one of `gnn_distill.forces`.
        """
        m = self.messages
        ranges = data_ranges(m.variables, m.names)
        kind: Target = "pullback" if self.equations["target"] == "pullback" else "components"
        inputs = self.equations["variables"]
        names = (*m.names, *(name for name in inputs if name not in m.names))
        fixed, dim = constant_inputs(ranges, inputs), m.delta.shape[1]
        formal = judge(self.fronts, law, names, dim=dim, target=kind, ranges=ranges, fixed=fixed)
        tried = [entry.get("extrapolation") for entry in self.equations["components"]]
        return tuple(
            v if t is None else borne_out(v, t["inside"], t["beyond"])
            for v, t in zip(formal, tried, strict=True)
        )

    @cached_property
    def model(self) -> ParticleGNN:
        """The trained network, in evaluation mode on the CPU."""
        if not (self.path / "checkpoints" / "last.ckpt").exists():
            raise self._missing("model", "train")
        module, source = self._experiment.module, self._experiment.source
        if not isinstance(source, Simulation) or source.law.graph != "complete":
            self._experiment.datamodule  # noqa: B018  # tells the network who sends to whom
        load_weights(module, self.path)
        return module.model.eval()

    def graphs(self, part: Literal["train", "validation", "test"] = "test") -> Subset:
        """Graphs of one part of the split: `features` [G, n, F] and `accelerations` [G, n, D].

        Simulated data come from the cache, or are simulated again.
        """
        check_choice("part", part, PARTS)
        found: Subset = getattr(self._experiment.datamodule, part)[:]
        return found

    def summary(self) -> None:
        """Print the run on one screen."""
        show(self.files, console())

    @cached_property
    def _experiment(self) -> Experiment:
        with as_input("config", str(self.path / "config.yaml")):
            return build(OmegaConf.create(self.config), Reporter(Console(quiet=True)))

    def _content(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] | None = getattr(self.files, name)
        if content is None:
            raise self._missing(name, STAGE[name])
        return content

    def _missing(self, name: str, stage: str) -> InputError:
        return InputError(name, str(self.path), f"stage {stage} has not been run there: add it to stages")


def console(quiet: bool = False) -> Console:
    """Plain lines on standard output, also in a notebook."""
    return Console(highlight=False, force_jupyter=False, force_terminal=False, width=WIDTH, quiet=quiet)


def load_run(path: str | Path) -> LoadedRun:
    """Open a run directory.

    ```python
    run = load_run("outputs/spring_pruning/2026-01-31_12-00-00")
    print(run.law)
    ```

    Raises:
        InputError: the folder is not a run directory.
    """
    loaded = LoadedRun(Path(path))
    loaded.files  # noqa: B018
    return loaded
