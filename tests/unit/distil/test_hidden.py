"""Strengths of individuals that no file holds: from a pair function, from accelerations, and in exports."""

import importlib.util
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.hidden.factor import factorised
from gnn_distill.distil.hidden.reading import Strength, kinds, told
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.export import export
from gnn_distill.distil.law.module import LawModule
from gnn_distill.distil.motion import prepare
from gnn_distill.distil.motion.fit import Form, Term, together
from gnn_distill.distil.motion.hidden import unneeded
from gnn_distill.distil.motion.samples import Strengths
from gnn_distill.distil.motion.search import Rows
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.strengths import Convention, Drawn, chosen, drawn, scatter, weighed
from gnn_distill.distil.motion.weigh import curve, ranked, read_off
from gnn_distill.model.network import ISOTROPIC, ParticleGNN
from gnn_distill.physics.variables import Columns

SOURCE = np.array([-1.0, 0.4, 2.5, -0.7, 1.6, 0.9])
RESPONSE = np.array([0.5, 1.7, 1.0, -0.8, 1.2, 0.6])
COUNT = len(SOURCE)


def pull(d):
    return np.exp(-d / 1.3) / d


def rows(source, response, noise=0.0, seed=0, graphs=120, kernel=()):
    """Snapshots of individuals with these strengths in a trap, each individual in each graph."""
    rng, columns = np.random.default_rng(seed), Columns(2, softening=0.0, identity=True)
    x = np.zeros((graphs, COUNT, columns.count))
    x[..., :4] = 1.5 * rng.normal(size=(graphs, COUNT, 4))
    x[..., columns.mass], x[..., columns.individual] = 1.0, np.arange(COUNT)
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = np.linalg.norm(delta, axis=-1) + np.eye(COUNT)
    f = np.where(np.eye(COUNT) > 0, 0.0, pull(d)) * response[:, None] * source
    a = (f[..., None] * delta / d[..., None]).sum(2) - 0.3 * x[..., :2]
    usual = np.abs(a).mean((0, 2))
    a = a + noise * usual[:, None] * rng.normal(size=a.shape)
    of = torch.arange(graphs) * 20 // graphs
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0, identity=True)
    return motion(data, complete_graph(COUNT), kernel, usual=usual)


def form(text, along="u"):
    return Form.of(sympy.sympify(text), along, text)


def trap(part):
    x = np.stack([part.nodes.named["x"], part.nodes.named["y"]], 1)
    return part.averaged(x).reshape(-1, 1)


def scaled(values):
    return values / values[np.argmax(np.abs(values))]


def test_a_product_is_taken_apart_where_some_pairs_were_never_near():
    rng = np.random.default_rng(3)
    weights = rng.uniform(0, 1, (COUNT, COUNT, 9)) * (1 - np.eye(COUNT))[..., None]
    weights[0, :, 5:] = weights[:, 2, :3] = 0
    g = pull(np.linspace(0.3, 3, 9))
    values = np.einsum("i,j,g->ijg", RESPONSE, SOURCE, g)
    found = factorised(values, weights)
    assert scaled(found.source) == pytest.approx(scaled(SOURCE), rel=1e-5)
    assert scaled(found.response) == pytest.approx(scaled(RESPONSE), rel=1e-5)
    assert found.share == pytest.approx(1, abs=1e-9) and found.second < 1e-9
    other = values + np.einsum("i,j,g->ijg", SOURCE, RESPONSE, g**2)
    assert factorised(other, weights).second > 0.01


@pytest.mark.parametrize("kernel", [(), (0.25, 0.5, 0.25)])
def test_what_senders_do_apart_adds_up_to_what_they_do_together(kernel):
    part = rows(SOURCE, RESPONSE, kernel=kernel)
    values = part.named["d"][:, None] * part.directions["u"]
    apart = part.by_sender(values, part.edges.individuals[1], COUNT)
    assert apart.sum(axis=1) == pytest.approx(part.pairs(values).ravel())
    weighed_values = values * SOURCE[part.edges.individuals[1]][:, None]
    assert apart @ SOURCE == pytest.approx(part.pairs(weighed_values).ravel())


@pytest.mark.parametrize(
    ("mode", "source", "response"),
    [
        ("none", np.ones(COUNT), np.ones(COUNT)),
        ("source", SOURCE, np.ones(COUNT)),
        ("response", np.ones(COUNT), RESPONSE),
        ("symmetric", SOURCE, SOURCE),
        ("both", SOURCE, RESPONSE),
    ],
)
def test_strengths_come_out_of_accelerations_with_the_simplest_account_of_them(mode, source, response):
    """The start is half wrong, the form has a constant to be found, and a trap stands beside it."""
    seen, unseen = (rows(source, response, 0.02, seed) for seed in (1, 2))
    rng = np.random.default_rng(4)
    wrong = rng.uniform(0.6, 1.4, (2, COUNT))
    start = Strengths(source * wrong[0], response * wrong[1])
    forms = [form("exp(-r/1.0)/r"), form("1/r**2")]
    found, _ = chosen(seen, unseen, forms, (trap(seen), trap(unseen)), [start], ("none",))
    assert found.mode == mode and found.fit.form.name == "exp(-r/1.0)/r"
    assert found.fit.constants[0] == pytest.approx(-1 / 1.3, rel=0.02)
    assert found.fit.extra[0] == pytest.approx(-0.3, rel=0.02)
    assert scaled(found.strengths.source) == pytest.approx(scaled(source), rel=0.03)
    assert scaled(found.strengths.response) == pytest.approx(scaled(response), rel=0.03)


@pytest.mark.parametrize("mode", ["both", "response", "symmetric"])
def test_what_acts_on_one_may_go_with_its_strength(mode: str):
    """A field that acts by the response, as on q/m, and a drag by response over source, as on 1/m."""
    source = np.ones(COUNT) if mode == "response" else SOURCE
    response = SOURCE if mode == "symmetric" else RESPONSE
    true = Strengths(source, response)
    plain = rows(source, response, graphs=200).weighed(true)
    s, t, vx, vy = sympy.symbols("s1 t1 vx vy")
    assert plain.brought == {"both": [t, t / s], "response": [t], "symmetric": [s]}[mode]
    own = [Form("own", (Term((b * vy, -b * vx), None),)) for b in plain.brought]
    own.append(Form("trap", (Term(sympy.symbols("x y"), None),)))
    sizes = [1.4, -0.6][: len(plain.brought)]
    more = sum(f * form.columns(plain, ()) for f, form in zip(sizes, own, strict=False))
    part = plain.relabelled(plain.labels + more.reshape(plain.labels.shape))
    wrong = np.random.default_rng(4).uniform(0.8, 1.2, (2, COUNT))
    start = Strengths(source if mode == "response" else source * wrong[0], response * wrong[1])
    law = together(form("exp(-r/1.0)/r"), *own)
    found = weighed(part, law, np.zeros((part.labels.size, 0)), mode, start)
    rule = Convention((0, float(source[0])), (0, float(response[0])))
    told = rule.shared(found)
    assert told.strengths.source == pytest.approx(source, rel=1e-3)
    assert told.strengths.response == pytest.approx(response, rel=1e-3)
    assert told.fit.factors == pytest.approx([1.0, *sizes, -0.3], rel=1e-3)
    nothing = np.zeros((part.labels.size, 0))
    assert told.predicted(part, nothing) == pytest.approx(found.predicted(part, nothing), abs=1e-9)


def test_terms_by_strengths_that_may_be_nothing_go():
    own = [Form(n, (Term((sympy.sympify(f), sympy.S.Zero), None),)) for n, f in
           (("a", "t1*x"), ("b", "vx"), ("c", "t1*vx/s1"), ("d", "t1*y"))]  # fmt: skip
    law = together(form("exp(-r/1.0)/r"), *own)
    rng, centre = np.random.default_rng(0), np.array([-1.0, 2.0, 0.5, 0.0, 0.0, 3.0])
    part = rows(SOURCE, RESPONSE, graphs=40)
    plain = weighed(part, law, np.zeros((part.labels.size, 0)), "both", Strengths(SOURCE, RESPONSE))
    scattered = Drawn(plain, centre + rng.normal(size=(400, 6)) * 0.4, None, None, (None, None))
    assert unneeded(own, scattered) is own[2]  # 0 ± 0.4; 0.5 ± 0.4 is surer, and vx reads no strength
    assert (
        unneeded([*own[:2], own[3]], replace(scattered, numbers=scattered.numbers[:, [0, 1, 2, 3, 5]]))
        is own[0]
    )
    assert unneeded([own[1], own[3]], replace(scattered, numbers=scattered.numbers[:, [0, 1, 3, 5]])) is None


def test_in_noise_forms_are_ranked_with_strengths_of_their_own():
    part = rows(SOURCE, RESPONSE, noise=1.5, seed=2, graphs=3000)
    right = form("exp(-0.6*d)/d")
    forms = [form("1/d"), form("1/d**2"), form("exp(-d)"), form("1 - 0.1*d"), form("d"), right]
    ones = Strengths(np.ones(COUNT), np.ones(COUNT))
    found = ranked(part, forms, forms[1], trap(part), ones)
    assert found[0].terms == right.terms and found[0].start[0] == pytest.approx(-1 / 1.3, rel=0.2)
    assert len(found) == 3


@pytest.mark.parametrize("loud", [True, False])
def test_in_noise_strengths_stand_beside_closed_forms_and_not_beside_the_networks_word(monkeypatch, loud):
    def told(part):
        pairs = part.weighed(Strengths(SOURCE, RESPONSE)).pairs(part.vectors(pull(part.named["d"]), "u"))
        wrong = 0.1 * np.random.default_rng(0).normal(size=(part.labels.size, 1))
        return Rows(part, {"u": pairs.reshape(-1, 1), "own": wrong - 0.3 * trap(part)})

    each = tuple(told(rows(SOURCE, RESPONSE, noise=0.3, seed=seed, graphs=200)) for seed in range(3))
    asked = []
    monkeypatch.setattr(prepare, "pair_functions", lambda *_: SimpleNamespace(functions={}))
    monkeypatch.setattr(prepare, "is_loud", lambda _: loud)
    alike = SimpleNamespace(mode="none")
    monkeypatch.setattr(prepare, "weigh", lambda *given: asked.append(given[3]) or (alike, None))
    model = SimpleNamespace(basis=ISOTROPIC)
    evidence = SimpleNamespace(individuals=("a",), optional=True, order=2, model=model)
    assert prepare._hidden(SimpleNamespace(say=lambda _: None), evidence, each) is None
    parts, forms = asked[0]
    assert parts == ([] if loud else ["own"])
    assert "trap" in [form.name for form in forms] and len(forms) == len({form.name for form in forms})


@pytest.mark.parametrize("mode", ["source", "response", "both", "symmetric"])
def test_strengths_that_scatter_no_more_than_their_errors_are_alike(mode: str):
    ones = Strengths(np.ones(COUNT), np.ones(COUNT))
    alike, apart = rows(np.ones(COUNT), np.ones(COUNT), 1.0, 3), rows(SOURCE, RESPONSE, 1.0, 3)
    for part, low, high in ((alike, 0.2, 2.0), (apart, 5.0, np.inf)):
        found = weighed(part, form("exp(-r/1.3)/r"), trap(part), mode, ones)
        assert low < scatter(found, part, trap(part)) <= high
    signs = replace(found, strengths=Strengths(np.resize([1.0, -1.0], COUNT), np.ones(COUNT)))
    assert scatter(signs, part, trap(part)) == np.inf


def test_intervals_hold_strengths_of_very_unlike_size():
    """What is faint is seen in what it pulls at, relative to what that is used to."""
    source = np.array([1.0, 1e-3, 3e-4, 1e-5, 2e-4, 5e-5])
    part = rows(source, np.ones(COUNT), 1e-5, 5)
    start = Strengths(np.full(COUNT, 0.5), np.ones(COUNT))
    two = Form.of(sympy.sympify("exp(-r/1.3)/r"), "u")
    found = weighed(part, two, trap(part), "source", start)
    assert scaled(found.strengths.source)[:3] == pytest.approx(source[:3], rel=0.02)
    shared = drawn(
        weighed(part, together_with_trap(two), np.zeros((part.labels.size, 0)), "source", start),
        part,
        np.zeros((part.labels.size, 0)),
        Convention((1, 1e-3), (0, 1.0)),
        0,
        200,
    )
    assert shared.weighed.strengths.source[1] == pytest.approx(1e-3)
    assert (shared.source[:, 1] == pytest.approx(1e-3)) and (shared.weighed.strengths.response == 1).all()
    low, high = np.quantile(shared.source, [0.001, 0.999], axis=0)
    assert ((low <= source * 1.000001) & (source <= high * 1.000001)).all()
    assert shared.weighed.fit.factors[0] == pytest.approx(1, rel=0.02)


def together_with_trap(pair):
    return together(pair, Form("trap", (Term(sympy.symbols("x y"), None),)))


def test_kinds_are_counted_and_none_is_made_up():
    rng = np.random.default_rng(0)

    def strength(values, error=0.02):
        return Strength(values, values + error * rng.normal(size=(300, len(values))))

    two = np.array([1.0, 2.5, 1.0, 2.5, 2.5, 1.0, 1.0, 2.5]) + 0.01 * rng.normal(size=8)
    label, sure = kinds([strength(two)])
    assert len(set(label)) == 2 and len({*label[[0, 2, 5, 6]]}) == 1 and (sure > 0.99).all()
    assert kinds([strength(np.linspace(0.5, 3.0, 8))]) is None
    sentences = told("source", strength(two), strength(np.ones(8)), {"size": two**2})
    assert any("fall alike" in s for s in sentences) and any("size to the power 0.5" in s for s in sentences)


def test_the_network_reads_who_a_particle_is_and_says_how_strong():
    torch.manual_seed(0)
    model = ParticleGNN(2, 2, 8, basis=ISOTROPIC, individuals=COUNT, hidden=2, silent_start=False).eval()
    part = rows(SOURCE, RESPONSE)
    x, a = part.graphs.features, part.graphs.accelerations
    model.calibrate(x, a)
    assert model.frame.loudness.numpy() == pytest.approx(part.usual / np.median(part.usual), rel=0.2)
    dense, _ = model(x[:2])
    receiver, sender = complete_graph(COUNT)
    flat, _ = model(x[0], torch.stack([sender, receiver]))
    assert torch.allclose(dense[0], flat, atol=1e-5)
    swapped = x[:1].clone()
    swapped[..., -1] = swapped[..., -1].flip(1)
    assert not torch.allclose(model(swapped)[0], dense[:1])
    dense.sum().backward()
    assert model.frame.hidden.grad.abs().min() > 0
    again = ParticleGNN(2, 2, 8, basis=ISOTROPIC, individuals=COUNT, hidden=2).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(x[:2])[0], dense)
    start, factors = read_off(model, part)
    assert start.source.shape == start.response.shape == (COUNT,) and 0 <= factors.share <= 1
    points = curve(part, part.named["d"] * part.weighed(Strengths(SOURCE, RESPONSE)).strength,
                   Strengths(SOURCE, RESPONSE))  # fmt: skip
    assert points.y == pytest.approx(points.X[:, 0])


def test_exports_take_the_labels_of_individuals(tmp_path):
    part, dim = rows(SOURCE, RESPONSE), 2
    law = Law(tuple(sympy.sympify(f"t1*s2*exp(-d/1.3)/d*d{axis}/d") for axis in "xy"),
              tuple(sympy.sympify(f"-0.3*{axis} + 0.7*t1*v{axis}/s1") for axis in "xy"))  # fmt: skip
    names = ["sun", "b", "c", "d", "e", "f"]
    table = zip(names, SOURCE, RESPONSE, strict=True)
    hidden = {n: {"source": [s, s, s], "response": [t, t, t]} for n, s, t in table}
    content = law.to_dict() | {"hidden": hidden, "softening": 0.0}
    content = json.loads(json.dumps(content))
    export(law, content, tmp_path)
    spec = importlib.util.spec_from_file_location("law_numpy", tmp_path / "law_numpy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x, a = part.graphs.features[0].numpy(), part.graphs.accelerations[0].numpy()
    v = x[:, dim : 2 * dim]
    a = a + 0.7 * (RESPONSE / SOURCE)[:, None] * v
    order = np.array([3, 0, 5, 1, 2, 4])
    found = module.acceleration(x[order, :dim], v[order], ids=np.array(names)[order])
    assert found == pytest.approx(a[order], rel=1e-4, abs=1e-5)
    with pytest.raises(ValueError, match="sun"):
        module.acceleration(x[:, :dim])
    assert LawModule.from_law(content)(part.graphs.features[:1])[0].detach().numpy() == pytest.approx(
        a, rel=1e-4, abs=1e-5
    )
