"""Groups of pairs have laws of their own where unseen runs say so, and share one where they do not."""

from collections.abc import Callable, Mapping
from types import ModuleType

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import in_numpy
from gnn_distill.distil.law.module import LawModule
from gnn_distill.distil.motion.fit import Fit, Form, Term, together
from gnn_distill.distil.motion.groups import Groups, found, labels, switches, told_apart
from gnn_distill.distil.motion.law import Spread, apart, written
from gnn_distill.distil.motion.search import Chosen, Parts, Rows, Search
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.shared import settled
from gnn_distill.physics.variables import Bonds, Columns

N = 8
COLUMNS = Columns(2, ("kind_A", "kind_B"), softening=0.0)
KINDS = np.array([0, 0, 1, 1, 0, 1, 0, 1])
Forces = Mapping[tuple[int, int], Callable[[Array], Array]]


def far(d: Array) -> Array:
    return np.exp(-d)


def near(d: Array) -> Array:
    return -d * np.exp(-(d**2))


def rows(forces: Forces, seed: int, count: int = 200, noise: float = 0.02, of_b: float = 0.5) -> Rows:
    """Snapshots of two kinds in a trap, that of B `of_b`, and a network that knows forces up to 5 %."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, N, COLUMNS.count))
    x[..., COLUMNS.mass], x[..., COLUMNS.charge] = 1.0, 0.0
    x[..., COLUMNS.rest] = np.eye(2)[KINDS]
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = np.linalg.norm(delta, axis=-1) + np.eye(N)
    own = -np.where(KINDS == 0, 0.5, of_b)[:, None] * x[..., :2]
    f = sum(np.multiply.outer(KINDS == i, KINDS == k) * force(d) for (i, k), force in forces.items())
    f = np.where(np.eye(N) > 0, 0.0, f)
    a = (f[..., None] * delta / d[..., None]).sum(2) + own + noise * rng.normal(size=(count, N, 2))
    of = torch.arange(count) * 20 // count
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, COLUMNS.further, softening=0.0)
    part = motion(data, complete_graph(N))
    told = f.reshape(-1, N * N)[:, ~np.eye(N, dtype=bool).ravel()].ravel()
    functions = {"u": told * (1 + 0.05 * rng.normal(size=told.shape))}
    return Rows(part, Parts(functions, own.reshape(-1, 2)).columns(part), functions)


def classes(forces: Forces) -> tuple[Groups, list[set[str]]]:
    parts = [rows(forces, seed) for seed in range(3)]
    groups = found(parts[1].motion)
    points = {"u": Points(parts[0].motion.named["d"][:, None], np.ones(1), np.ones(1), ("r",))}
    told = told_apart(groups, parts, points, [])
    return groups, [set(name.split(",")) for name in told.get("u", {})]


@pytest.mark.parametrize(
    "forces, expected",
    [
        ({(0, 0): far, (0, 1): near, (1, 0): near, (1, 1): far}, [{"A-A", "B-B"}, {"A-B", "B-A"}]),
        ({(0, 0): far, (0, 1): far, (1, 0): near, (1, 1): near}, [{"A-A", "A-B"}, {"B-A", "B-B"}]),
        ({(i, k): far for i in (0, 1) for k in (0, 1)}, []),
    ],
)
def test_pairs_of_kinds_share_a_law_unless_unseen_rows_tell_them_apart(
    forces: Forces, expected: list[set[str]]
):
    told = classes(forces)[1]
    assert sorted(map(sorted, told)) == sorted(map(sorted, expected))


def test_columns_of_kinds_are_found_among_others():
    named = {
        "size": np.array([0.0, 1, 0.5]),
        "kind_A": np.array([1.0, 0, 0]),
        "kind_B": np.array([0.0, 1, 1]),
    }
    assert switches(named, [*named]) == [["kind_A", "kind_B"]]
    assert switches(named | {"kind_B": named["kind_A"]}, [*named]) == []
    assert labels(["kind_Na", "kind_Ne"]) == ["Na", "Ne"]


def test_each_group_has_its_law_and_what_holds_for_all_is_short():
    part = rows({(i, k): far for i in (0, 1) for k in (0, 1)}, 0, count=20).motion
    groups = found(part)
    all_a, rest = groups.joined([0, 1]), groups.joined([2, 3])
    assert str(all_a.where) == "kind_A1" and groups.joined([0, 1, 2, 3]).where == 1
    part = part.grouped({g.name: g.where for g in (all_a, rest)})
    assert len(part.members["A-A,A-B"]) == len(part.members["B-A,B-B"]) == 20 * N * (N - 1) // 2
    terms = [
        Form.of(sympy.sympify(f"{text}*2.0"), f"u:{g.name}")
        for text, g in (("exp(-d)", all_a), ("1/d", rest))
    ]
    last = Fit(together(*terms), np.array([]), np.array([3.0, 5.0]), np.array([]))
    law = written(last, COLUMNS, 2, groups=part.groups)
    named = {"d": 2.0, "kind_A1": 1.0, "kind_B1": 0.0, "kind_B2": 1.0, "kind_A2": 0.0}
    assert float(law.functions["u"].evalf(subs=named)) == pytest.approx(3 * np.exp(-2))
    each = apart(
        last, COLUMNS, 2, Spread(np.array([3.0, 5.0]), np.array([[2.9, 4.9], [3.1, 5.1]])), 0.0, part.groups
    )
    assert {label: one["radial"] for label, one in each.items()}["B-A"] == "5.0/d"
    assert [*each] == ["A-A", "A-B", "B-A", "B-B"] and each["B-B"]["intervals"][0][0][0] == pytest.approx(
        4.9, abs=0.02
    )


def loaded(text: str) -> ModuleType:
    module = ModuleType("law_numpy")
    exec(text, module.__dict__)
    return module


def test_exported_laws_read_kinds_and_numbers_of_edges():
    x = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    pair = "2.0*kind_A1*kind_B2*dx/d + 3.0*edge_0_5_12*dx + 7.0*k12*dy"
    content = {"acceleration": [pair, "0.0"], "further": ["kind_A", "kind_B"], "softening": 0.0}
    content |= {"bonds": [3, [0.5, 1.0]], "kinds": {"A": "kind_A", "B": "kind_B"}}
    module = loaded(
        in_numpy(Law.of(content), content["further"], None, 0.0, None, content["kinds"], content["bonds"])
    )
    edges = [[0, 0], [1, 2], [1.0, 0.5]]
    found = module.acceleration(x, kinds=["A", "B", "B"], edges=edges)
    expected = 2.0 * -1 + (2.0 * 0 + 7.0 * 0.5 * -1.0)
    assert found[0, 0] == pytest.approx(expected) and (found[1:] == 0).all()
    columns = Columns(2, ("kind_A", "kind_B"), softening=0.0, bonds=Bonds(3, (0.5, 1.0)))
    features = np.zeros((1, 3, columns.count))
    features[0, :, :2], features[0, :, columns.rest] = x, [[1, 0], [0, 1], [0, 1]]
    features[0, 0, columns.rest.stop : columns.rest.stop + 3] = [0, 1.0, 0.5]
    features[0, :, columns.rest.stop + 3] = np.arange(3)
    told = LawModule.from_law(content, (torch.tensor([0, 0]), torch.tensor([1, 2])))(torch.tensor(features))
    assert told[0].detach().numpy() == pytest.approx(found)
    some = torch.tensor([[True, True, False, False, False, False]])  # of all pairs, by receiver
    masked = LawModule.from_law(content)(torch.tensor(features), some)
    assert masked[0].detach().numpy() == pytest.approx(found)
    with pytest.raises(ValueError, match="numbers k12"):
        module.acceleration(x, kinds=["A", "B", "B"])
    with pytest.raises(ValueError, match="labels of A, B"):
        module.acceleration(x, kinds=["A", "B", "C"], edges=edges)


def decay(strength: float, length: float = 1.0) -> Callable[[Array], Array]:
    return lambda d: strength * np.exp(-d / length)


def of_pairs(same: Callable[[Array], Array], other: Callable[[Array], Array]) -> Forces:
    return {(0, 0): same, (1, 1): same, (0, 1): other, (1, 0): other}


@pytest.mark.parametrize(
    "other, apart, expected, numbers",
    [
        (decay(0.9), False, [{"A-A", "B-B"}, {"A-B", "B-A"}], 1),  # too little for free curves, not for forms
        (decay(0.5), True, [{"A-A", "B-B"}, {"A-B", "B-A"}], 1),
        (decay(1.0, 0.5), True, [{"A-A", "B-B"}, {"A-B", "B-A"}], 2),
        (decay(1.0), True, [], 1),
    ],
)
def test_forms_share_their_constants_and_strengths_where_they_can(
    other: Callable[[Array], Array], apart: bool, expected: list[set[str]], numbers: int
):
    parts = [rows(of_pairs(decay(1.0), other), seed, noise=0.01) for seed in (1, 2)]
    groups = found(parts[0].motion)
    classes = {g.name: g.where for g in (groups.joined([0, 3]), groups.joined([1, 2]))} if apart else {}
    parts = [part.grouped({"u": classes} if apart else {}) for part in parts]
    keys = [f"u:{name}" for name in classes] or ["u"]
    forms = {k: Form("decay", (Term((sympy.sympify("exp(-d/L)"),), k),), ("L",), (0.8,)) for k in keys}
    chosen, where = settled(Chosen(forms, (form_of_trap(),), {}, {}), (parts[0], parts[1]), groups)
    told = {t.along for f in chosen.pairs.values() for t in f.terms}
    assert sorted(sorted(k[2:].split(",")) for k in told if k[1:]) == sorted(map(sorted, expected))
    assert {k[2:] for k in told if k[1:]} <= {*where} and len(chosen.form.symbols) == numbers


def form_of_trap() -> Form:
    return Form("trap", (Term(tuple(sympy.symbols("x y")), None),))


@pytest.mark.parametrize("of_b, expected", [(0.5, {"trap"}), (1.0, {"trap", "trap × kind_B1"})])
def test_what_acts_on_one_particle_may_depend_on_its_kind(of_b: float, expected: set[str]):
    few, seen, unseen = (rows(of_pairs(far, far), seed, of_b=of_b) for seed in range(3))
    own = Search(few, seen, unseen, 2, lambda key: []).own(["u"], ())
    names = {f.name for f in own}
    assert names == expected or (of_b == 1.0 and len(names) == 2 and all("trap" in n for n in names))
    assert not any("kind" in f.name for f in Search(few, seen, unseen, 2, lambda key: []).spare())


def test_a_group_takes_the_form_of_another_where_that_does_as_well():
    parts = [rows(of_pairs(decay(1.0), decay(0.5)), seed, noise=0.01) for seed in (1, 2)]
    groups = found(parts[0].motion)
    classes = {g.name: g.where for g in (groups.joined([0, 3]), groups.joined([1, 2]))}
    forms = {}
    for name, text in zip(classes, ("exp(-d/L)", "exp(-d**n/L)"), strict=True):
        term, symbols = Term((sympy.sympify(text),), f"u:{name}"), ("L", "n")[: 1 + ("n" in text)]
        forms[f"u:{name}"] = Form(text, (term,), symbols, (1.0,) * len(symbols))
    chosen = Chosen(forms, (form_of_trap(),), {}, {})
    shared = [part.grouped({"u": classes}) for part in parts]
    told = settled(chosen, (shared[0], shared[1]), groups)[0]
    assert told.form.symbols == ("L_0",) and {t.along for t in told.form.terms} == {None, *forms}


def test_groups_of_few_pairs_and_too_many_groups_are_said():
    few = found(rows({(i, k): far for i in (0, 1) for k in (0, 1)}, 0, count=8).motion)
    assert {g.name for g in few.each} == {"A-B", "B-A"} and few.rare == ("A-A", "B-B")
    assert few.doubts == ["There are too few pairs of A-A, B-B to tell their law by themselves"]
    assert Groups((), many=49).doubts[0].startswith("There are 49 groups of pairs, too many")
