"""The public API: lazy names, configs, fits, distillation and runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure

import gnn_distill
from gnn_distill import InputError, compose, distill, fit_linear, load_run, load_sweep, pull_back
from gnn_distill.analyse.linear import fit_column
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.physics.laws import Coulomb, InverseSquare, Spring
from gnn_distill.report.figures.all import FIGURES
from tests.conftest import TINY
from tests.unit.distil.test_closed_form import world
from tests.unit.report.test_run_page import make_run

FORCE = ("dx", "dy", "r", "m1", "m2", "q1", "q2")


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, gnn_distill; print([m for m in ('torch', 'numpy', 'hydra') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", gnn_distill.__all__)
def test_every_public_name_is_there_and_documented(name: str):
    found = getattr(gnn_distill, name)
    assert name in dir(gnn_distill) and (name == "__version__" or found.__doc__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'plot_nothing'"):
        gnn_distill.plot_nothing  # noqa: B018


def test_compose_gives_what_the_command_line_would_run(tmp_path: Path):
    (tmp_path / "variant").mkdir()
    (tmp_path / "variant/mine.yaml").write_text(
        "# @package _global_\nvariant: mine\nmodel: {message_dim: 7}\n"
    )
    config = compose(["dataset=r1", "profile.epochs=3", "variant=mine"], config_dir=tmp_path)
    assert (config.profile.epochs, config.model.message_dim, config.variant) == (3, 7, "mine")
    assert config.dataset.law._target_.endswith("InverseDistance")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["profile.epochs=0"], "profile.epochs = 0"),
        (["profile.epoch=3"], "epoch"),
        (["dataset=sprong"], "sprong"),
        (["dataset=own", "dataset.path=none.csv"], "no such file"),
    ],
)
def test_compose_names_what_is_wrong(overrides: list[str], told: str):
    with pytest.raises(InputError, match=told):
        compose(overrides)


def test_compose_refuses_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="config_dir"):
        compose([], config_dir=tmp_path / "no")


def test_fit_linear_is_the_fit_of_every_component():
    rng = np.random.default_rng(0)
    force = rng.normal(size=(400, 2))
    mixed = force @ np.array([[1.0, 2.0], [-0.5, 1.0]]) + [3.0, -1.0]
    mixed[:20] += 50 * rng.normal(size=(20, 2))
    robust, plain = fit_linear(mixed, force), fit_linear(mixed, force, robust=False)
    assert robust.r2_mean == pytest.approx(1.0, abs=1e-9) and plain.r2_mean < 0.9
    np.testing.assert_allclose(robust.matrix, [[1.0, -0.5], [2.0, 1.0]], atol=1e-9)
    np.testing.assert_allclose(robust.predict(force)[20:], mixed[20:], atol=1e-9)
    assert robust.r2[1] == fit_column(force, mixed[:, 1], 0.1).r2
    assert len(fit_linear(mixed[:, 0], force).components) == 1
    with pytest.raises(InputError, match="messages, forces"):
        fit_linear(mixed, force[:-1])


def test_distill_judges_what_it_found():
    edges, _ = world(Spring(), graphs=60)
    given = GivenEngine("-3*(r - 1.5)/m1")
    found = distill(edges.variables, edges.acceleration, FORCE, law=Spring(), engine=given)
    assert found.recovered and len(found.fronts) == 2 and "recovered" in str(found)
    assert found.law is not None and {str(s) for s in found.law.components[0].free_symbols} <= {
        "dx",
        "r",
        "m1",
    }
    wrong = distill(edges.variables, edges.acceleration, FORCE, law=InverseSquare(), engine=given)
    assert wrong.recovered is False and all(wrong.reasons)
    blind = distill(edges.variables, edges.acceleration, FORCE, engine=given)
    assert blind.verdicts is None and blind.recovered is None and "extrap" not in blind.reasons[0]
    assert "relative error" in blind.reasons[0]


def test_distill_is_told_what_the_columns_are():
    edges, _ = world(Spring(), graphs=25)
    given = GivenEngine("-3*(r - 1.5)*dx/(m1*r)")
    mixed = edges.acceleration @ np.array([[0.8, 0.5], [-0.6, 0.9]]) + 3.0
    found = distill(edges.variables, mixed, FORCE, law=Spring(), target="components", engine=given)
    assert found.recovered and found.found.problem.labels == (0, 1) and found.found.joint is None
    assert found.law is None  # messages are no accelerations
    taken = distill(edges.variables, mixed, FORCE, law=Spring(), engine=given).found.problem
    assert (taken.target, taken.labels) == ("pullback", ("dx", "dy"))  # as many columns as there are Δ
    named = distill(edges.variables, edges.acceleration, FORCE, target="pullback", engine=given)
    assert named.found.problem.labels == ("dx", "dy") and named.law is not None
    one = distill(edges.variables, mixed[:, 0], FORCE, law=Spring(), engine=given)
    assert one.found.problem.target == "components" and one.recovered


def test_distill_holds_out_whole_groups():
    edges, _ = world(Spring(), graphs=60)
    groups = edges.receiver // 4
    given = GivenEngine("-3*(r - 1.5)/m1")
    found = distill(edges.variables, edges.acceleration, FORCE, engine=given, groups=groups).found.problem
    seen, unseen = ({float(v) for v in part[:, 3]} for part in (found.X, found.unseen))  # masses
    assert len(found.X) + len(found.unseen) == len(groups) and not seen & unseen


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"names": FORCE[:2] + FORCE[3:] + ("r",), "y": np.ones((3, 3, 3))}, "X, y, names"),
        ({"names": ("dx", "dy", "m1", "m2", "q1", "q2")}, "X, y, names"),
        ({"names": (*FORCE[:-1], "mass")}, "symbolic names"),
        ({"y": np.ones(720)}, "constant"),
        ({"y": np.ones((720, 2)), "target": "components"}, "constant"),
        ({"target": "messages"}, "target = 'messages'.*components.*pullback"),
        ({"target": "pullback", "y": np.arange(720.0)}, "target.*a column for each Δ"),
        ({"target": "pullback", "names": ("r", "m1", "m2", "q1", "q2", "f1_1", "f1_2")}, "a column for each"),
        ({"groups": np.ones(3)}, "groups"),
    ],
)
def test_distill_names_what_is_wrong(change: dict, told: str):
    edges, _ = world(Spring(), graphs=60)
    arguments = {"X": edges.variables, "y": edges.acceleration, "names": FORCE} | change
    with pytest.raises(InputError, match=told):
        distill(**arguments)


def test_charges_of_other_sizes_tell_a_product_from_a_quotient():
    edges, _ = world(Coulomb(), graphs=80)
    rng = np.random.default_rng(0)
    x = edges.variables.copy()
    x[:, 5:7] *= rng.uniform(0.5, 2, (len(x), 2))
    q1, q2 = x[:, 5], x[:, 6]
    for text, size, truth in (("q1*q2/(m1*r**2)", q1 * q2, True), ("q1/(q2*m1*r**2)", q1 / q2, False)):
        unit = edges.delta / np.linalg.norm(edges.delta, axis=1)[:, None]
        y = (size / edges.m1 / edges.r**2)[:, None] * unit
        assert distill(x, y, FORCE, law=Coulomb(), engine=GivenEngine(text)).recovered is truth


def test_a_folder_that_is_no_run_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="run directory"):
        load_run(tmp_path)
    with pytest.raises(InputError, match="sweep"):
        load_sweep(tmp_path)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, cache: Path):
    config = compose([*TINY, f"cache={cache}", "variant=bottleneck", "stages=[simulate,train,analyse]"])
    return gnn_distill.run_pipeline(config, tmp_path_factory.mktemp("api") / "run", quiet=True)


def test_a_run_from_python_can_be_read(analysed):
    assert analysed.status["state"] == "complete" and analysed.force_law == Spring()
    m = analysed.messages
    assert m.variables.shape == (len(m.r), len(m.names)) and m.acceleration is not None
    assert analysed.analysis["best"] is not None and len(analysed.metrics) == 2
    test = analysed.graphs()
    pulled = pull_back(analysed.model, test.features)
    total = np.zeros_like(pulled.accelerations)
    np.add.at(total, (slice(None), pulled.receiver), pulled.contributions)
    np.testing.assert_allclose(total, pulled.accelerations, rtol=1e-3, atol=1e-4)
    error = np.abs(pulled.accelerations - test.accelerations.numpy()).mean()
    assert error == pytest.approx(analysed.analysis["test"]["mae"], rel=1e-4)


def own_ring(path: Path) -> list[str]:
    """Five particles that each feel the next one only."""
    rng = np.random.default_rng(0)
    edges = np.stack([(np.arange(5) + 1) % 5, np.arange(5)])
    tracks = {
        name: rng.standard_normal((20, 5, 5, 2)) for name in ("positions", "velocities", "accelerations")
    }
    np.savez(path, edge_index=edges, **tracks)
    return ["dataset=own", f"dataset.path={path}"]


@pytest.mark.parametrize("kind", ["chain", "given"])
def test_the_model_of_a_run_knows_who_sends_to_whom(kind: str, tmp_path: Path, cache: Path):
    data = own_ring(tmp_path / "ring.npz") if kind == "given" else ["dataset=string"]
    stages = ["profile.epochs=1", "stages=[simulate,train,analyse]", f"cache={cache}"]
    gnn_distill.run_pipeline(compose([*TINY, *data, *stages]), tmp_path / "run", quiet=True)
    run = load_run(tmp_path / "run")
    n, ends = (5, [(i, (i + 1) % 5) for i in range(5)]) if kind == "given" else (4, [])
    ends = ends or [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)]
    assert list(zip(*(part.tolist() for part in run.model.edges(n)), strict=True)) == ends
    test = run.graphs()
    error = (run.model(test.features)[0] - test.accelerations).abs().mean()
    assert float(error.detach()) == pytest.approx(run.analysis["test"]["mae"], rel=1e-4)


def test_what_a_stage_has_not_made_is_named(analysed):
    for name in ("equations", "law", "fronts", "verdicts"):
        with pytest.raises(InputError, match="stage distil has not been run"):
            getattr(analysed, name)
    with pytest.raises(InputError, match="figure rollout.*stage distil has not been run"):
        analysed.plot("rollout")


def test_rollouts_of_network_and_law_are_drawn(tmp_path: Path, cache: Path):
    given = ["symbolic=given", "symbolic.rollouts=1", "symbolic.points=300", "symbolic.jobs=1"]
    tiny = [setting for setting in TINY if not setting.startswith("symbolic")]
    law = ["symbolic.expression='-2*(r-1)/m1'", "stages=[simulate,train,analyse,distil]"]
    run = gnn_distill.run_pipeline(
        compose([*tiny, *given, *law, f"cache={cache}"]), tmp_path / "run", quiet=True
    )
    axes = run.plot("rollout").axes
    drawn = {line.get_label() for a in axes for line in a.get_lines()}
    assert {"network", "law"} <= {word for label in drawn for word in str(label).split()}


@pytest.mark.parametrize("name", sorted(FIGURES.keys() - {"rollout", "functions", "own", "individuals"}))
def test_every_figure_of_the_report_is_drawn_by_its_name(analysed, name: str):
    figure = analysed.plot(name)
    assert isinstance(figure, Figure) and any(axes.get_xlabel() for axes in figure.axes)


def test_an_unknown_figure_is_answered_with_the_names(analysed):
    with pytest.raises(InputError, match="figure = 'force'.*law.*pullback.*training"):
        analysed.plot("force")


@pytest.mark.parametrize(
    ("law", "absent", "name", "told"),
    [
        ("Spring", "metrics.csv", "training", "stage train has not been run"),
        ("Spring", "data.json", "trajectories", "stage simulate has not been run"),
        ("Spring", "messages.npz", "importance", "stage analyse has not been run"),
        ("Spring", None, "rollout", "no trajectory to follow"),
        (None, None, "pullback", "the true law of the data is not known"),
    ],
)
def test_what_a_figure_lacks_is_named(
    tmp_path: Path, law: str | None, absent: str | None, name: str, told: str
):
    path = make_run(tmp_path / "run", law)
    if absent is not None:
        (path / absent).unlink(missing_ok=True)
    with pytest.raises(InputError, match=f"figure {name}.*{told}"):
        load_run(path).plot(name)


def test_two_networks_side_by_side_share_their_axis(tmp_path: Path):
    runs = []
    for variant, std in (("standard", np.linspace(0.1, 1, 100)), ("l1", np.array([0.0] * 98 + [2.0, 3.0]))):
        path = make_run(tmp_path / variant)
        for file, key, value in (("config.yaml", "variant", variant), ("analysis.json", "std", std.tolist())):
            content = yaml.safe_load((path / file).read_text()) | {key: value}
            (path / file).write_text(json.dumps(content))
        runs.append(load_run(path))
    left, right = gnn_distill.plot_sparsity(*runs).axes
    assert left.get_ylim() == right.get_ylim() and left.get_title() == "standard"
    labels = [t.get_text() for t in right.get_legend().get_texts()]
    assert labels == ["first 2: 100 %", "others: 0 %"]


def test_active_dimensions_of_several_schedules(tmp_path: Path):
    told = {"linear": [100, 50, 2], "exp": [100, 20, 2], "cosine": [100, 80, 2]}
    for name, active in told.items():
        rows = [f"{epoch},{dims}" for epoch, dims in enumerate(active)]
        path = make_run(tmp_path / name)
        (path / "metrics.csv").write_text("\n".join(["epoch,active_dims", *rows]) + "\n")
    runs = {name: load_run(tmp_path / name) for name in told}
    (axes,) = gnn_distill.plot_active_dims(runs).axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert drawn["cosine"] == [100, 80, 2] and len({line.get_linestyle() for line in axes.lines[:3]}) == 3
    (tmp_path / "exp" / "metrics.csv").unlink()
    with pytest.raises(InputError, match="metrics.*exp.*stage train has not been run"):
        gnn_distill.plot_active_dims({name: load_run(tmp_path / name) for name in told})
    with pytest.raises(InputError, match="at least one run"):
        gnn_distill.plot_active_dims({})


def test_a_folder_of_runs_is_a_sweep(analysed):
    sweep = load_sweep(analysed.path.parent)
    assert sweep.states == {"run": "complete"} and set(sweep.runs) == {"run"}
    table = sweep.tables["table2"]
    loss = pytest.approx(analysed.analysis["test"]["mae_per_graph"])
    assert table.means.loc["spring", "bottleneck"] == sweep.frame["mae_per_graph"].item() == loss
    assert "| spring |" in table._repr_markdown_() and sweep.winner is None
    assert sweep.plot("losses").axes and sweep.plot("scores").axes
    with pytest.raises(InputError, match="active_dims"):
        sweep.plot("active_dims")
