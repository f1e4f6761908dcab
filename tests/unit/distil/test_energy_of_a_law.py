"""The potential of a distilled law, and the energy that its motion keeps."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.energy import Conserved, OutOfTime, at_most, potential
from gnn_distill.distil.law.module import LawModule
from gnn_distill.physics.variables import Columns

FARTHEST = 4.0


def central(text: str, alone: tuple[str, ...] = (), dim: int = 2) -> Law:
    law = Law.along(parse(text), dim)
    return Law(law.components, tuple(map(parse, alone)), law.radial)


@pytest.mark.parametrize(
    ("force", "expected"),
    [
        ("-2.5*m2/d**2", "-2.5*m1*m2/d"),
        ("q1*q2/(m1*r**2)", "q1*q2/r"),
        ("-2.0*(r - 1.2)/m1", "r**2 - 2.4*r - 16.0 + 9.6"),
        ("2.0*exp(-d/0.8)/m1", "1.6*exp(-d/0.8)"),
        ("1.9*q1*q2*exp(-d/0.7)*(1/d**2 + 1/(0.7*d))/m1", "1.9*q1*q2*exp(-d/0.7)/d"),
        ("24*(2*0.9**12/d**13 - 0.9**6/d**7)", "4*(0.9**12/d**12 - 0.9**6/d**6)"),
        ("-1.7*m2*d**(-1.503)", "-1.7*m1*m2/0.503*d**(-0.503)"),
        ("-1.3*m2/d", "1.3*m1*m2*log(d) - 1.3*log(4.0)*m1*m2"),
        ("0.7*size1*size2*d", "0.35*size1*size2*(16.0 - d**2)"),
        ("-1.5", "1.5*d - 6.0"),
        ("1/(r - 0.0100000002)**2", "1/d"),
        ("3.0*Max(0, 1.3 - d)/m1", "1.5*Max(0, 1.3 - d)**2"),
        ("3.0*Max(0, 1.3 - d)**1.5", "1.2*Max(0, 1.3 - d)**2.5"),
        (
            "0.7*(1 - ((1.9 - Max(0, 1.9 - d))/1.9)**2)",
            "0.7*(1.9*2/3 - (1.9 - Max(0, 1.9 - d)) + (1.9 - Max(0, 1.9 - d))**3/(3*1.9**2))",
        ),
    ],
)
def test_the_potential_is_known_in_closed_form(force: str, expected: str):
    found = potential(central(force), FARTHEST)
    assert found is not None and parse(write(found)) == found
    names = sorted({str(s) for s in found.free_symbols | parse(expected).free_symbols})
    columns = dict(zip(names, np.random.default_rng(1).uniform(0.4, 3.0, (len(names), 50)), strict=True))
    assert at(found, columns, 50) == pytest.approx(at(parse(expected), columns, 50), rel=1e-6)


@pytest.mark.parametrize(
    "law",
    [
        central("m2*q1/d"),  # no third law
        central("exp(-w)/d"),
        central("exp(-d)*x1"),
        central("1 + Max(0, 1.3 - d)"),  # does not end with its ramp
        central("d*Max(0, 1.3 - d)**Max(0, 1 - d)"),
        Law(tuple(map(parse, ("-wx/d", "-wy/d")))),
        Law(tuple(map(parse, ("dx/d", "2.0*dy/d")))),
        Law(tuple(map(parse, ("dx/d", "dy/d"))), order=1),
        Law(tuple(map(parse, ("0", "0")))),
    ],
)
def test_no_potential_where_there_is_none(law: Law):
    assert potential(law) is None


def test_components_that_share_a_factor_are_central():
    law = Law(tuple(map(parse, ("-2.0*(r - 1.0)*dx/(m1*(r - 0.01))", "-2.0*(r - 1.0)*dy/(m1*(r - 0.01))"))))
    found, same = potential(law, 2.0), potential(central("-2.0*(r - 1.0)/m1"), 2.01)
    assert found is not None and same is not None
    d = np.linspace(0.2, 3, 20)
    assert at(found, {"d": d}, 20) == pytest.approx(at(same, {"r": d + 0.01}, 20), rel=1e-9)


def test_a_hard_potential_costs_no_more_than_was_given():
    start = time.process_time()
    with pytest.raises(OutOfTime), at_most(0.2):
        while True:
            pass
    assert time.process_time() - start < 2
    with at_most(10):
        assert sum(range(10)) == 45
    told: list[str | None] = []
    law = central("-m2/d**2")
    thread = threading.Thread(target=lambda: told.append(None if potential(law) is None else "found"))
    thread.start()
    thread.join()
    assert told == [None]  # a thread cannot be broken off, so nothing is begun there


def course(law: Law, columns: Columns, first: Array, until: float = 3.0) -> Array:
    """Features [1, T, n, F] along the motion under a law from features [n, F]."""
    module = LawModule.from_law(law.to_dict() | {"further": columns.further, "box": columns.box})
    half, dim = first[:, : columns.dim].size, columns.dim

    def features(y: Array) -> Array:
        parts = y[:half].reshape(-1, dim), y[half:].reshape(-1, dim), first[:, columns.constant]
        return np.concatenate(parts, axis=-1)

    def change(_: float, y: Array) -> Array:
        with torch.no_grad():
            a = module(torch.from_numpy(features(y))[None])[0]
        return np.concatenate([y[half:], a.numpy().ravel()])

    start = np.concatenate([first[:, :dim].ravel(), first[:, dim : 2 * dim].ravel()])
    times = np.linspace(0, until, 30)
    solved = solve_ivp(change, (0, until), start, "DOP853", times, rtol=1e-10, atol=1e-10)
    return np.stack([features(y) for y in solved.y.T])[None]


def particles(columns: Columns, n: int = 4) -> Array:
    rng = np.random.default_rng(3)
    x = rng.uniform(-1.5, 1.5, (n, columns.count))
    x[:, columns.constant] = rng.uniform(0.5, 2.0, x[:, columns.constant].shape)
    return x


@pytest.mark.parametrize(
    ("law", "columns"),
    [
        (central("2.0*exp(-d/0.8)*size1*size2/m1", ("-0.5*x/m1", "-0.8*y/m1")), Columns(2, ("size",))),
        (central("exp(-1.3*d)/d*m2", ("-x + 1.5*q1*vy/m1", "-y - 1.5*q1*vx/m1")), Columns(2)),
        (central("-m2/r**2*exp(-m1*m2*r)", ("0", "-9.81", "0"), 3), Columns(3)),
        (central("0.3/d**2", ()), Columns(2, box=(2.0, 3.0))),
        (
            central("3*Max(0, 1.3 - d)", ("-7*Max(0, x - 0.9) + 9*Max(0, -x - 1.1)", "5*Max(0, -y) - 2")),
            Columns(2),
        ),
    ],
    ids=["trap", "magnetic", "gravity, not a product", "box", "contact between walls"],
)
def test_motion_under_a_law_keeps_its_energy(law: Law, columns: Columns):
    conserved = Conserved.of(law, columns)
    assert conserved is not None
    x = course(law, columns, particles(columns))
    pairs = np.nonzero(np.triu(np.ones((4, 4)), 1))
    scale = conserved.kinetic(x).max()
    assert conserved.drift(x, pairs).max() / scale < 1e-6
    weaker = x.copy()
    weaker[..., columns.velocity] *= np.linspace(1, 0.9, 30)[:, None, None]
    assert conserved.drift(weaker, pairs).max() / scale > 1e-3


@pytest.mark.parametrize(
    "law",
    [
        central("1/d", ("-0.1*vx", "-0.1*vy")),
        central("1/d", ("-y", "x")),  # a whirl does work
        central("1/d", ("1.5*vy", "-1.4*vx")),
        central("m2*q1/d"),
        Law(tuple(map(parse, ("-wx", "-wy")))),
        central("s1*s2/d"),  # of individuals, which no column holds
        central("kind_A1*kind_A2/d"),
    ],
)
def test_no_energy_where_it_is_not_kept(law: Law):
    assert Conserved.of(law, Columns(2)) is None
