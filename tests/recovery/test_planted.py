"""Laws planted in samples like those of the simulations must come back out."""

import numpy as np
import pytest
import sympy

from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.verdict.judge import data_ranges, judge
from gnn_distill.physics.laws import Coulomb, InverseDistance, InverseSquare, Spring

NAMES = ("dx", "dy", "r", "m1", "m2", "q1", "q2")
LAWS = [Spring(), InverseDistance(), InverseSquare(), Coulomb()]
PARTICLES = 4


def edges(law, rng, count=3000):
    """Edges of snapshots of four drifting particles: variables [S, 7] and pair forces [S, 2]."""
    graphs = count // (PARTICLES * (PARTICLES - 1)) + 1
    time = rng.uniform(0, 3, (graphs, 1, 1))
    positions = rng.normal(size=(graphs, PARTICLES, 2)) + time * rng.normal(size=(graphs, PARTICLES, 2))
    mass, charge = np.exp(rng.normal(size=(graphs, PARTICLES))), rng.normal(size=(graphs, PARTICLES))
    charge = np.sign(charge) if law.charges == "sign" else charge
    receiver, sender = np.nonzero(~np.eye(PARTICLES, dtype=bool))
    delta = (positions[:, receiver] - positions[:, sender]).reshape(-1, 2)
    pairs = [v[:, i].ravel() for v in (mass, charge) for i in (receiver, sender)]
    force = law.pair_force(delta, *pairs)
    X = np.column_stack([delta, np.linalg.norm(delta, axis=1) + 0.01, *pairs])
    return X[:count], force[:count]


def planted(law, target, noisy, seed):
    """Variables [S, 7] and two components [S, 2] of accelerations or of a message."""
    rng = np.random.default_rng(seed)
    X, force = edges(law, rng)
    values = force / X[:, [3]]
    if target == "components":
        angle = rng.uniform(0, np.pi)
        mix = np.array([[np.cos(angle), np.sin(angle)], [-0.7 * np.sin(angle), 1.4 * np.cos(angle)]])
        values = values @ mix.T / np.median(np.abs(values)) + rng.normal(size=2)
    if noisy:
        values = values * (1 + 0.03 * rng.normal(size=values.shape))
        near = np.argsort(X[:, 2])[: len(X) // 10]
        wild = rng.choice(near, len(X) // 20, replace=False)
        values[wild] *= 1 + rng.normal(size=(len(wild), 2))
    return X, values


def recover(engine, law, target, noisy, seed):
    X, values = planted(law, target, noisy, seed)
    fronts = [engine.fit(X, values[:, k], NAMES, seed=seed) for k in range(2)]
    return judge(fronts, law, NAMES, dim=2, target=target, ranges=data_ranges(X, NAMES))


def test_spring_comes_back_from_a_short_search():
    engine = OperonEngine(restarts=2, generations=150)
    for verdict in recover(engine, Spring(), "pullback", True, 0):
        assert verdict.recovered, verdict.reason
        assert verdict.constants["rest_length"] == pytest.approx(1.0, abs=0.02)


def test_the_wrong_law_is_not_found_in_noise():
    rng = np.random.default_rng(0)
    X, _ = edges(Spring(), rng)
    engine = OperonEngine(restarts=1, generations=30, functions=())
    front = engine.fit(X, rng.normal(size=len(X)), NAMES, seed=0)
    (verdict,) = judge([front], Spring(), NAMES, dim=2, target="components")
    assert not verdict.recovered


def test_the_same_seed_gives_the_same_front():
    X, values = planted(InverseDistance(), "pullback", True, 0)
    engine = OperonEngine(restarts=1, generations=30, functions=())
    first, second = (engine.fit(X, values[:, 0], NAMES, seed=3) for _ in range(2))
    assert first == second


def test_progress_is_reported():
    X, values = planted(Spring(), "pullback", False, 0)
    lines: list[str] = []
    OperonEngine(restarts=2, generations=5, functions=()).fit(
        X, values[:, 0], NAMES, seed=0, progress=lines.append
    )
    assert len(lines) == 3 and "1 of at most 2" in lines[0] and "loss" in lines[-1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("noisy", [False, True], ids=["clean", "noisy"])
@pytest.mark.parametrize("target", ["pullback", "components"])
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_planted_law_is_recovered(law, target, noisy):
    for verdict in recover(OperonEngine(), law, target, noisy, seed=1):
        assert verdict.recovered, verdict.reason


@pytest.mark.slow
def test_second_pass_finds_what_arithmetic_cannot():
    X, _ = edges(Spring(), np.random.default_rng(0))
    y = 3.0 * np.exp(-2.0 * X[:, 2]) * X[:, 4] + 0.5
    front = OperonEngine(restarts=1).fit(X, y, NAMES, seed=0)
    assert front.equations[front.choice].expression.has(sympy.exp)
    assert front.equations[-1].loss < 1e-3 * np.abs(y - np.median(y)).mean()


@pytest.mark.slow
def test_a_swapped_law_is_refused():
    X, values = planted(InverseSquare(), "pullback", False, 1)
    fronts = [OperonEngine().fit(X, values[:, k], NAMES, seed=1) for k in range(2)]
    for wrong in (InverseDistance(), Coulomb(), Spring()):
        verdicts = judge(fronts, wrong, NAMES, dim=2, target="pullback", ranges=data_ranges(X, NAMES))
        assert not any(v.recovered for v in verdicts)
