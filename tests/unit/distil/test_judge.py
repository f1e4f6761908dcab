import json
from dataclasses import dataclass

import numpy as np
import pytest

from gnn_distill.distil.expressions.front import Front, complexity
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.verdict import family
from gnn_distill.distil.verdict.family import constant_inputs, force_scale, fresh_points
from gnn_distill.distil.verdict.judge import data_ranges, judge, judge_equation
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import (
    Coulomb,
    Discontinuous,
    ForceLaw,
    InverseDistance,
    InverseSquare,
    Spring,
    Superposition,
)

NAMES = ("dx", "dy", "r", "m1", "m2", "q1", "q2")
LAWS = {law.name: law for law in (Spring(), InverseDistance(), InverseSquare(), Coulomb(), Superposition())}

NEAR_MISSES = [
    # law, target, equation
    ("spring", "pullback", "-2*dx/m1"),
    ("spring", "pullback", "-2*dx*(r-1)/r"),
    ("spring", "pullback", "-2*dx*(r-1)/m1"),
    ("spring", "pullback", "-2*(r-1)/m1"),
    ("spring", "pullback", "-2*dx*(r-3)/(r*m1)"),
    ("spring", "pullback", "-2*dx*(r-0.3)/(r*m1)"),
    ("spring", "pullback", "2*dx*(r-1)/(r*m1)"),
    ("spring", "pullback", "-2*dy*(r-1)/(r*m1)"),
    ("spring", "pullback", "-2*(dx + 0.05*dy)*(r-1)/(r*m1)"),
    ("spring", "pullback", "-2*dx*(r-1)/(r*m2)"),
    ("spring", "pullback", "-2*dx*(r-1)/(r*sqrt(m1))"),
    ("spring", "pullback", "-2*dx*(r-1)/(r*m1) + 0.05*dx"),
    ("spring", "pullback", "-2*dx*log(r)/m1"),
    ("spring", "components", "dx*(r-1)**2/r"),
    ("spring", "components", "dx - 1"),
    ("spring", "components", "dx*(r**2-1)/r"),
    ("spring", "components", "(dx + 0.4*dy)*(r-1)/r + 0.02*m1"),
    ("spring", "components", "dx*(r-1)/r + dy"),
    ("r1", "pullback", "-m2*dx/r"),
    ("r1", "pullback", "-m2*dx/r**1.9"),
    ("r1", "pullback", "-m1*m2*dx/r**2"),
    ("r1", "pullback", "-dx/r**2"),
    ("r1", "pullback", "-m2*dx*exp(-0.05*r)/r**2"),
    ("r1", "components", "m2**0.9*dx/r**2"),
    ("r1", "components", "(m1+m2)*dx/r**2"),
    ("r1", "components", "m2*dx/r**2 + 0.001*q1"),
    ("r2", "pullback", "-m2*dx/r**2.5"),
    ("r2", "pullback", "-m2*dx/r**2"),
    ("r2", "pullback", "-m2*dx/r**3.1"),
    ("r2", "pullback", "-m2*dx/(r**3 + 0.1)"),
    ("r2", "pullback", "-m2*dx/(r**2 + 0.05)**1.5"),
    ("r2", "pullback", "-(m1+m2)*dx/r**3"),
    ("r2", "pullback", "-m2*dx/r**3 - 0.01*dx"),
    ("r2", "pullback", "-m2*dx/(r+0.2)**3"),
    ("r2", "pullback", "m2*dx/r**3"),
    ("r2", "pullback", "-m2*dx/(r**3 - 1.0)"),
    ("r2", "components", "m2*dx/r**2.5"),
    ("r2", "components", "(m2 + 0.1)*dx/r**3"),
    ("r2", "components", "m2*(dx/r**3 + 0.2*dy/r**2)"),
    ("r2", "components", "m2/r**2"),
    ("charge", "pullback", "q1*dx/(r**3*m1)"),
    ("charge", "pullback", "q2*dx/(r**3*m1)"),
    ("charge", "pullback", "-q1*q2*dx/(r**3*m1)"),
    ("charge", "pullback", "q1*q2**2*dx/(r**3*m1)"),
    ("charge", "pullback", "q1*q2*dx/r**3"),
    ("charge", "components", "q2*dx/r**3"),
    ("charge", "components", "q1*q2*dx/r**2"),
    ("charge", "components", "(q1+q2)*dx/r**3"),
    ("charge", "components", "m2*q1*q2*dx/r**3"),
    ("charge", "components", "dx/r**3"),
    ("charge", "components", "0.3"),
    ("superposition", "pullback", "(q1*q2 - 3*m1*m2)*dx/(m1*r**3)"),
    ("superposition", "pullback", "(q1*q2 + m1*m2)*dx/(m1*r**3)"),
    ("superposition", "pullback", "-m2*dx/r**3"),
    ("superposition", "components", "q1*q2*dx/r**3"),
]

DISGUISES = [
    ("spring", "pullback", "-2*dx*(r-1)/(r*m1)"),
    ("spring", "pullback", "2*dx/(r*m1) - 2*dx/m1"),
    ("spring", "pullback", "(2/r - 2)*dx/m1"),
    ("spring", "pullback", "-1.94*dx*(r-1.03)/(r*m1) + 0.01"),
    ("spring", "pullback", "-2*dx*(r-1)/((r-0.01)*m1)"),
    ("spring", "pullback", "(dx - r*dx)/(0.5*r*m1)"),
    ("spring", "pullback", "-2*(dx + 0.01*dy)*(r-1)/(r*m1)"),
    ("spring", "pullback", "-2*dx*(r-1)*inv(r)*inv(m1)"),
    ("spring", "components", "(0.3*dx - 1.7*dy)*(r-1)/r + 4"),
    ("spring", "components", "0.3*dx - 0.3*dx/r - 1.7*dy + 1.7*dy/r"),
    ("spring", "components", "dx*(1 - inv(r))/sqrt(m1)"),
    ("spring", "components", "dx*(r-0.98)/(r*m1**0.43)"),
    ("spring", "components", "dy*(r-1)/(r+0.02)"),
    ("r1", "pullback", "-m2*dx/r**2"),
    ("r1", "pullback", "-m2*m1*dx/(r*r*m1)"),
    ("r1", "pullback", "-m2*dx/(r*(r-0.01))"),
    ("r1", "pullback", "-exp(log(m2) - 2*log(r))*dx"),
    ("r1", "pullback", "-m2*(2*dx - dx)/r**2 - 3"),
    ("r1", "components", "m2*(0.2*dx + dy)/r**2"),
    ("r1", "components", "m1*m2*dx/r**2"),
    ("r1", "components", "m2*sqrt(m1)*(dx - dy)/r**2 + 1"),
    ("r1", "components", "0.3*m2*dx/r**2 + 0.7*m2*dy/r**2"),
    ("r2", "pullback", "-m2*dx/r**3"),
    ("r2", "pullback", "-m2*dx*r**-3.0"),
    ("r2", "pullback", "-1.03*m2*dx/r**3 + 0.2"),
    ("r2", "pullback", "-m2*dx/(r**2*(r-0.01))"),
    ("r2", "pullback", "-m2*dx/(r+0.005)**3"),
    ("r2", "pullback", "-m2*(dx/r)/(r*r)"),
    ("r2", "pullback", "-m2*dx/(0.000001 + r**3)"),
    ("r2", "components", "m2*(dx*2 + dy*3)/r**3 - 7"),
    ("r2", "components", "0.02*m2*dx*m1**-0.31/r**3"),
    ("r2", "components", "m1*m2*dy/(r+0.03)**3"),
    ("charge", "pullback", "q1*q2*dx/(r**3*m1)"),
    ("charge", "pullback", "q1*dx/(q2*r**3*m1)"),
    ("charge", "pullback", "q2*dx/(q1*r**3*m1)"),
    ("charge", "pullback", "dx/(q1*q2*m1*r**3)"),
    ("charge", "pullback", "q1**3*q2*dx/(m1*r**3)"),
    ("charge", "pullback", "0.98*q1*q2*dx/(m1*r**2*(r-0.01))"),
    ("charge", "components", "q1*q2*(dx - 0.3*dy)/r**3"),
    ("charge", "components", "q2/q1*(dx - 0.3*dy)/(r**3*m1) - 1"),
    ("charge", "components", "q1*q2*dy/(r-0.02)**3"),
    ("charge", "components", "(q1+q2)**2*dx/r**3 - 2*dx/r**3"),
    ("superposition", "pullback", "(q1*q2 - m1*m2)*dx/(m1*r**3)"),
    ("superposition", "pullback", "0.98*q1*q2*dx/(m1*r**3) - 1.01*m2*dx/r**3"),
    ("superposition", "components", "(q1/q2 - 0.97*m1*m2)*(dx + 2*dy)/r**3 + 1"),
]


def verdict_on(law, target, text, dim=2, names=NAMES):
    fresh = fresh_points(law, dim, {})
    return judge_equation(parse(text, names), law, names, fresh, 0 if target == "pullback" else None)


@pytest.mark.parametrize(("law", "target", "text"), NEAR_MISSES)
def test_near_miss_is_refused(law, target, text):
    verdict = verdict_on(LAWS[law], target, text)
    assert not verdict.recovered and not verdict.symbolic
    assert len(verdict.reason) > 20


@pytest.mark.parametrize(("law", "target", "text"), DISGUISES)
def test_disguised_law_is_recovered(law, target, text):
    verdict = verdict_on(LAWS[law], target, text)
    assert verdict.recovered, verdict.reason
    assert verdict.r2 > 0.99999


def front(*texts, losses=None, names=NAMES):
    losses = losses or [2.0**-k for k in range(len(texts))]
    expressions = [parse(t, names) for t in texts]
    return Front.from_rated([(complexity(e), v, e) for e, v in zip(expressions, losses, strict=True)], names)


def marks(law, *texts):
    return [v.marks for v in judge([front(t) for t in texts], law, NAMES, dim=2, target="components")]


def test_marks_of_the_published_table():
    law = InverseSquare()
    assert marks(law, "m2*(dx+dy)/r**3", "m2*(dx-dy)/r**3") == ["", ""]
    assert marks(law, "m2*dx/r**3", "m2*(dx-dy)/r**3") == ["§", ""]
    assert marks(law, "m2*dx/r**3", "2*m2*dx/r**3") == ["†", "†"]
    assert marks(law, "m2*dx/r**3", "m2*dy/r**3") == ["‡", "‡"]
    assert marks(law, "m2*dx/(r+0.03)**3", "m2*dy/r**3") == ["*‡", "‡"]
    assert marks(law, "m2*dx/r**3", "m2*dy/r**2") == ["§", ""]


def test_constants_are_those_of_the_equation():
    verdict = verdict_on(Spring(), "components", "(0.6*dx - 3.0*dy)*(r-1.1)/(r*m1**0.5) + 2")
    constants = verdict.constants
    assert constants["a_dx"] == pytest.approx(-0.3, rel=1e-4)
    assert constants["a_dy"] == pytest.approx(1.5, rel=1e-4)
    assert constants["b"] == pytest.approx(2.0, rel=1e-4)
    assert constants["mass_power"] == pytest.approx(0.5, abs=1e-4)
    assert constants["rest_length"] == pytest.approx(1.1, abs=1e-4)


def test_an_r2_below_one_never_reads_as_one():
    reason = verdict_on(Spring(), "pullback", "-2*dx*(r-1)/(r*m1) + 1e-5*dx").reason
    assert "1 − R² = " in reason and "1.000000" not in reason
    assert "; the same function on fresh" in verdict_on(Spring(), "pullback", "-2*dx*(r-1)/(r*m1)").reason
    assert "; R² = 0.98" in verdict_on(Spring(), "pullback", "-2*dx*(r-1)/(r*m1) + 0.05*dx").reason


def test_shift_inside_r_is_reported():
    verdict = verdict_on(InverseSquare(), "pullback", "-m2*dx/((r+0.03)*r**2)")
    assert verdict.marks == "*"
    assert verdict.constants["eps1"] == pytest.approx(0.03, abs=2e-3)
    assert verdict.constants["eps2"] == pytest.approx(0.0, abs=2e-3)


def test_algebra_confirms_rational_equations():
    assert verdict_on(Spring(), "pullback", "2*dx/(r*m1) - 2*dx/m1").symbolic
    assert verdict_on(Coulomb(), "pullback", "dx/(q1*q2*m1*r**3)").symbolic
    beyond = verdict_on(InverseDistance(), "pullback", "-m2*dx/sqrt(r**4)")
    assert beyond.recovered and not beyond.symbolic


def test_what_sympy_cannot_put_together_is_judged_by_numbers_alone(monkeypatch):
    def fails(expression):
        raise OverflowError("too many digits in integer")

    monkeypatch.setattr(family.sympy, "together", fails)
    verdict = verdict_on(Spring(), "pullback", "2*dx/(r*m1) - 2*dx/m1")
    assert verdict.recovered and not verdict.symbolic


def test_each_axis_must_be_its_own():
    right = [front("-2*dx*(r-1)/(r*m1)"), front("-2*dy*(r-1)/(r*m1)")]
    law = Spring()
    assert all(v.recovered for v in judge(right, law, NAMES, dim=2, target="pullback"))
    swapped = judge(right[::-1], law, NAMES, dim=2, target="pullback")
    assert not any(v.recovered for v in swapped)
    assert "component x must not depend on dy" in swapped[0].reason


def test_the_equation_named_is_simple_but_fits_like_the_best():
    candidates = front(
        "m2*dx/r**3", "m2*(dx+0.5*dy)/r**3", "m2*(1.1*dx+0.5*dy)/r**3 + 0.01", losses=[1.0, 0.1, 0.099]
    )
    (verdict,) = judge([candidates], InverseSquare(), NAMES, dim=2, target="components")
    assert verdict.equation == 1 and verdict.marks == ""


def test_the_law_is_found_beyond_the_end_that_overfits():
    candidates = front(
        "dx", "-2*dx*(r-1)/(r*m1)", "-2*dx*(r-1)/(r*m1) + 0.001*dx*m2", losses=[1.0, 0.1, 0.09]
    )
    law = Spring(rest_length=1.0)
    fronts = [candidates, front("-2*dy*(r-1)/(r*m1)")]
    assert judge(fronts, law, NAMES, dim=2, target="pullback")[0].equation == 1


def test_a_poor_fit_of_the_right_form_is_not_a_recovery():
    rivals = ["0.1*dx", "m2*dx/r**2", "m2*dx/r**3"]
    verdicts = [
        judge([front(*rivals, losses=losses)], InverseDistance(), NAMES, dim=2, target="components")[0]
        for losses in ([1.0, 0.48, 0.47], [1.0, 0.2, 0.01], [1.0, 0.2, 0.19])
    ]
    assert [v.recovered for v in verdicts] == [False, False, True]
    assert "48%" in verdicts[0].reason and "m2/r**3" in verdicts[1].reason


def test_an_inaccurate_network_is_forgiven_where_the_law_is_the_elbow_of_the_front():
    texts = ["0.1*dx", "m2*dx/r**3", "m2*dx/r**3 + 0.02*dx + 0.01*dy*m1"]
    judged = [
        judge([front(*texts, losses=losses)], InverseSquare(), NAMES, dim=2, target="components")[0].recovered
        for losses in ([1.0, 0.5, 0.45], [1.0, 0.7, 0.6], [1.0, 0.5, 0.1])
    ]
    assert judged == [True, False, True]


def test_three_dimensions():
    names = ("dx", "dy", "dz", "r", "m1", "m2", "q1", "q2")
    assert verdict_on(InverseSquare(), "components", "m2*(dx - dz + 2*dy)/r**3", 3, names).recovered
    assert not verdict_on(InverseSquare(), "pullback", "-m2*(dx + dz)/r**3", 3, names).recovered


@dataclass(frozen=True)
class Yukawa(ForceLaw):
    """A screened charge, as a user might add it."""

    length: float = 2.0

    name = "yukawa"
    formula = "q1 q2 exp(-r/L) / r"
    charges = "sign"

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        return q1 * q2 * np.exp(-r / params[0]) / r


def test_a_users_law_needs_no_change_here():
    good = verdict_on(Yukawa(), "pullback", "q1*q2*exp(-r/1.9)*dx/(r**2*m1)")
    assert good.recovered and good.constants["length"] == pytest.approx(1.9, rel=1e-3)
    assert not verdict_on(Yukawa(), "pullback", "q1*q2*dx/(r**2*m1)").recovered


def test_an_equation_with_a_pole_is_refused_with_a_reason():
    verdict = verdict_on(InverseSquare(), "pullback", "-m2*dx/r**3*log(m1-3)")
    assert not verdict.recovered and "not finite" in verdict.reason


def test_points_reach_beyond_the_data_and_charges_follow_the_law():
    fresh = fresh_points(Coulomb(), 2, {"r": (0.5, 4.0), "m1": (0.5, 2.0)})
    r, m1 = fresh.columns["r"], fresh.columns["m1"]
    assert 0.25 <= r.min() < 0.27 and 7.5 < r.max() <= 8.0
    assert m1.min() < 0.3 and m1.max() > 3.5
    assert set(np.unique(fresh.columns["q1"])) == {-1.0, 1.0}
    assert np.hypot(fresh.columns["dx"], fresh.columns["dy"]) + 0.01 == pytest.approx(r)
    assert len(np.unique(fresh_points(Spring(), 2, {}).columns["q1"])) > 100


def test_every_decade_counts():
    fresh = fresh_points(InverseSquare(), 2, {"r": (0.1, 50.0)})
    scale = force_scale(InverseSquare(), fresh, 1.0)
    relative = np.abs(InverseSquare.magnitude(*fresh.arguments, ())) / fresh.columns["m1"] / scale
    assert relative.min() > 0.3 and relative.max() <= 1.0


def test_data_ranges_leave_out_the_ends():
    X = np.column_stack([np.linspace(-1, 1, 1001), np.linspace(1, 2, 1001)])
    ranges = data_ranges(X, ["dx", "r"], share=0.1)
    assert ranges["r"] == pytest.approx((1.1, 1.9), abs=1e-6)


def test_verdict_is_plain_data():
    law = InverseSquare()
    bad = front("log(m1 - 3)")
    good = front("-m2*dy/r**3")
    for verdict in judge([bad, good], law, NAMES, dim=2, target="pullback"):
        data = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
        assert {"recovered", "equation", "marks", "reason", "constants", "r2"} <= data.keys()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"target": "forces"}, "symbolic.target"),
        ({"dim": 3}, "one front for each of the 3"),
        ({"dim": 4, "target": "components"}, "dim"),
        ({"ranges": {"r": (-1.0, 2.0)}}, "ranges"),
        ({"names": (*NAMES, "vx")}, "vx"),
    ],
)
def test_wrong_questions_are_refused(arguments, match):
    fronts = [front("-m2*dx/r**3"), front("-m2*dy/r**3")]
    keywords = {"names": NAMES, "dim": 2, "target": "pullback", "ranges": None} | arguments
    with pytest.raises(InputError, match=match):
        judge(fronts, InverseSquare(), **keywords)


def test_a_law_that_vanishes_over_a_range_is_judged():
    for target in ("pullback", "components"):
        verdict = verdict_on(Discontinuous(), target, "-2*dx*(r - 1)/(r*m1)")
        assert not verdict.recovered  # it acts below the cut as well
        assert np.isfinite(verdict.r2) and verdict.r2 < 0.99
    assert (force_scale(Discontinuous(cut=1e9), fresh_points(Discontinuous(), 2, {}), 0.0) > 0).all()


def test_a_constant_contains_nothing_of_a_law():
    """What rounding leaves of it without b is no resemblance."""
    for law in (Discontinuous(), LAWS["spring"]):
        for text in ("-1.0146040807512691e-07", "0.5"):
            verdict = verdict_on(law, "pullback", text)
            assert verdict.r2 == -np.inf and "nothing of the law" in verdict.reason


@pytest.mark.parametrize(
    ("law", "text", "fixed", "found"),
    [
        ("spring", "-2*dx*(r - 1)/r", {"m1": 1.0, "m2": 1.0}, True),
        ("spring", "-2*dx*(r - 1)/r", {}, False),
        ("charge", "dx/(m1*r**3)", {"q1": 1.0, "q2": 1.0}, True),
        ("charge", "dx/(m1*r**2)", {"q1": 1.0, "q2": 1.0}, False),
    ],
)
def test_what_never_varies_is_not_asked_for(law, text, fixed, found):
    names = [n for n in NAMES if n not in fixed]
    fresh = fresh_points(LAWS[law], 2, {}, fixed=fixed)
    assert judge_equation(parse(text, NAMES), LAWS[law], names, fresh, 0).recovered is found


def test_constant_inputs_are_those_of_the_data():
    ranges = {"r": (0.5, 2.0), "m1": (3.0, 3.0), "m2": (1.0, 2.0), "q1": (0.0, 0.0), "q2": (0.0, 0.0)}
    assert constant_inputs(ranges, ["dx", "r", "m2"]) == {"m1": 3.0, "q1": 1.0, "q2": 1.0}
    fronts = [front("1.5", f"-2*{d}*(r - 1)/r", losses=[1.0, 1e-9]) for d in ("dx", "dy")]
    (x, y) = judge(fronts, Spring(), NAMES, dim=2, target="pullback", fixed={"m1": 1.0, "m2": 1.0})
    assert x.recovered and y.recovered and "m1, m2 never vary in the data" in x.reason


def test_further_features_are_inputs_that_no_law_knows():
    names = (*NAMES, "f1_1", "f1_2")
    ranges = {"f1_1": (1.0, 2.0), "f1_2": (1.0, 2.0)}
    texts = ("-2*dx*(r - 1)/(r*m1)", "-2*dy*(r - 1)*f1_2/(r*m1)")
    fronts = [front("1.5", text, losses=[1.0, 1e-9], names=names) for text in texts]
    (x, y) = judge(fronts, Spring(), names, dim=2, target="pullback", ranges=ranges)
    assert x.recovered and not y.recovered
