"""Labels that are steps: what a law changes along the way, and constants that allow for it."""

import re

import numpy as np
import pytest
import torch

from gnn_distill.data.graphs import Subset
from gnn_distill.distil.motion.fit import fit, settled, together
from gnn_distill.distil.motion.law import estimated
from gnn_distill.distil.motion.own import fields
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.steps import Step, averaged
from tests.unit.distil.test_motion import COLUMNS, N, form, graphs, rows

PUSH, TRAP, LONG = 1.7, 0.8, 0.1


def named(name: str):
    return next(f for f in fields(COLUMNS, 1, []) if f.name == name)


def velocity(x: np.ndarray) -> np.ndarray:
    """Of particles [..., n, D] that push each other away in a trap."""
    delta = x[..., :, None, :] - x[..., None, :, :]
    d = np.linalg.norm(delta, axis=-1, keepdims=True) + 1e-12
    return (PUSH * np.exp(-d) * delta / d).sum(-2) - TRAP * x


def recorded(x: np.ndarray, a: np.ndarray) -> Motion:
    """Rows of places and labels [G, n, D]."""
    features = np.zeros((*x.shape[:2], COLUMNS.count))
    features[..., COLUMNS.position], features[..., COLUMNS.mass] = x, 1.0
    of = torch.arange(len(x)) // 30
    parts = (torch.tensor(part).float() for part in (features, a))
    return rows(Subset(*parts, None, of, softening=0.0))


def stepped(time: float, diffusion: float = 0.0, late: bool = False, count: int = 300) -> Motion:
    """Rows whose labels are one step over its time, which has begun at their places or is the next one."""
    rng, fine = np.random.default_rng(0), 40
    ends = [x := 0.8 * rng.normal(size=(count, N, 2))]
    for k in range(fine * (1 + late)):
        kick = np.sqrt(2 * diffusion * time / fine) * rng.normal(size=x.shape)
        x = x + time / fine * velocity(x + time / fine / 2 * velocity(x)) + kick
        if k % fine == fine - 1:
            ends.append(x)
    return recorded(ends[0], (ends[-1] - ends[-2]) / time)


@pytest.mark.parametrize("late", [False, True])
def test_constants_allow_for_what_happens_within_a_step(late: bool):
    part = stepped(LONG / (3 if late else 1), late=late)
    step, law = Step(LONG / (3 if late else 1), late=late), together(form("exp(-1.2*d)"), named("trap"))
    plain, (found, there) = fit(part, law), averaged(part, law, step)
    truth = [PUSH, -TRAP]
    off = [np.abs(f.factors / truth - 1).max() for f in (plain, found)]
    assert off[0] > 0.05 and off[1] < 0.015
    assert found.constants == pytest.approx([-1.0], rel=0.01)
    assert np.abs(there.labels - found.predicted(part)).mean() < 0.02 * np.abs(there.labels).mean()
    v = found.predicted(part)
    error = [np.abs(p - part.labels).mean() for p in (v, v + step.change(found, part))]
    assert error[1] < 0.3 * error[0]
    assert averaged(part, law, None)[0].factors.tolist() == settled(part, law).factors.tolist()


def test_what_diffusion_makes_of_a_curved_force_is_allowed_for():
    """With c = x² + y² the mean of −c x over a step changes by Δt/2 D ∇²(−c x): in a plane by −4 D Δt x."""
    rng, D, time = np.random.default_rng(1), 0.5, 0.02
    part = recorded(rng.normal(size=(3000, N, 2)), np.zeros((3000, N, 2)))
    cubic = fit(
        part.relabelled(named("cubic trap").columns(part, ()).reshape(-1, 2) * -1.0), named("cubic trap")
    )
    change = [Step(time, d).change(cubic, part) for d in (D, 0.0)]
    x = np.stack([part.nodes.named[a] for a in "xy"], axis=1)
    slope = (x * (change[0] - change[1])).sum() / (x**2).sum()
    assert slope == pytest.approx(-4 * D * time, rel=0.1)


def test_constants_of_noisy_steps_are_off_by_no_more_than_their_errors():
    part, time, D = stepped(0.03, 0.05, count=3000), 0.03, 0.05
    law, far = together(form("exp(-1.2*d)"), named("trap")), []
    for step in (Step(time, D), None):
        last, scatter = estimated(part, law, 0, step)
        off = np.array([*last.constants, *last.factors]) - [-1.0, PUSH, -TRAP]
        far.append(np.abs(off / scatter.draws.std(0)).max())
        if step is not None:  # draws lie around the numbers: the fit was at rest
            centre = (scatter.draws.mean(0) - scatter.values) / scatter.draws.std(0)
            assert np.abs(centre).max() < 0.15
    assert far[0] < 2.5 and far[1] > 3.0


@pytest.mark.parametrize("late", [False, True])
def test_intervals_are_those_of_numbers_that_move_what_they_allow_for(late: bool):
    """The slope of labels is K (1 − m K Δt), m of 1/2 or 3/2: K scatters 1/(1 − 2 m K Δt) times as much."""
    K, time, found, said = 1.0, 0.12, [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(200, N, 2))
        slope = K * (1 - (1.5 if late else 0.5) * K * time)
        last, scatter = estimated(
            recorded(x, rng.normal(size=x.shape) - slope * x), named("trap"), 0, Step(time, late=late)
        )
        found.append(last.factors[0])
        said.append(scatter.draws.std())
    assert np.mean(said) == pytest.approx(np.std(found), rel=0.3)
    assert np.mean(found) == pytest.approx(-K, abs=0.03)


def test_a_kick_that_ends_next_to_another_particle_changes_little():
    data = graphs(pair=lambda d: 12 * d**-13, drag=0, trap=0, field=0)
    part = rows(data)
    hard = fit(part, form("r**(-13)"))
    v, change = np.abs(hard.predicted(part)), Step(0.02, 0.5).change(hard, part)
    assert np.isfinite(change).all() and (np.abs(change) <= v + v.mean()).all()
    assert np.abs(change).max() > v.mean()


def test_senders_whose_forces_are_unknown_are_held():
    part = stepped(LONG)
    far = part.edges.sender + len(part.nodes)
    held = Motion(**{k: v for k, v in vars(part).items() if k in Motion.__dataclass_fields__})
    object.__setattr__(held, "edges", type(part.edges)(**{**vars(part.edges), "sender": far}))
    law = fit(part, form("exp(-1.2*d)"))
    both, own = (np.abs(Step(LONG).change(law, m)).mean() for m in (part, held))
    assert 0.3 * both < own < 0.9 * both


def test_steps_that_are_long_for_a_force_are_said():
    rate, rng = 2.0, np.random.default_rng(0)
    x = rng.normal(size=(300, N, 2))
    for time in (0.01, 0.3):
        # the mean velocity of one step of a particle that relaxes in a trap
        part = recorded(x, (np.exp(-rate * time) - 1) / time * x)
        found = averaged(part, named("trap"), Step(time))[0]
        said = Step(time).told(found, part)
        assert bool(said) == (time > 0.1)
        assert abs(found.factors[0]) == pytest.approx(rate, rel=0.05 if said else 1e-3)
        if said:
            assert re.search(r"change by 6\d % along.*allow for about 3\d %", said[0])
    assert "allow for about 9" in Step(time, late=True).told(found, part)[0]
    held = Step(time, late=True).told(found, part, allowed=False)[0]  # as with hidden strengths
    assert "are off by about 9" in held and "allow" not in held
    data = graphs(pair=lambda d: np.exp(-2 * d), drag=0, trap=0, field=0)
    found = fit(rows(data), form("exp(-2*r)"))
    assert not Step(0.01).told(found, rows(data)) and Step(1.0).told(found, rows(data))
