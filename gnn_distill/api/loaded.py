"""A run directory as an object: what a notebook reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from rich.console import Console
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import definitions, latex, names
from gnn_distill.distil.law.module import LawModule
from gnn_distill.distil.verdict.extrapolate import borne_out
from gnn_distill.distil.verdict.family import Target, constant_inputs
from gnn_distill.distil.verdict.judge import Verdict, data_ranges, judge
from gnn_distill.errors import InputError, check_choice
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics import variables
from gnn_distill.physics.laws import SOFTENING, ForceLaw
from gnn_distill.physics.simulate import Simulation
from gnn_distill.pipeline.build import Experiment, build
from gnn_distill.pipeline.explain import as_input
from gnn_distill.pipeline.machine import quiet
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.report.equations import acceleration_text, in_distance, law_terms, plain_distance
from gnn_distill.report.figures.all import figure
from gnn_distill.report.headline import headline
from gnn_distill.report.run.motion import html
from gnn_distill.report.run.terminal import legend, show
from gnn_distill.runs.load import Run, law_of, read_run
from gnn_distill.train.checkpoint import load_weights

T = TypeVar("T")
WIDTH = 100
"""Characters of a line that is printed."""
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class LoadedRun:
    """A run directory, read lazily. What a stage has not made yet raises `InputError` that names the stage.

    Attributes:
        path: the folder.
    """

    path: Path

    @cached_property
    def files(self) -> Run:
        """The files as plain data; None for those that are missing."""
        return read_run(self.path)

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
        return self._made("metrics", "train", self.files.metrics)

    @property
    def force_law(self) -> ForceLaw | None:
        """The true law of the data, if it is known and one of `gnn_distill.physics.laws`."""
        return law_of(self.config)

    @property
    def data(self) -> dict[str, Any]:
        """What the data are like: the content of `data.json`."""
        return self._made("data", "simulate", self.files.data)

    @property
    def analysis(self) -> dict[str, Any]:
        """Test losses and R² of the messages: the content of `analysis.json`."""
        return self._made("analysis", "analyse", self.files.analysis)

    @property
    def equations(self) -> dict[str, Any]:
        """Fronts and verdicts: the content of `equations.json`."""
        return self._made("equations", "distil", self.files.equations)

    @cached_property
    def law(self) -> DistilledLaw:
        """The distilled law."""
        if self.files.law is None and self.files.equations is not None:
            fix = "its components do not span a force: take symbolic.target=pullback"
            raise InputError("law", str(self.path), fix)
        return DistilledLaw(self._made("law", "distil", self.files.law))

    @cached_property
    def messages(self) -> RecordedMessages:
        """The recorded sample of messages."""
        recorded = (self.path / "messages.npz").exists()
        return RecordedMessages.of(self._made("messages", "analyse", recorded and self.files.messages()))

    @property
    def trajectories(self) -> dict[str, npt.NDArray[Any]]:
        """A few trajectories: positions and velocities [S, T, n, D], masses and charges."""
        return self._made("trajectories", "simulate", self.files.trajectories())

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

        ```python
        all(verdict.recovered for verdict in run.judge(Coulomb()))  # is it Coulomb's law?
        ```

        Args:
            law: the law to be compared with, one of `gnn_distill.physics.laws`.

        Raises:
            InputError: stage distil is missing, or the network is one of basis `isotropic`, whose equations
                are those of single functions.
        """
        if self.equations["target"] == "functions":
            fix = "functions are judged as a run distils: run it again with dataset.law, or model=additive"
            raise InputError("judge", law.title, fix)
        m, inputs, entries = self.messages, self.equations["variables"], self.equations["components"]
        ranges, dim = data_ranges(m.variables, m.names), m.delta.shape[1]
        target: Target = "pullback" if self.equations["target"] == "pullback" else "components"
        fixed = constant_inputs(ranges, inputs)
        formal = judge(self.fronts, law, m.names, dim=dim, target=target, ranges=ranges, fixed=fixed)
        tried = [entry.get("extrapolation") for entry in entries]
        pairs = zip(formal, tried, strict=True)
        return tuple(v if t is None else borne_out(v, t["inside"], t["beyond"]) for v, t in pairs)

    def plot(self, name: str) -> Figure:
        """Draw a figure of the report, by the name that its file has in `figures/`.

        ```python
        run.plot("pullback").savefig("pullback.png")
        ```

        Args:
            name: which figure; an unknown one is answered with the list of names.

        Returns:
            A matplotlib figure; a notebook shows it after `%matplotlib inline`.

        Raises:
            InputError: an unknown name, a stage that has not been run, or a true law that is not known.
        """
        return figure(self.files, name)

    @cached_property
    def model(self) -> ParticleGNN:
        """The trained network, in evaluation mode on the CPU."""
        self._made("model", "train", (self.path / "checkpoints" / "last.ckpt").exists())
        module, source = self._experiment.module, self._experiment.source
        if not isinstance(source, Simulation) or source.law.graph != "complete":
            self._experiment.datamodule  # noqa: B018  # tells the network who sends to whom
        load_weights(module, self.path)
        return module.model.eval()

    def graphs(self, part: Literal["train", "validation", "test"] = "test") -> Subset:
        """Graphs of one part of the split: `features` [G, n, F] and `accelerations` [G, n, D].

        Simulated data come from the cache, or are simulated again.

        ```python
        test = run.graphs()
        predicted, messages = run.model(test.features[:100])
        ```

        Args:
            part: of the split.

        Raises:
            InputError: another part, or data that are not there any more.
        """
        check_choice("part", part, PARTS)
        found: Subset = getattr(self._experiment.datamodule, part)[:]
        return found

    def _repr_html_(self) -> str | None:
        """A notebook shows a law of motion as its report does; other runs as plain text."""
        return html(self.files)

    def summary(self) -> None:
        """Print the run on one screen: `load_run(path).summary()`."""
        show(self.files, console())

    @cached_property
    def _experiment(self) -> Experiment:
        with as_input("config", str(self.path / "config.yaml")):
            quiet()
            return build(OmegaConf.create(self.config), Reporter(Console(quiet=True)))

    def _made(self, name: str, stage: str, content: T | Literal[False] | None) -> T:
        """The content; an error that names the stage where there is none."""
        if not content:
            fix = f"stage {stage} has not been run there: add it to stages"
            raise InputError(name, str(self.path), fix)
        return content


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


@dataclass(frozen=True)
class RecordedMessages:
    """A random sample of edges of the test set, with everything known of them.

    Index 1 is the receiver, 2 the sender; units are those of the data.

    Attributes:
        delta: Δ = x₁ − x₂, shape [E, D].
        r: |Δ| + 0.01, shape [E].
        m1: mass of the receiver [E]; `m2` of the sender; `q1`, `q2` the charges.
        receiver: number of the receiving particle, shape [E]; equal numbers share one receiver.
        force: exact force on the receiver, shape [E, D]; None where the law is unknown.
        messages: as the network sends them, shape [E, M].
        components: the K dimensions that vary most, most important first.
        selected: their messages, standardised over the recorded edges, shape [E, K].
        pullback: contribution of each edge to the acceleration, shape [E, D].
        importance: of every dimension [M], 0 where pruned; `mask`: which are not pruned [M].
        trajectory: number of the trajectory of each edge, shape [E].
        further: both ends' values of each further column by their names, such as `size1`, each [E].
    """

    delta: Array
    r: Array
    m1: Array
    m2: Array
    q1: Array
    q2: Array
    receiver: npt.NDArray[np.int64]
    force: Array | None
    messages: npt.NDArray[np.float32]
    components: npt.NDArray[np.int64]
    selected: Array
    pullback: Array
    importance: Array
    mask: npt.NDArray[np.bool_]
    trajectory: npt.NDArray[np.int64]
    further: dict[str, Array]

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> RecordedMessages:
        """From the arrays of `messages.npz`."""
        found: dict[str, Any] = {name: arrays.get(name) for name in cls.__dataclass_fields__}
        columns = variables.further([str(name) for name in arrays.get("variables", ())])
        return cls(**(found | {"further": {name: arrays[name] for name in columns}}))

    @property
    def acceleration(self) -> Array | None:
        """Exact contribution F / m₁ to the acceleration, shape [E, D]; None where the law is unknown."""
        return None if self.force is None else self.force / self.m1[:, None]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of `variables`: `dx dy [dz] r m1 m2 q1 q2`, then further columns."""
        return (*variables.DELTAS[: self.delta.shape[1]], "r", *variables.PROPERTIES, *self.further)

    @property
    def variables(self) -> Array:
        """What symbolic regression reads, shape [E, D + 5 + 2 K]."""
        known = [self.delta, self.r, self.m1, self.m2, self.q1, self.q2]
        return np.column_stack([*known, *self.further.values()])


@dataclass(frozen=True, repr=False)
class DistilledLaw:
    """The law in closed form: a_i = Σ_j f(Δ_ij, r_ij, m₁, m₂, q₁, q₂), one f for each Cartesian component.

    Attributes:
        content: all of `law.json`.
    """

    content: dict[str, Any]

    @property
    def acceleration(self) -> tuple[str, ...]:
        """What one pair contributes, one expression for each component; sympy can read it."""
        return tuple(self.content["acceleration"])

    @property
    def radial(self) -> str | None:
        """The factor f where every component is f·Δ/|Δ|; None for other laws."""
        return self.content.get("radial")

    @property
    def constants(self) -> tuple[tuple[float, ...], ...]:
        """Fitted constants of each component, in the order of their appearance."""
        return tuple(tuple(row) for row in self.content["constants"])

    @property
    def intervals(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Bootstrap interval of each constant."""
        rows = self.content.get("intervals") or []
        return tuple(tuple((low, high) for low, high in row) for row in rows)

    @property
    def mae(self) -> float:
        """Mean absolute error of accelerations on test graphs; `network_mae` that of the network."""
        return float(self.content["test"]["mae"])

    @property
    def network_mae(self) -> float:
        """Mean absolute error of the network's accelerations on the same graphs."""
        return float(self.content["network"]["mae"])

    @property
    def r2_truth(self) -> dict[str, list[float]] | None:
        """R² of pair accelerations against the truth by `robust` and `ols`; None without a known law."""
        return self.content.get("r2_truth")

    def module(self, edges: tuple[Tensor, Tensor] | None = None) -> LawModule:
        """The law as a torch module that takes what the network takes.

        ```python
        accelerations = run.law.module()(run.graphs().features)
        ```

        Args:
            edges: receivers and senders, each [E], as `run.model.edges(n)` gives them; all pairs if None.
        """
        return LawModule.from_law(self.content, edges)

    def __str__(self) -> str:
        if "names" in self.content:
            found = headline(self.content)
            return "\n".join([found.text, *filter(None, ["; ".join(found.meanings)])])
        lines = [acceleration_text(*terms) for terms in law_terms(self.content)]
        return "\n".join([*lines, legend(self.content), *plain_distance(self.content)])

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        if "names" in self.content and (found := headline(self.content)).tex:
            return f"$${' '.join(found.tex)}$$"
        plain = [text for pair in self.acceleration if (text := in_distance(pair)) is not None]
        simpler = len(plain) == len(self.acceleration)
        texts = (plain if simpler else self.acceleration, self.content.get("one_body") or [])
        pairs, alone = (tuple(parse(text) for text in part) for part in texts)
        law = Law(pairs, alone, order=self.content.get("order", 2))
        softening = self.content.get("softening", SOFTENING)
        body = latex(law).partition("\n")[2].strip().replace("align*", "aligned")
        return rf"$${body} \qquad {', '.join(definitions(names(law), softening))}$$"
