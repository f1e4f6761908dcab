"""Which points are seen, what is given, and what a killed search leaves."""

import numpy as np
import pytest
import sympy

from gnn_distill.distil.engines.forms import FormsEngine
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points, draw, strata, weights
from gnn_distill.distil.joint import along, vector_fronts
from gnn_distill.distil.solve import FileMemory, Work
from gnn_distill.distil.verdict.extrapolate import borne_out, extrapolate
from gnn_distill.distil.verdict.judge import judge
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import InverseSquare

NAMES = ("dx", "dy", "r", "m1", "m2")


def inputs(count=800, seed=0):
    rng = np.random.default_rng(seed)
    delta = rng.normal(size=(count, 2)) * np.exp(rng.normal(size=(count, 1)))
    return np.column_stack(
        [delta, np.linalg.norm(delta, axis=1) + 0.01, np.exp(rng.normal(size=(count, 2)) / 2)]
    )


def values(text, X):
    return evaluate(parse(text, NAMES), X, NAMES)


def points(text, count=800, seed=0, noise=0.0):
    X = inputs(count, seed)
    rng = np.random.default_rng(seed + 1)
    return Points(X, values(text, X) * (1 + noise * rng.normal(size=count)), np.ones(count), NAMES)


def rated(p, *texts):
    return Front.build([parse(t, NAMES) for t in texts], p.X, p.y, NAMES, p.loss)


def test_stratified_sample_represents_every_decade_of_r():
    r = np.exp(np.random.default_rng(0).normal(size=20_000) * 0.8)
    rng = np.random.default_rng(1)
    few = {how: r[draw(r, 400, how, rng)] for how in ("random", "stratified")}
    rare = (r < 0.15) & (r > 0.1)
    share = {how: np.mean((v > 0.1) & (v < 0.15)) for how, v in few.items()}
    assert 0 < rare.mean() < 0.02 and share["random"] < 0.03 and share["stratified"] > 0.05
    counts = np.bincount(strata(few["stratified"]) - strata(few["stratified"]).min())
    available = np.bincount(strata(r) - strata(r).min())
    full = available > 100
    assert np.ptp(counts[full[: len(counts)]]) <= 1
    assert (np.diff(draw(r, 400, "stratified", rng)) > 0).all()


def test_weights_make_decades_count_alike():
    r = np.repeat([0.5, 3.0], [90, 910])
    w = weights(r, "decades")
    assert w is not None and w.mean() == pytest.approx(1.0)
    assert w[:90].sum() == pytest.approx(w[90:].sum())
    assert weights(r, "equal") is None


def test_vectors_are_split_along_and_across():
    delta, size = inputs()[:, :2], np.linspace(-1, 1, 800)
    unit = delta / np.linalg.norm(delta, axis=1, keepdims=True)
    across = unit[:, ::-1] * [-1, 1]
    part, rest = along(delta, size[:, None] * unit + 0.3 * across)
    assert part == pytest.approx(size) and rest == pytest.approx(0.3)


def test_one_equation_serves_every_component():
    X = inputs()
    force = np.stack([values(f"-2*{d}*(r - 1)/((r - 0.01)*m1)", X) for d in ("dx", "dy")], axis=1)
    size, _ = along(X[:, :2], force)
    names = NAMES[2:]
    front = Front.build(
        [parse(t, names) for t in ("1.5", "-2*(r - 1)/m1")], X[:, 2:], size, names,
        lambda a, b: float(np.abs(a - b).mean()),
    )  # fmt: skip
    joint = vector_fronts(front, X, NAMES, force)
    assert joint.central and joint.across < 1e-9
    for name, component, parents in zip(("dx", "dy"), joint.components, joint.parents, strict=True):
        best = component.equations[-1].expression
        assert {str(s) for s in best.free_symbols} == {name, "r", "m1"} and parents[-1] == 1
        assert parents[0] is None  # a trivial one, which sets the scale
        assert component.equations[-1].loss < 0.05 * component.equations[0].loss


def test_a_force_that_turns_is_not_central():
    X = inputs()
    turning = np.stack([values(f"{d}/r", X) for d in ("-dy", "dx")], axis=1)
    front = Front.from_rated([(1, 0.1, parse("0.1", NAMES))], ("r", "m1"))
    joint = vector_fronts(front, X, NAMES, turning)
    assert not joint.central and joint.across > 0.9


@pytest.mark.parametrize("text", ["-1.7*(r - 1.2)/m1", "-2.3*dx*(r - 0.8)/(m1*r)"])
def test_a_given_equation_is_refitted_for_every_component(text):
    p = points("-2*dy*(r - 1)/(r*m1)", noise=0.01)
    front = GivenEngine(text).fit(p.X, p.y, NAMES, seed=0)
    best = front.equations[front.choice].expression
    numbers = sorted(abs(float(c)) for c in best.atoms(sympy.Float))
    assert [n for n in numbers if n > 0.1] == pytest.approx([1.0, 2.0], abs=0.05)
    assert front.equations[0].complexity <= 3


def test_a_given_size_is_refitted_as_such():
    p = points("-2*(r - 1)/m1")
    radial = NAMES[2:]
    front = GivenEngine("3*(r - 2)/m1").fit(p.X[:, 2:], p.y, radial, seed=0)
    assert front.equations[-1].loss < 1e-6
    assert GivenEngine("3*(r - 2)/m1").radial and not GivenEngine("dx/r").radial


@pytest.mark.parametrize(
    ("text", "match"),
    [("dx*speed", "speed"), ("", "expression"), (None, "expression"), ("2.0", "variable"), ("q1*dx", "q1")],
)
def test_a_given_equation_that_cannot_be_used_is_named(text, match):
    p = points("dx")
    with pytest.raises(InputError, match="symbolic.expression") as error:
        GivenEngine(text).fit(p.X, p.y, NAMES, seed=0)
    assert match in str(error.value)


def test_the_equation_that_extrapolates_is_preferred_to_the_one_that_fits():
    law, seen, unseen = "-m2*dx/r**3", *(points("-m2*dx/r**3", 1500, s, 0.02) for s in (0, 7))
    r = seen.X[:, 2]
    middle = seen.take(np.flatnonzero((r > np.quantile(r, 0.2)) & (r < np.quantile(r, 0.8))))
    imitation = "-dx*m2*(0.9 - 0.8*r + 0.2*r**2 + 0.01*r*m2)/(0.1 + r)"
    front = rated(middle, "0.5", "-0.7*m2*dx/r", law, law + " + 0.0001*dx*m1*m2*dy")
    judged = extrapolate(front, seen, unseen)
    assert front.equations[judged.equation].expression == parse(law, NAMES)
    assert judged.beyond[judged.equation] < 0.1 and "unseen" in judged.reason
    worse = extrapolate(rated(seen, "0.5", imitation), seen, unseen)
    assert worse.beyond[-1] > 3 * judged.beyond[judged.equation]


def test_a_wrong_law_among_equations_that_fit_badly_is_no_recovery():
    """Coulomb's form stands on the front of a screened force, far from the equations that fit."""
    law, names = InverseSquare(), ("dx", "dy", "r", "m1", "m2")
    rng = np.random.default_rng(0)

    def sample(graphs: int) -> Points:
        d, m = rng.uniform(-4, 4, (graphs, 2)), np.exp(rng.normal(0, 0.5, (graphs, 2)))
        r = np.linalg.norm(d, axis=1) + 0.01
        X = np.column_stack([d, r, m])
        return Points(X, evaluate(parse(screened, names), X, names), np.ones(graphs), names)

    screened = "-m2*dx*exp(-r)*(1 + r)/r**3"
    seen, unseen = sample(1500), sample(1500)
    texts = ["0.01*dx", "-0.5*m2*dx/r**3", screened]
    rated = [
        (c, loss, parse(t, names)) for c, loss, t in zip((3, 9, 16), (1.0, 0.4, 0.01), texts, strict=True)
    ]
    front = Front.from_rated(rated, names)
    formal, _ = judge([front, front], law, names, dim=2, target="pullback")
    tried = extrapolate(front, seen, unseen)
    assert formal.recovered and formal.equation == 1

    refused = borne_out(formal, tried.inside, tried.beyond)
    assert not refused.recovered and refused.equation is None and "off by" in refused.reason
    assert borne_out(formal, (0.9, 0.7, 0.5), (0.9, 0.7, 0.4)) == formal  # nothing else is much better
    assert borne_out(formal, (0.9, 0.2, 0.01), (0.9, 0.4, 0.01)) == formal  # it holds
    assert not borne_out(formal, (0.9, None, 0.1), (0.9, None, 0.1)).recovered
    assert borne_out(refused, tried.inside, tried.beyond) == refused


def test_an_equation_with_a_pole_does_not_extrapolate():
    seen, unseen = points("2*dx", 1500), points("2*dx", 1500, 5)
    limit = 1.5 * max(seen.X[:, 2].max(), unseen.X[:, 2].max())  # beyond the data, but not twice as far
    texts = [(3, 2.0, "1.9*dx"), (9, 1.0, f"2*dx + 1e-9*log({limit} - r)")]
    front = Front.from_rated([(c, loss, parse(t, NAMES)) for c, loss, t in texts], NAMES)
    judged = extrapolate(front, seen, unseen)
    assert judged.equation == 0 and judged.beyond[1] is None and judged.inside[1] is not None


class Killed(Exception):
    pass


class Dying(FileMemory):
    """A memory whose process dies after it has saved a second time."""

    def save(self, state):
        super().save(state)
        if state["restart"] == 2:
            raise Killed


def test_a_killed_search_goes_on_to_the_same_front(tmp_path):
    p, left = points("2*dx/(m1 + m2)", 200, noise=0.05), FileMemory(tmp_path / "x.json", "a")
    engine = OperonEngine(
        restarts=3,
        patience=3,
        generations=5,
        functions=(),
        population=100,
        max_length=6,
    )

    def fit(memory):
        lines: list[str] = []
        return engine.fit(p.X, p.y, NAMES, seed=4, memory=memory, progress=lines.append), lines

    whole, _ = fit(None)
    with pytest.raises(Killed):
        fit(Dying(tmp_path / "x.json", "a"))
    again, lines = fit(left)
    assert again == whole and lines[0].startswith("search 3 of at most 3") and len(lines) == 2
    assert len(fit(left)[1]) == 1  # nothing is searched again
    assert FileMemory(tmp_path / "x.json", "other inputs").load() is None


def test_a_memory_that_cannot_be_read_is_no_memory(tmp_path):
    (tmp_path / "x.json").write_text("{half")
    assert FileMemory(tmp_path / "x.json", "a").load() is None
    assert FileMemory(tmp_path / "none.json", "a").load() is None


def test_a_search_ends_when_its_front_is_stable_or_its_time_is_over():
    p = points("2*dx*m2")
    lines: list[str] = []
    OperonEngine(generations=40, population=300, restarts=9).fit(
        p.X, p.y, NAMES, seed=0, progress=lines.append
    )
    assert len(lines) < 9
    clock: list[str] = []
    wild = np.random.default_rng(0).normal(size=len(p.y))
    engine = OperonEngine(generations=10, population=100, restarts=500, patience=500, time_limit=1.0)
    engine.fit(p.X, wild, NAMES, seed=0, progress=clock.append)
    assert len(clock) < 100


def test_targets_beside_the_first_wait_once_unless_the_user_says_more():
    engine = Work(OperonEngine(), 0).beside().engine
    assert engine.patience == 1 and engine.subsample == 250
    assert Work(OperonEngine(patience=4), 0).beside().engine.patience == 4
    other = Work(FormsEngine(), 0)
    assert other.beside() is other
