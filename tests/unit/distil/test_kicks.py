"""Friction where random forces keep particles moving: in a steady state labels alone show none."""

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.derive import Differentiator
from gnn_distill.distil.motion.fit import NOTHING, Form, Term, fit, settled
from gnn_distill.distil.motion.kicks import innovations, unkicked
from gnn_distill.distil.motion.law import estimated, spread
from gnn_distill.distil.motion.segments import motion
from gnn_distill.physics.variables import AXES, VELOCITIES

DRAG, TRAP, HEAT, STEP, INNER = 0.9, 3.0, 0.4, 0.02, 4
GRAPH = complete_graph(8)


def field(name: str, names: tuple[str, ...]) -> Form:
    return Form(name, (Term(tuple(sympy.symbols(names[:2])), None),))


@pytest.fixture(scope="module")
def heated(tmp_path_factory):
    """Eight particles in a trap with drag and heat, their positions as a camera sees them."""
    rng, h = np.random.default_rng(11), STEP / INNER
    x, v = (np.sqrt(HEAT / k) * rng.normal(size=(8, 2)) for k in (TRAP, 1.0))
    seen, fade = [], np.exp(-DRAG * h)
    for _ in range(4000):
        for _ in range(INNER):
            x, v = x + h / 2 * v, v - h / 2 * TRAP * x
            v = fade * v + np.sqrt(HEAT * (1 - fade**2)) * rng.normal(size=v.shape)
            x, v = x + h / 2 * v, v - h / 2 * TRAP * x
        seen.append(x)
    file = tmp_path_factory.mktemp("heated") / "tracks.npz"
    positions = np.stack(seen) + 5e-4 * rng.normal(size=(4000, 8, 2))
    np.savez(file, positions=positions[None], dt=STEP)
    return OwnData(path=str(file), time_step=STEP).load()


def test_heat_is_read_off_the_tracks(heated):
    value, low, high = heated.estimates["velocity_diffusion"]
    assert low < DRAG * HEAT < high and high - low < 0.2 * value
    assert not heated.doubts and any("random forces" in note for note in heated.notes)


def test_friction_is_found_beside_kicks(heated):
    x, a = (torch.from_numpy(part) for part in (heated.features, heated.accelerations))
    of = torch.arange(len(x)) // heated.frames
    data = Subset(x, a, None, of, softening=0.0)
    rows = motion(data, GRAPH, heated.kernel, 10**9, kicked=True)
    form = Form("both", (*field("trap", AXES).terms, *field("drag", VELOCITIES).terms))
    plain = fit(rows, form)
    assert abs(plain.factors[1]) < 0.1 * DRAG  # what a fit without a care for kicks says
    kicks = innovations(rows, field("trap", AXES).columns(rows, ()))
    found = fit(rows, form, kicks)
    assert found.factors == pytest.approx([-TRAP, -DRAG], rel=0.12)
    factor, (low, high) = (
        found.factors[1],
        spread(found, rows, extra=kicks).intervals(np.array([[0.0, 1.0]]))[0],
    )
    assert factor + low < -DRAG < factor + high
    # a law without friction is not let off: kicks explain less of its errors than of the right one's
    right = unkicked(found.predicted(rows, kicks) - rows.labels, kicks, rows)
    wrong = unkicked(fit(rows, field("trap", AXES)).predicted(rows) - rows.labels, kicks, rows)
    weigh = rows.trust / rows.trust.mean()
    assert (right**2 * weigh).mean() < (wrong**2 * weigh).mean()


def test_forces_of_places_are_those_of_the_plain_fit_and_friction_is_found_beside_kicks(heated):
    x, a = (torch.from_numpy(part) for part in (heated.features, heated.accelerations))
    data = Subset(x, a, None, torch.arange(len(x)) // heated.frames, softening=0.0)
    rows = motion(data, GRAPH, heated.kernel, 10**9, kicked=True)
    form = Form("both", (*field("trap", AXES).terms, *field("drag", VELOCITIES).terms))
    last, scatter = estimated(rows, form, 0)
    assert last.factors[0] == settled(rows, form).factors[0]
    assert last.factors == pytest.approx([-TRAP, -DRAG], rel=0.12)
    low, high = scatter.intervals(np.eye(2)).T + last.factors
    assert (low < [-TRAP, -DRAG]).all() and (high > [-TRAP, -DRAG]).all()
    assert scatter.draws[:, 1].mean() == pytest.approx(last.factors[1], rel=0.05)


def test_that_kicks_move_positions_hides_no_friction():
    rng, h, count = np.random.default_rng(4), STEP / INNER, 150
    x, v = (np.sqrt(HEAT / k) * rng.normal(size=(count, 2)) for k in (TRAP, 1.0))
    seen, fade = [], np.exp(-DRAG * h)
    for _ in range(2500 * INNER):
        x, v = x + h / 2 * v, v - h / 2 * TRAP * x
        v = fade * v + np.sqrt(HEAT * (1 - fade**2)) * rng.normal(size=v.shape)
        x, v = x + h / 2 * v, v - h / 2 * TRAP * x
        seen.append(x)
    track = np.stack(seen[::INNER])[None] + 5e-4 * rng.normal(size=(1, 2500, count, 2))
    wide, narrow, step = Differentiator(11, 4), Differentiator(7, 4), np.array([STEP])
    parts = [p[0, 10:-10] for p in (track, narrow(track, step, 1), wide(track, step, 2))]
    still = np.zeros((*parts[0].shape[:2], 1))
    features = torch.from_numpy(np.concatenate([*parts[:2], still, still + 1], axis=-1)).float()
    of = torch.arange(len(features)) // 248
    data = Subset(features, torch.from_numpy(parts[2]).float(), None, of, softening=0.0)
    rows = motion(
        data, (torch.tensor([0]), torch.tensor([1])), wide.kernel(2), 10**9, kicked=True, whole_runs=True
    )
    form = Form("both", (*field("trap", AXES).terms, *field("drag", VELOCITIES).terms))
    found = fit(rows, form, innovations(rows, field("trap", AXES).columns(rows, ())))
    assert found.factors == pytest.approx([-TRAP, -DRAG], rel=0.025)


def test_nothing_is_asked_where_nothing_kicks(heated):
    data = Subset(*(torch.from_numpy(p) for p in (heated.features, heated.accelerations)), softening=0.0)
    rows = motion(data, GRAPH)
    assert innovations(rows, np.zeros((rows.labels.size, 0))).shape == (rows.labels.size, 0)
    assert rows.trust.all() and fit(rows, NOTHING).extra.shape == (0,)
