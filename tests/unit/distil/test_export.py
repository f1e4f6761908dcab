"""The law as a torch module, in other languages, and let run."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import complete_graph
from gnn_distill.data.particles import chain
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.law.closed_form import Law, Nodes
from gnn_distill.distil.law.constants import intervals, refit_law
from gnn_distill.distil.law.export import export, latex, names
from gnn_distill.distil.law.module import LawModule
from gnn_distill.distil.law.rollout import (
    EDGES,
    EVALUATIONS,
    Tracks,
    compare_rollouts,
    drift_under,
    evaluations,
    let_run,
)
from gnn_distill.physics.laws import Damped, Discontinuous, Spring, String
from gnn_distill.physics.simulate import Simulation, simulate
from gnn_distill.physics.variables import Columns
from gnn_distill.read.recording import edge_features
from tests.unit.distil.test_closed_form import NAMES, world

RADIAL = "-2.0*(r - 1.0)/m1"
DRAG = tuple(parse(f"-0.7*{v}/m1", ("vx", "vy", "m1")) for v in ("vx", "vy"))


def states(graphs=5, n=4, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).standard_normal((graphs, n, 6)))
    x[..., 5] = x[..., 5].exp()
    return x


def exact(law, x):
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    q, m = x[..., 4].numpy(), x[..., 5].numpy()
    one = [np.broadcast_to(v[:, :, None], delta.shape[:3]) for v in (m, q)]
    two = [np.broadcast_to(v[:, None, :], delta.shape[:3]) for v in (m, q)]
    force = law.pair_force(delta.numpy(), one[0], two[0], one[1], two[1]).sum(axis=2)
    return force / m[..., None] + law.one_body_acceleration(x[..., 2:4].numpy(), m)


@pytest.fixture
def law():
    central = Law.along(parse(RADIAL, NAMES), 2)
    return Law(central.components, DRAG, central.radial)


def test_a_central_law_shares_its_constants(law):
    fitted = refit_law(Law.along(parse("-1.8*(r - 0.9)/m1", NAMES), 2), *world(Spring()))
    assert [[float(c) for c in row] for row in fitted.constants] == [
        pytest.approx([-2.0, -1.0], rel=1e-5)
    ] * 2
    text = fitted.to_dict()["radial"]
    assert float(parse(text, NAMES).subs({"r": 2.0, "m1": 1.0})) == pytest.approx(-2.0, rel=1e-5)


def test_intervals_hold_the_constants_and_shrink_with_the_noise():
    edges, nodes = world(Spring())
    rng = np.random.default_rng(0)
    widths = []
    for noise in (0.02, 0.2):
        noisy = type(nodes)(
            nodes.named, nodes.acceleration + noise * rng.normal(size=nodes.acceleration.shape)
        )
        fitted = refit_law(Law.along(parse(RADIAL, NAMES), 2), edges, noisy)
        bounds = intervals(fitted, edges, noisy, 4)
        for row, around in zip(fitted.constants, bounds, strict=True):
            for c, (low, high) in zip(row, around, strict=True):
                assert low < float(c) < high
        widths.append([high - low for low, high in bounds[0]])
    assert all(5 < wide / narrow < 20 for narrow, wide in zip(*widths, strict=True))
    low, high = intervals(Law.along(parse(RADIAL, NAMES), 2), edges, nodes, 4)[0][0]
    assert high - low < 1e-9  # without noise nothing is uncertain


def test_bootstrap_covers_the_truth():
    edges, nodes = world(Spring(), graphs=150)
    rng, inside = np.random.default_rng(1), []
    for _ in range(20):
        noisy = type(nodes)(nodes.named, nodes.acceleration + 0.1 * rng.normal(size=nodes.acceleration.shape))
        fitted = refit_law(Law.along(parse(RADIAL, NAMES), 2), edges, noisy)
        bounds = intervals(fitted, edges, noisy, 4)[0]
        pairs = zip(fitted.constants[0], bounds, strict=True)
        inside += [low < (-2.0 if c < -1.5 else -1.0) < high for c, (low, high) in pairs]
    assert np.mean(inside) > 0.8  # nominally 0.95; 40 draws


def test_the_module_is_the_law_and_can_be_trained(law):
    x = states()
    module = LawModule.from_law(law.to_dict())
    truth = torch.from_numpy(exact(Damped(drag=0.7), x))
    assert torch.allclose(module(x), truth, rtol=1e-12)
    assert sorted(module.constants.tolist()) == pytest.approx([-2.0, -1.0, -0.7, -0.01])
    with torch.no_grad():
        module.constants.mul_(1.2)
    optimiser = torch.optim.LBFGS([module.constants], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = ((module(x) - truth) ** 2).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    assert float(((module(x) - truth) ** 2).mean()) < 1e-8


def test_the_module_knows_edges_and_further_columns():
    chain = (torch.tensor([0, 1, 1, 2]), torch.tensor([1, 0, 2, 1]))
    module = LawModule(["dx*size2", "dy*exp(-r)/m2**0.5"], edges=chain, further=["size"])
    x = torch.cat([states(2, 3), torch.ones(2, 3, 1)], dim=-1)
    a = module(x)
    assert a[0, 0, 0] == pytest.approx(float(x[0, 0, 0] - x[0, 1, 0]))
    assert (LawModule(["dx*size2", "dy"], further=["size"])(x)[0, 0, 0] - a[0, 0, 0]).abs() > 1e-3


def written(folder, law, content):
    """The modules that `export` writes, imported from their files."""
    export(law, content, folder)
    found = {}
    for name in ("law_numpy", "law_sympy"):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        found[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    return SimpleNamespace(**found)


CASES = {
    "central": ("central", ("1.3*q1*q2/(m1*r**2)", ()), {}),
    "drag and trap": ("central", ("2.0*exp(-d/0.8)/m1", ("-0.4*x - 0.3*vx/m1", "-0.6*y - 0.3*vy/m1")), {}),
    "magnetic field": ("central", ("q1*q2/(m1*d**2)", ("1.5*q1*vy/m1", "-1.5*q1*vx/m1")), {}),
    "alignment": (("-wx/sqrt(1 + d**2)", "-wy/sqrt(1 + d**2)"), (), {}),
    "friction along the pair": (("-0.7*uw*dx/d*exp(-w)", "-0.7*uw*dy/d*exp(-w)"), (), {}),
    "first order in a trap": (
        ("3*exp(-d)*dx/d", "3*exp(-d)*dy/d", "3*exp(-d)*dz/d"),
        ("-0.5*x", "-0.5*y", "0.1 - 0.5*z"),
        {"order": 1},
    ),
    "cut off": (("dx/d**3", "dy/d**3"), (), {"radius": 1.6}),
    "in a box": (("dx*(d**(-14) - d**(-8))", "dy*(d**(-14) - d**(-8))"), (), {"box": (3.0, None)}),
    "in a tilted cell": (("dx*(d**(-14) - d**(-8))", "dy*(d**(-14) - d**(-8))"), (), {"box": (0.0, 0.0)}),
    "not softened": (("m2*dx/r**2", "m2*dy/r**2"), (), {"softening": 0.0}),
    "touching between walls": (
        ("3*Max(0, 2.9 - d)*dx/d", "3*Max(0, 2.9 - d)*dy/d"),
        ("0.1 - 7*Max(0, x - 0.3) + 9*Max(0, -1.1 - x)", "0.1 + 5*Max(0, 0.2 - y)"),
        {},
    ),
    "driven along a column": (
        ("size2*dx/r", "size2*dy/r"),
        ("(1.3*cos(theta1) - vx)/0.5", "(1.3*sin(theta1) - vy)/0.5"),
        {"further": ("size", "theta")},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_export_computes_the_same(case, tmp_path):
    pair, alone, more = CASES[case]
    if pair == "central":
        central, alone = alone
        law = Law.along(parse(central), 2)
    else:
        law = Law(tuple(map(parse, pair)))
    law = replace(law, one_body=tuple(map(parse, alone)), order=more.get("order", 2))
    further, box, dim = more.get("further", ()), more.get("box"), len(law.components)
    columns = Columns(dim, further, box, more.get("softening", 0.01))
    rng = np.random.default_rng(5)
    x = torch.from_numpy(rng.uniform(-2, 2, (1, 5, columns.count)))
    x[..., columns.constant] = x[..., columns.constant].abs() + 0.3
    here = [[3.0, 0.0], [1.1, 2.7]] if columns.in_cells else box
    if columns.in_cells:
        x[..., columns.cell] = torch.tensor([3.0, 1.1, 2.7], dtype=torch.float64)
    edges, reach = edge_features(x, complete_graph(5), columns), more.get("radius")
    within = np.linalg.norm(edges.delta, axis=1) < (reach or np.inf)
    assert within.any() and within.all() == (reach is None)
    edges, one = edges.where(within), x[0].numpy()
    expected = law.accelerations(edges, Nodes(columns.own(one), np.zeros((5, dim))))
    assert np.isfinite(expected).all() and np.abs(expected).min() > 1e-4
    content = law.to_dict() | {"further": list(further), "box": box, "softening": columns.softening}
    content["radius"] = reach
    module = LawModule.from_law(content)
    assert module(x)[0].detach().numpy() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    found = written(tmp_path, law, content)
    call = found.law_numpy.velocity if law.order == 1 else found.law_numpy.acceleration
    features = one[:, columns.rest] if further else None
    given = (one[:, columns.position], one[:, columns.velocity], one[:, columns.mass], one[:, columns.charge])
    told = {"features": features, "kinds": list("ababa"), "ids": np.arange(5)}
    if columns.in_cells:  # the data's cell is not in the law
        with pytest.raises(ValueError, match="give box: the data's was tilted or not always the same"):
            call(*given, **told)
        told["box"] = here
    assert call(*given, **told) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    ij = tuple(part.numpy() for part in complete_graph(5))
    assert call(*given, box=here, edges=ij, features=features) == pytest.approx(
        expected, rel=1e-12, abs=1e-12
    )
    order = rng.permutation(5)
    moved = call(*(part[order] for part in given), box=here, features=features[order] if further else None)
    assert moved == pytest.approx(expected[order], rel=1e-12, abs=1e-12)
    same = [sympy.simplify(p - f) for p, f in zip(found.law_sympy.pair, law.components, strict=True)]
    assert same == [0] * dim
    assert len(found.law_sympy.one_body) == len(alone)
    saved = torch.load(tmp_path / "law.pt", weights_only=True)
    rebuilt = LawModule(**{key: value for key, value in saved.items() if key != "state_dict"})
    rebuilt.load_state_dict(saved["state_dict"])
    assert torch.equal(rebuilt(x), module(x)) and rebuilt.order == law.order
    if not alone:  # only pairs, and these are reciprocal
        mass = one[:, columns.mass, None] if {"m1", "m2"} & set(names(law)) else 1.0
        forces = mass * expected
        assert forces.sum(axis=0) == pytest.approx(np.zeros(dim), abs=1e-15 * np.abs(forces).sum() + 1e-12)


@pytest.mark.parametrize("size", ["sqrt(vx**2 + vy**2)", "(vx**2 + vy**2)**0.5", "(vx**2 + vy**2)"])
def test_what_drives_along_the_velocity_drives_nobody_at_rest(size, tmp_path, recwarn):
    alone = tuple(parse(f"3.0*{v}/{size} - 0.5*{v} + 0.25/m1") for v in ("vx", "vy"))
    law = Law(tuple(map(parse, ("0.0*dx", "0.0*dy"))), alone)
    x, v = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    expected = 3.0 * v - 0.5 * v + 0.25
    columns, rows = Columns(2), torch.zeros(1, 3, 6, dtype=torch.float64)
    rows[..., columns.position], rows[..., columns.velocity] = torch.from_numpy(x), torch.from_numpy(v)
    rows[..., columns.mass] = 1.0
    assert law.alone(Nodes(columns.own(rows[0].numpy()), np.zeros((3, 2)))) == pytest.approx(expected)
    assert written(tmp_path, law, law.to_dict()).law_numpy.acceleration(x, v) == pytest.approx(expected)
    rows.requires_grad_()
    found = LawModule.from_law(law.to_dict())(rows)
    assert found[0].detach().numpy() == pytest.approx(expected)
    found.sum().backward()
    assert rows.grad.isfinite().all() and not recwarn.list


def test_what_is_not_given_is_at_rest_of_mass_one_and_without_charge(tmp_path):
    law = Law(tuple(map(parse, ("dx/m1 - wx + q2", "dy/m1 - wy"))), (parse("m1"), parse("vy")))
    a = written(tmp_path, law, law.to_dict()).law_numpy.acceleration
    x = np.array([[0.0, 0.0], [3.0, 1.0]])
    assert a(x) == pytest.approx(np.array([[-2.0, -1.0], [4.0, 1.0]]))
    assert a(x, box=[2.5, None]) == pytest.approx(np.array([[0.5, -1.0], [1.5, 1.0]]))
    assert a(x, box=4.0) == pytest.approx(np.array([[2.0, -1.0], [0.0, 1.0]]))
    assert a(x[:1]) == pytest.approx(np.array([[1.0, 0.0]])) and a(x[:0]).shape == (0, 2)
    assert a(x, edges=([1], [0])) == pytest.approx(np.array([[1.0, 0.0], [4.0, 1.0]]))
    assert a([[1.0, 2.0], [1.0, 2.0]]) == pytest.approx(np.array([[1.0, 0.0]] * 2))  # no direction, no force
    with pytest.raises(ValueError, match=r"positions of shape \[n, 2\]"):
        a(np.zeros((2, 3)))
    named = replace(law, one_body=(parse("size1"), parse("0")))
    b = written(tmp_path, named, named.to_dict() | {"further": ["spin", "size"]}).law_numpy.acceleration
    with pytest.raises(ValueError, match="give features: the law reads size"):
        b(x)
    assert b(x, features=[[7, 1], [8, 2]])[:, 0] == pytest.approx([-2.0, 5.0])


def test_many_particles_go_in_parts(tmp_path):
    law = Law(tuple(map(parse, ("m2*dx/r", "m2*dy/r"))))
    module = written(tmp_path, law, law.to_dict()).law_numpy
    x = np.random.default_rng(0).normal(size=(40, 2))
    whole, module.PAIRS = module.acceleration(x), 100
    assert module.acceleration(x) == pytest.approx(whole, rel=1e-12)


def test_the_written_law_needs_numpy_alone(law, tmp_path):
    export(law, law.to_dict(), tmp_path)
    code = (
        "import sys, law_numpy as f; print(f.acceleration([[0, 0], [2, 0]]).tolist(), 'torch' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["[[2.02,", "0.0],", "[-2.02,", "0.0]]", "False"]


def test_latex_says_what_its_names_are(law):
    tex = latex(law)
    assert tex.count("{") == tex.count("}") and r"\Delta x" in tex and "a_y &=" in tex
    assert tex.startswith("% r = |\\Delta| + 0.01; 1: receiver, 2: sender\n")
    first = Law(tuple(map(parse, ("uw*dx/d", "uw*dy/d"))), (parse("-x"), parse("-y")), order=1)
    assert latex(law, 0.0).startswith("% r = |\\Delta| + 0;")
    tex = latex(first)
    assert r"v_x &=" in tex and r"(u \cdot w)" in tex and "a_x" not in tex
    assert tex.startswith(r"% d = |\Delta|; u = \Delta/|\Delta|; w = v_1 - v_2; 1: receiver")


def tracks_of(law, frames=20, n=3, stride=5):
    spec = Simulation(law, simulations=3, frames=frames, n=n, stride=stride)
    t = simulate(spec)
    times = spec.frame_spacing * np.arange(frames)
    pairs = np.nonzero(np.triu(chain(n) if law.graph == "chain" else np.ones((n, n)), 1))
    return Tracks(times, t.positions, t.velocities, t.masses, t.charges, pairs)


def mover(module, tracks):
    rest = np.stack([tracks.charges, tracks.masses], axis=-1)

    def accelerations(x, v):
        return module(torch.from_numpy(np.concatenate([x, v, rest], axis=-1))).detach().numpy()

    return accelerations


def test_the_law_follows_the_truth_and_a_wrong_one_does_not():
    tracks = tracks_of(Spring())
    right = LawModule.from_law(Law.along(parse(RADIAL, NAMES), 2).to_dict())
    wrong = LawModule.from_law(Law.along(parse("-2.0*(r - 1.3)/m1", NAMES), 2).to_dict())
    arrays, summary = compare_rollouts(
        {"law": mover(right, tracks), "network": mover(wrong, tracks)}, tracks, drift_under(Spring(), tracks)
    )
    assert summary["law"]["position_error"] < 1e-3 < 0.05 < summary["network"]["position_error"]
    assert summary["law"]["energy_drift"] < 1e-4 < summary["network"]["energy_drift"]
    assert arrays["law_error"].shape == (3, 20) and arrays["true_drift"].max() < 1e-5


@pytest.mark.parametrize("law", [Spring(), String()], ids=lambda law: law.name)
def test_energy_of_the_truth_is_conserved(law):
    tracks = tracks_of(law)
    assert tracks.drift(law, tracks.positions, tracks.velocities).max() < 1e-5


def test_no_energy_where_drag_takes_it():
    tracks = tracks_of(Damped(), frames=5)
    module = LawModule.from_law(Law.along(parse(RADIAL, NAMES), 2).to_dict())
    arrays, summary = compare_rollouts({"law": mover(module, tracks)}, tracks, drift_under(Damped(), tracks))
    assert "true_drift" not in arrays and "energy_drift" not in summary["law"]


def test_a_rollout_that_cannot_be_done_says_how_far_it_came():
    tracks = tracks_of(Spring(), frames=5)

    def explodes(x, v):
        return 1e3 * x * (1 + x**2)

    x, _, ended = let_run(lambda x, v: np.full_like(x, np.nan), tracks)
    assert np.isfinite(x[:, 0]).all() and np.isnan(x[:, 1:]).all() and ended == "a step failed"
    x, _, ended = let_run(explodes, tracks, limit=300)
    assert np.isfinite(x[:, 0]).all() and np.isnan(x[:, -1]).any() and ended == "300 evaluations were spent"
    assert let_run(lambda x, v: -x, tracks).ended is None


def test_a_rollout_that_meets_nan_ends_where_it_was():
    tracks = tracks_of(Spring(), frames=10)
    until = tracks.times[6]

    def pole(x, v):
        """Free fall from rest, up to the height that is reached after `until`."""
        return np.full_like(x, 1.0 if np.abs(x - tracks.positions[:, 0]).max() < until**2 / 2 else np.nan)

    still = replace(tracks, velocities=np.zeros_like(tracks.velocities))
    x, _, ended = let_run(pole, still)
    assert ended == "a step failed"
    fallen = np.isfinite(x).all(axis=(0, 2, 3))
    assert fallen.tolist() == [True] * 6 + [fallen[6]] + [False] * 3
    assert x[:, 5] == pytest.approx(x[:, 0] + tracks.times[5] ** 2 / 2)


def test_evaluations_of_a_rollout_are_bounded_whatever_the_law():
    tracks, asked = tracks_of(Spring(), frames=5), []

    def stiff(x, v):
        asked.append(1)
        return -1e12 * x - 1e9 * v

    _, summary = compare_rollouts({"law": stiff}, tracks, None, limit=100)
    assert len(asked) == 100 and summary["law"]["ended"] == "100 evaluations were spent"
    assert 0 <= summary["law"]["until"] < summary["time"] == pytest.approx(np.ptp(tracks.times))
    assert evaluations(12 * 12) == EVALUATIONS  # twelve trajectories of four particles
    assert evaluations(10_000) * 10_000 <= EDGES < (evaluations(10_000) + 1) * 10_000


def test_no_energy_where_the_potential_jumps():
    tracks = tracks_of(Discontinuous(), frames=5)
    _, summary = compare_rollouts({"law": lambda x, v: 0 * x}, tracks, drift_under(Discontinuous(), tracks))
    assert "energy_drift" not in summary["law"]
    _, summary = compare_rollouts(
        {"law": lambda x, v: 0 * x}, tracks, drift_under(Discontinuous(cut=1.0), tracks)
    )
    assert summary["law"]["energy_drift"] >= 0
