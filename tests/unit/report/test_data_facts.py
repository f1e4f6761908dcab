"""The data in the report: the table, the line in the terminal, the figure of trajectories."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from gnn_distill.data.particles import to_graphs
from gnn_distill.data.summary import examples, summarise
from gnn_distill.physics.laws import Coulomb, ForceLaw, Spring
from gnn_distill.physics.simulate import Simulation, simulate
from gnn_distill.report.figures.all import FIGURES, caption, draw
from gnn_distill.report.figures.trajectories import FAR, frame, trajectories
from gnn_distill.report.run.story import outcome
from gnn_distill.runs.directory import RunDirectory
from gnn_distill.runs.load import read_run
from tests.unit.report import test_run_page as synthetic
from tests.unit.report.test_run_page import Text, make_run, report, words


def add_data(path: Path, law: ForceLaw, dim: int = 2, sims: int = 8) -> Path:
    """Put a summary and trajectories into a run directory."""
    data = to_graphs(simulate(Simulation(law, dim=dim, simulations=sims, frames=30)))
    directory = RunDirectory(path)
    directory.write_json("data.json", summarise(data, law))
    directory.write_arrays("trajectories.npz", examples(data))
    return path


def change(path: Path, **values: object) -> None:
    data = json.loads((path / "data.json").read_text())
    (path / "data.json").write_text(json.dumps(data | values))


@pytest.fixture
def spring(tmp_path: Path) -> Path:
    return add_data(make_run(tmp_path / "run"), Spring())


def test_page_and_terminal_tell_the_numbers(spring: Path) -> None:
    sizes = {"p1": 0.1, "p50": 1.294, "p99": 25.0, "p99.9": 68.83, "max": 211234.4}
    change(
        spring,
        graphs=150000,
        trajectories=1500,
        frames=100,
        replaced=17,
        mean_abs_acceleration_per_graph=25.41234,
        abs_acceleration=sizes,
        closest_approach={"min": 0.003123, "p1": 0.2172},
        energy_drift={"median": 3.4e-8, "max": 1.94e-7, "trajectories": 200},
    )
    page, terminal = words(spring)
    text = Text(page).text
    for expected in (
        "150,000", "1,500", "25.41", "1.29", "68.8", "211,234", "0.217", "0.0031", "3.4e−08", "1.9e−07", "17"
    ):  # fmt: skip
        assert expected in text, expected
    told = next(line for line in terminal.splitlines() if "Σ|a|" in line)
    assert re.findall(r"\d[\d,.]*\d", told) == ["1,500", "100", "25.4", "0.0031"]
    assert len(terminal.splitlines()) <= 40


def test_what_is_not_known_is_left_out(spring: Path) -> None:
    known = Text(words(spring)[0])
    change(spring, energy_drift=None, closest_approach=None, further=["size", "f2"])
    page, terminal = words(spring)
    assert any("size, f2" in cell for cell in Text(page).of("td"))
    assert len(Text(page).of("td")) == len(known.of("td")) - 2 * 2
    assert len(re.findall(r"\d[\d,.]*", next(k for k in terminal.splitlines() if "Σ|a|" in k))) == 3


def of_a_file(path: Path, **values: object) -> Path:
    """Make the data of a run those of a file: blocks of it, derived, and what else `values` say."""
    config = yaml.safe_load((path / "config.yaml").read_text())
    config["dataset"] = {"path": "tracks.csv", "dim": 2}
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    change(path, **values)
    return path


def test_notes_and_doubts_about_a_file_are_told(tmp_path: Path) -> None:
    path = add_data(make_run(tmp_path / "run", law=None), Spring())
    doubt = "Scatter of the positions makes an error of about 80 % in the accelerations"
    of_a_file(path, blocks=20, trajectories=20, notes=["velocities are derived"], doubts=[doubt], law=None)
    page, terminal = words(path)
    text, terminal = Text(page).text, " ".join(terminal.split())
    assert doubt in text and doubt in terminal
    assert "elocities are derived" in text and "elocities are derived" not in terminal
    assert "20" in Text(page).of("n") and re.search(r"\b20 .* 30 frames", terminal)
    assert "tracks.csv" in text


@pytest.mark.parametrize(("size", "told"), [(0.8, False), (0.08, True)])
def test_a_network_that_learned_little_is_doubted(spring: Path, size: float, told: bool) -> None:
    change(spring, mean_abs_acceleration_per_graph=size * 8)
    page, terminal = words(spring)
    percent = f"{100 * 0.0531 / size:.{0 if told else 1}f} %"
    for text in (Text(page).text, " ".join(terminal.split())):
        assert percent in text and f"{100 * 0.0123 / size:.{0 if told else 1}f} %" in text
    assert bool(Text(page).of("note")) is told


def test_doubts_take_the_place_of_advice_to_collect_more(tmp_path: Path) -> None:
    path = add_data(make_run(tmp_path / "run", law=None), Spring())
    equations = json.loads((path / "equations.json").read_text())
    for entry in equations["components"]:
        entry["extrapolation"] = {"equation": 0, "beyond": [0.9] * len(entry["front"]), "reason": "told"}
    (path / "equations.json").write_text(json.dumps(equations))
    change(path, doubts=[], mean_abs_acceleration_per_graph=8 * 0.0123 / 0.07)
    advice = outcome(read_run(path)).headline
    change(path, doubts=["Particles are about 330 apart"])
    assert len(outcome(read_run(path)).headline) < len(advice) and "no law" in advice


def test_an_equation_that_explains_little_is_no_law(tmp_path: Path) -> None:
    """Though it describes what the network does, near and far."""
    path = add_data(make_run(tmp_path / "run", law=None), Spring())
    change(path, mean_abs_acceleration_per_graph=8 * 0.0123 / 0.72)
    refused = outcome(read_run(path)).headline
    assert "72%" in refused and "no law" in refused
    change(path, mean_abs_acceleration_per_graph=8 * 0.0123 / 0.07)
    assert "no law" not in outcome(read_run(path)).headline


def test_older_runs_have_no_table(tmp_path: Path) -> None:
    page, terminal = words(make_run(tmp_path / "run"))
    assert read_run(tmp_path / "run").data is None and read_run(tmp_path / "run").trajectories() is None
    assert "Σ|a|" not in page + terminal


def test_table_and_figure_come_before_any_training(tmp_path: Path) -> None:
    path = add_data(make_run(tmp_path / "run"), Spring())
    for name in ("equations.json", "law.json", "analysis.json", "messages.npz", "metrics.csv"):
        (path / name).unlink()
    page, _ = report(path)
    data = json.loads((path / "data.json").read_text())
    assert synthetic.figures(path) == {"trajectories"}
    assert {f"{data['graphs']:,}", f"{data['trajectories']:,}"} <= set(Text(page).of("n"))


def test_figure_is_first_in_detail_and_of_sensible_size(spring: Path) -> None:
    page, _ = report(spring)
    data = (spring / "figures/trajectories.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and 20_000 < len(data) < 300_000
    width, height = (int.from_bytes(data[k : k + 4], "big") for k in (16, 20))
    assert 900 < width < 1800 and 600 < height < 900
    drawn = synthetic.figures(spring)
    places = [page.index(f'alt="Figure {name}') for name in FIGURES if name in drawn]
    assert len(drawn) > 5 and places == sorted(places) and list(FIGURES)[:2] == ["law", "trajectories"]


def test_figure_shows_each_trajectory_at_one_scale_for_x_and_y(spring: Path) -> None:
    run = read_run(spring)
    figure, stored = trajectories(run, {}), run.trajectories()
    assert figure is not None and stored is not None
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [f"trajectory {k}" for k in stored["trajectory"]]
    for axes, x, mass in zip(panels, stored["positions"], stored["masses"], strict=True):
        (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert axes.get_aspect() == 1 and high - low == pytest.approx(top - bottom)
        assert ((x > [low, bottom]) & (x < [high, top])).all()
        markers = axes.collections[-1]
        order = np.argsort(-mass, kind="stable")
        np.testing.assert_allclose(markers.get_offsets(), x[-1][order], rtol=1e-6)
        assert (np.diff(markers.get_sizes()) <= 0).all() and np.ptp(markers.get_sizes()) > 0


def test_charges_have_their_colours(spring: Path, tmp_path: Path) -> None:
    signs = read_run(add_data(make_run(tmp_path / "signs"), Coulomb()))
    figure = trajectories(signs, {})
    assert figure is not None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["q = −1", "q = +1"]
    colours = figure.axes[0].collections[-1].get_facecolors()
    stored = signs.trajectories()
    assert stored is not None
    assert len(np.unique(colours, axis=0)) == len(np.unique(stored["charges"][0]))
    many = trajectories(read_run(spring), {})
    assert many is not None and not many.legends
    assert many.axes[-1].get_ylabel() == "charge q"
    RunDirectory(spring).write_arrays("trajectories.npz", stored | {"charges": np.ones((6, 4))})
    alike = trajectories(read_run(spring), {})
    assert alike is not None and not alike.legends and len(alike.axes) == 6
    assert (
        len(np.unique(np.concatenate([a.collections[-1].get_facecolors() for a in alike.axes]), axis=0)) == 1
    )


def test_three_dimensions_are_projected_and_said_so(spring: Path, tmp_path: Path) -> None:
    path = add_data(make_run(tmp_path / "solid", dim=3, recovered=(True,) * 3), Spring(), dim=3, sims=2)
    drawn = draw(read_run(path), path / "figures")
    assert "trajectories" in drawn
    solid, flat = (caption(read_run(p), "trajectories") for p in (path, spring))
    assert "projection" in solid and "projection" not in flat


def test_a_particle_that_flies_off_is_cut_off_and_counted(spring: Path) -> None:
    stored = read_run(spring).trajectories()
    assert stored is not None
    x = stored["positions"].copy()
    x[2, -1, 1] = [1e4, 0.0]
    RunDirectory(spring).write_arrays("trajectories.npz", stored | {"positions": x})
    figure = trajectories(read_run(spring), {})
    assert figure is not None
    assert figure.axes[2].get_title() == f"trajectory {stored['trajectory'][2]}: 1 of 4 leave"
    assert np.ptp(figure.axes[2].get_xlim()) < 100
    assert "leave" not in figure.axes[1].get_title()


def test_frame_by_hand() -> None:
    x = np.zeros((2, 3, 2))
    x[1, :, 0] = -1.0, 1.0, 3.0
    centre, half = frame(x)
    assert centre.tolist() == [1.0, 0.0] and half == pytest.approx(1.2 * 2)
    x[1, 2, 0] = 1.1 * FAR
    centre, half = frame(x)
    assert centre.tolist() == [0.0, 0.0] and half == pytest.approx(1.2)
    assert frame(np.zeros((2, 3, 2)))[1] > 0
    x = np.zeros((2, 3, 2))
    x[1, 2] = 5.0  # the others rest: nothing to compare with, nothing cut off
    assert frame(x)[1] == pytest.approx(3.0)


@pytest.mark.parametrize(("count", "frames", "n"), [(1, 1, 1), (2, 40, 3), (4, 3, 300)])
def test_any_number_of_trajectories_frames_and_particles(
    tmp_path: Path, count: int, frames: int, n: int
) -> None:
    path = make_run(tmp_path / "run")
    rng = np.random.default_rng(0)
    stored = {
        "positions": rng.normal(size=(count, frames, n, 2)),
        "charges": rng.normal(size=(count, n)),
        "masses": np.exp(rng.normal(size=(count, n))),
        "trajectory": np.arange(count),
        "frame": np.arange(frames),
    }
    RunDirectory(path).write_arrays("trajectories.npz", stored)
    assert "trajectories" in draw(read_run(path), path / "figures")
    data = (path / "figures/trajectories.png").read_bytes()
    assert 600 < int.from_bytes(data[16:20], "big") < 1800


def test_a_poor_network_does_not_speak_against_an_equation_that_is_right(tmp_path: Path) -> None:
    path = add_data(make_run(tmp_path / "run", law=None), Spring())
    equations = json.loads((path / "equations.json").read_text())
    for entry in equations["components"]:
        entry["extrapolation"] = {"equation": 0, "beyond": [0.9] * len(entry["front"]), "reason": "told"}
    (path / "equations.json").write_text(json.dumps(equations))
    change(path, mean_abs_acceleration_per_graph=8 * 0.0123 / 0.03)
    assert "no law" in outcome(read_run(path)).headline
    change(path, mean_abs_acceleration_per_graph=8 * 0.0123 / 0.01)
    assert "no law" not in outcome(read_run(path)).headline
