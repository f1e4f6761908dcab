"""Known pair laws are called by their names, with their constants; what is not on the list is not claimed."""

import re

import numpy as np
import pytest
import sympy

from gnn_distill import distill
from gnn_distill.distil.engines.forms import FormsEngine, _model, _Problem, guesses
from gnn_distill.distil.engines.textbook import KNOWN
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points, trim
from gnn_distill.errors import InputError

NAMES = ("r", "m1", "m2", "q1", "q2")


def planted(text, noise=0.03, nearest=0.3, count=1500):
    """Inputs [S, 5] and contributions [S] of a law, each with an error of its own."""
    rng = np.random.default_rng(3)
    r = np.exp(rng.uniform(np.log(nearest), np.log(4.0), count))
    charges = rng.choice([-1.0, 1.0], (count, 2)) * [[1.0, 0.0]] + rng.uniform(-2, 2, (count, 2)) * [
        [0.0, 1.0]
    ]
    X = np.column_stack([r, np.exp(rng.normal(size=(count, 2)) / 2), charges])
    truth = evaluate(parse(text, NAMES), X, NAMES)
    return X, truth * (1 + noise * rng.normal(size=count)), truth


def search(X, y, names=NAMES, **more):
    """The front, and the line that names the best form."""
    said: list[str] = []
    front = FormsEngine(more=more).fit(X, y, names, seed=0, progress=said.append)
    return front, said[-1]


LAWS = {
    "Morse": ("3.1*(exp(-3.4*(r - 1.2)) - exp(-1.7*(r - 1.2)))/m1", {"λ": 1 / 1.7, "r₀": 1.2, "A": 3.1}),
    "Lennard-Jones": ("2.4*(2*(1.1/r)**12 - (1.1/r)**6)/r", {"σ": 1.1, "A": 2.4}),
    "screened Coulomb (Yukawa)": (
        "2.9*q1*q2*exp(-r/1.3)*(1/r**2 + 1/(1.3*r))/m1",
        {"λ": 1.3, "A": 2.9},
    ),
    "power law": ("-2.2*m2/r**1.5", {"n": 1.5, "A": -2.2}),
    "exponential": ("1.9*exp(-r/0.8)", {"λ": 0.8, "A": 1.9}),
    "Gaussian": ("-2.6*m2**2*exp(-r**2/(2*0.9**2))", {"σ": 0.9, "A": -2.6}),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_known_law_is_found_with_its_constants_and_its_name(name: str):
    text, constants = LAWS[name]
    X, y, truth = planted(text, nearest=0.95 if name == "Lennard-Jones" else 0.3)
    front, line = search(X, y)
    assert line.startswith(f"{name}, ")
    told = {letter: float(value) for letter, value in re.findall(r"(\S+) = (-?[\d.]+)", line)}
    assert told == pytest.approx(constants, rel=0.05)
    expected = {str(s) for s in parse(text, NAMES).free_symbols}
    assert {str(s) for s in front.best.expression.free_symbols} == expected
    error = np.abs(evaluate(front.best.expression, X, NAMES) - truth).mean()
    assert error < 0.02 * np.abs(truth).mean()


def test_a_law_that_is_not_on_the_list_is_not_claimed():
    X, y, truth = planted("2*m2*(exp(2*r) - 1)/((exp(2*r) + 1)*r**2)", noise=0.003)  # tanh(r)/r²
    front, _ = search(X, y)
    assert front.equations[-1].loss > 3 * np.abs(y - truth).mean()


def test_a_form_of_the_users_own_joins_the_list():
    X, y, _ = planted("1.7*r**2*exp(-r/0.6)/m1", noise=0.01)
    front, line = search(X, y, ours="r**2*exp(-r/L)")
    assert re.match(r"ours, λ = (0.6|0.59\d*|0.60\d*), A = 1.[67]\d*; × 1/m1 ", line)
    assert front.best.loss < 0.3 * search(X, y)[0].equations[-1].loss


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"mine": "A*exp(-r/Q)"}, r"symbolic.engine.more.mine = 'Q'.*L s R lengths"),
        ({"mine": "A*exp(-r/"}, r"symbolic.engine.more.mine = .*write arithmetic"),
        ({"mine": "exp(-A*r)"}, r"symbolic.engine.more.mine = 'exp\(-A\*r\)'.*factors"),
        ({"mine": "A/r + 2"}, r"symbolic.engine.more.mine.*factors"),
        ({"mine": "A*L"}, r"symbolic.engine.more.mine.*use r"),
        ({"mine": 3}, r"symbolic.engine.more.mine = 3.*expression such as"),
        ("A/r", r"symbolic.engine.more = 'A/r'.*by name"),
    ],
)
def test_a_bad_form_is_named_with_what_to_do(more, told: str):
    with pytest.raises(InputError, match=told):
        FormsEngine(more=more)


def test_components_and_further_columns_are_fitted_as_well():
    rng = np.random.default_rng(0)
    delta = rng.normal(size=(1500, 2))
    d, size = np.linalg.norm(delta, axis=1), rng.uniform(0.5, 2, (1500, 2))
    X, names = np.column_stack([delta, d + 0.01, size]), ("dx", "dy", "r", "size1", "size2")
    f = -1.4 * size[:, 1] ** 2 * np.sqrt(size[:, 0]) * np.exp(-(d + 0.01) / 0.7)
    values = f[:, None] * delta / d[:, None] * (1 + 0.03 * rng.normal(size=(1500, 2)))
    found = distill(X, values, names, engine=FormsEngine())
    assert found.found.joint is not None
    radial = found.found.joint.front.best.expression
    law = found.law
    assert law is not None
    alone, line = search(X, values[:, 1], names)
    for expression in (
        radial * sympy.Symbol("dy") / sympy.Symbol("r"),
        law.components[1],
        alone.best.expression,
    ):
        error = evaluate(expression, X, names) - f * delta[:, 1] / d
        assert np.abs(error).mean() < 0.03 * np.abs(f).mean()
        assert {"size1", "size2", "dy"} <= {str(s) for s in expression.free_symbols}
    assert re.match(r"exponential, λ = 0.(69|7)\d*, A = -1.[34]\d*; × size1\*\*0.5\*size2\*\*2 ", line)


def test_every_form_of_the_list_has_a_name_a_source_and_can_be_fitted():
    assert len({form.name for form in KNOWN}) == len(KNOWN)
    for form in KNOWN:
        assert form.source and _model(form).terms


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_force_of_few_pairs_is_no_outlier(noise: float):
    rng = np.random.default_rng(0)
    r = rng.uniform(0.6, 13.0, 5000)  # one in twenty touches
    m = np.exp(rng.normal(size=r.size))
    y = 4.5 * np.maximum(0, 1.22 - r) ** 1.5 / m + noise * rng.normal(size=r.size)
    points = Points(np.column_stack([r, m]), y, np.ones(r.size), ("r", "m1"))
    kept = trim(points)
    assert (kept.X[:, 0] < 1.2).mean() > 0.4
    found = next(g for g in guesses(kept) if g.name == "Hertz contact")
    assert str(found.terms[0]) == "Max(0, R - r)**1.5/m1" and found.constants["R"] == pytest.approx(
        1.22, abs=0.01
    )
    far = Points(points.X, 1.0 / r**2, points.weights, points.names)
    assert len(trim(far).y) > 0.9 * len(far.y)
    spiked = Points(far.X, np.append(1 / (1 + r[1:]), 1e9), far.weights, far.names)
    assert len(trim(spiked).y) > 0.9 * len(far.y)
    assert len(trim(points, 0.0, 0.0).y) == len(points.y)


def test_of_a_charge_that_brings_no_sign_the_size_counts():
    X, y, _ = planted("3.5*Max(0, 2.1 - r)**1.5/m1")
    problem = _Problem.of(Points(X, y, np.ones(len(y)), NAMES))
    assert problem.signed == ()
    powers = [sympy.Float(p) for p in (-1.0, 0.0, 0.01, -0.02)]  # as noise may leave them
    assert np.isfinite(evaluate(problem.product(powers), X, NAMES)).all()
