"""A law of functions counts as the true one only if all its parts have the true form, and no other does."""

import numpy as np
import pytest

from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.verdict.functions import judge_functions, whole_verdict
from gnn_distill.physics.equation import Equation
from gnn_distill.physics.laws import Coulomb, Damped, ForceLaw, InverseSquare, Spring, String
from gnn_distill.physics.variables import Columns
from gnn_distill.read.recording import Edges

COUNT = 3000
TEXT = Equation(None, "2*exp(-d)", "-0.3/(1+d^2)", ("-0.8*x + 0.2*vy", "-0.8*y - 0.2*vx"))
RIGHT = {"u": "1.98*exp(-1.01*d)/m1", "w": "-0.301/(m1*(0.99 + d**2))"}
FIELD = ["-0.81*x + 0.2*vy", "-0.8*y - 0.19*vx"]


def judged(
    law: ForceLaw, functions: dict[str, str], one_body: list[str], softening: float = 0.01, spread=1.0
):
    rng = np.random.default_rng(0)
    delta, w = rng.normal(size=(2, COUNT, 2)) * [[[2.0]], [[1.0]]]
    masses = np.exp(spread * rng.normal(size=(2, COUNT)))
    known = {"m1": masses[0], "m2": masses[1]} | {q: rng.choice([-1.0, 1.0], COUNT) for q in ("q1", "q2")}
    d = np.linalg.norm(delta, axis=1)
    edges = Edges(Columns(2, softening=softening), delta, w, d + softening, known, np.zeros(COUNT, int), None)
    own = {name: rng.normal(size=COUNT) for name in ("x", "y", "vx", "vy", "q1")} | {"m1": masses[0]}
    found = {key: parse(text) for key, text in functions.items()}
    return judge_functions(found, [parse(text) for text in one_body], law, edges, own, size=1.0)


@pytest.mark.parametrize(
    ("law", "functions", "one_body"),
    [
        (Spring(), {"u": "-1.99*(r - 1.01)/m1"}, []),
        (Spring(), {"u": "-1.99*(r - 1.01)/m1"}, ["0.001*x", "0"]),
        (InverseSquare(), {"u": "-1.02*m2/r**2"}, []),
        (Coulomb(), {"u": "0.97*q1*q2/(m1*r**2)"}, []),
        (Damped(), {"u": "-1.99*(r - 1.01)/m1"}, ["-0.97*vx/m1", "-1.02*vy/m1"]),
        (String(), {"u": "-2.0*(r - 0.99)/m1"}, ["0", "-1.01"]),
    ],
)
def test_laws_of_classes_are_recovered_with_other_constants(law, functions, one_body):
    assert whole_verdict(judged(law, functions, one_body))["recovered"]


def test_laws_in_text_are_recovered_with_other_constants():
    verdicts = judged(TEXT, RIGHT, FIELD, softening=0.0)
    assert set(verdicts) == {"u", "w", "one_body"} and all(v.recovered for v in verdicts.values())
    assert "1.98 for 2" in verdicts["u"].reason and "-1.01 for -1" in verdicts["u"].reason


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("u", "1.98*exp(-0.4*d**2)/m1"),  # another form
        ("u", "1.98*exp(-d)"),  # of another power of the mass
        ("u", "5.0*exp(-d)/m1"),  # a constant that is off by more than a factor of two
        ("u", "-2.0*exp(-d)/m1"),  # the other sign
        ("u", "2.0*exp(-d)/m1 + 0.02/d"),  # something beside
        ("w", "-0.2/(m1*d)"),
        ("t", "0.1/d"),  # a part that there is not
    ],
)
def test_near_misses_are_refused(part, text):
    verdicts = judged(TEXT, RIGHT | {part: text}, FIELD, softening=0.0)
    assert {key for key, v in verdicts.items() if not v.recovered} == {part}
    assert not whole_verdict(verdicts)["recovered"]


@pytest.mark.parametrize(
    "one_body",
    [[], ["-0.8*x", "-0.8*y"], ["-0.8*x + 0.2*vy", "-0.8*y + 0.2*vx"], [f"{e} + 0.02" for e in FIELD],
     ["-2.0*x + 0.2*vy", "-0.8*y - 0.2*vx"]],
)  # fmt: skip
def test_so_are_those_of_what_acts_on_one_particle(one_body):
    verdicts = judged(TEXT, RIGHT, one_body, softening=0.0)
    assert {key for key, v in verdicts.items() if not v.recovered} == {"one_body"}


def test_a_field_where_there_is_none_is_refused():
    assert not judged(Spring(), {"u": "-2*(r - 1)/m1"}, ["-0.1*x", "-0.1*y"])["one_body"].recovered


@pytest.mark.parametrize(("power", "expected"), [(1.52, True), (1.2, False), (2, False)])
def test_exponents_hardly_move(power, expected):
    law = Equation(along_distance="-1.5*d^(-1.5)", dynamics="first_order")
    assert judged(law, {"u": f"-1.4*d**(-{power})"}, [], 0.0)["u"].recovered is expected
    assert not judged(InverseSquare(), {"u": "-m2/r**1.9"}, [])["u"].recovered


def test_what_the_data_speak_against_is_not_recovered():
    verdict = whole_verdict(judged(TEXT, RIGHT, FIELD, softening=0.0), "No law yet: the network is better.")
    assert not verdict["recovered"] and "No law yet" in verdict["parts"]["u"]["reason"]


def test_nothing_found_is_nothing_recovered():
    verdicts = judged(TEXT, {}, [], softening=0.0)
    assert set(verdicts) == {"u", "w", "one_body"} and not any(v.recovered for v in verdicts.values())
