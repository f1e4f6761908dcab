"""Kinds of particles that nobody labelled: found where they are, and not made up where they are not."""

import importlib.util
import json

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.hidden import kinds
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import export
from gnn_distill.distil.law.module import LawModule
from gnn_distill.distil.motion.search import Rows
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.unlabelled import labelled, told
from gnn_distill.physics.variables import Columns

KIND = np.array([0, 1, 1, 0, 2, 1, 0, 2, 0, 2, 1, 2])
COUNT = len(KIND)
CHARGES = np.array([1.6, -1.4, 1.3, -1.2, 1.4, -0.6, 0.8, -1.7, 1.1, -0.9, 1.5, -1.1])
LAWS = [
    [lambda d: np.exp(-d), lambda d: -0.8 * d * np.exp(-(d**2)), lambda d: 0.3 / d],
    [lambda d: -0.8 * d * np.exp(-(d**2)), lambda d: 0.7 / d**2, lambda d: -0.4 / d],
    [lambda d: 0.3 / d, lambda d: -0.4 / d, lambda d: 0.5 * np.sin(2 * d)],
]


def rows(kind, graphs=100, seed=0, noise=0.02, strength=None, shuffled=False, laws=LAWS):
    """Snapshots of individuals of these kinds; `shuffled` exchanges their names in each of them."""
    rng, columns = np.random.default_rng(seed), Columns(2, softening=0.0, identity=True)
    x = np.zeros((graphs, COUNT, columns.count))
    x[..., :2] = rng.uniform(-2.5, 2.5, (graphs, COUNT, 2))
    x[..., columns.mass], x[..., columns.individual] = 1.0, np.arange(COUNT)
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = np.maximum(np.linalg.norm(delta, axis=-1), 0.3) + np.eye(COUNT)
    f = np.zeros_like(d)
    for i, j in np.ndindex(3, 3):
        f += np.outer(kind == i, kind == j) * laws[i][j](d)
    f *= (1 - np.eye(COUNT)) * (1.0 if strength is None else strength)
    a = (f[..., None] * delta / d[..., None]).sum(2)
    a = a + noise * np.abs(a).mean() * rng.normal(size=a.shape)
    if shuffled:
        x[..., columns.individual] = rng.permuted(x[..., columns.individual], axis=1)
    of = torch.arange(graphs) * 20 // graphs
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0, identity=True)
    return Rows(motion(data, complete_graph(COUNT), (), usual=np.ones(COUNT)), {})


def asked(*args, **kwargs):
    seen, unseen = (rows(*args, seed=seed, **kwargs) for seed in (1, 2))
    return told(seen, unseen, ["u"], [], 0)


@pytest.mark.parametrize("count", [2, 3])
def test_kinds_are_counted_and_each_particle_gets_its_own(count):
    kind = np.where(KIND < count, KIND, 0)
    found = asked(kind)
    assert found.verdict == "kinds" and (found.label == kind).all()
    assert (found.sure > 0.999).all() and found.errors["alike"] > 5 * found.errors[f"{count} kinds"]
    d = found.curves["d"]
    here = (d > 0.5) & (d < 4)
    for i, j in np.ndindex(count, count):
        f, true = found.curves[f"u {'ABC'[i]}-{'ABC'[j]}"][here], LAWS[i][j](d[here])
        assert np.median(np.abs(f - true)) < 0.02 * np.abs(true).max()


def test_kinds_that_like_their_own_are_told_by_pairs(monkeypatch):
    """On the whole each of them feels and does the same."""
    monkeypatch.setattr(kinds, "RANDOM", 0)  # luck finds two kinds of a dozen, too
    own, other = (lambda d: 1.9 * np.exp(-d / 0.9)), (lambda d: -1.1 * np.exp(-d / 1.4))
    laws = [[own if i == j else other for j in range(3)] for i in range(3)]
    kind = np.random.default_rng(4).permutation(np.repeat([0, 1], COUNT // 2))
    found = asked(kind, laws=laws)
    assert found.verdict == "kinds" and (found.label == (kind != kind[0])).all()
    assert found.errors["alike"] > 20 * found.errors["2 kinds"]


@pytest.mark.parametrize(
    ("kind", "settings", "verdict"),
    [
        (0 * KIND, {}, "alike"),
        (np.minimum(KIND, 1), {"shuffled": True}, "alike"),
        (np.minimum(KIND, 1), {"graphs": 3}, "alike or strengths"),
        (0 * KIND, {"strength": np.linspace(0.3, 3.0, COUNT)}, "strengths"),
        (0 * KIND, {"strength": np.outer(CHARGES, CHARGES)}, "strengths"),
        (0 * KIND, {"strength": np.linspace(0.3, 3.0, COUNT)[:, None]}, "strengths"),
    ],
    ids=["equal", "names exchanged", "too few", "sources", "charges", "receivers"],
)
def test_kinds_are_not_made_up(kind, settings, verdict):
    assert asked(kind, **settings).verdict in verdict


def test_a_law_of_kinds_is_exported_with_the_labels_of_individuals(tmp_path):
    kind, part = np.minimum(KIND, 1), rows(np.minimum(KIND, 1), noise=0.0).motion
    named = labelled(part, kind).named
    assert (named["kind_B1"] == kind[part.edges.individuals[0]]).all()
    f = sympy.sympify("kind_A1*kind_A2*exp(-d) + kind_B1*kind_B2*7/(10*d**2)"
                      "- (kind_A1*kind_B2 + kind_B1*kind_A2)*4*d*exp(-d**2)/5")  # fmt: skip
    law = Law(tuple(f * sympy.Symbol(f"d{axis}") / sympy.Symbol("d") for axis in "xy"),
              (sympy.Symbol("kind_B1"), sympy.S.Zero))  # fmt: skip
    one = [1.0, 1.0, 1.0]
    hidden = {f"p{k}": {"source": one, "response": one, "kind": "AB"[kind[k]]} for k in range(COUNT)}
    content = law.to_dict() | {"hidden": hidden, "hidden_kinds": ["kind_A", "kind_B"], "softening": 0.0}
    content = json.loads(json.dumps(content))
    export(law, content, tmp_path)
    spec = importlib.util.spec_from_file_location("law_numpy", tmp_path / "law_numpy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = part.graphs.features[0].numpy().astype(float)
    d = np.linalg.norm(x[:, None, :2] - x[None, :, :2], axis=-1)
    a = part.graphs.accelerations[0].numpy() + (kind == 1)[:, None] * [1.0, 0.0]
    far = (d + np.eye(COUNT)).min(axis=1) > 0.3
    order = np.random.default_rng(0).permutation(COUNT)
    found = module.acceleration(x[order, :2], ids=np.array(list(hidden))[order])
    assert far.sum() > 5 and found[far[order]] == pytest.approx(a[order][far[order]], rel=1e-4, abs=1e-5)
    other = LawModule.from_law(content)(part.graphs.features[:1])[0].detach().numpy()
    assert other[order] == pytest.approx(found, rel=1e-5, abs=1e-6)
