"""Where noise hides forces from a network, free curves of the labels stand in its place."""

from dataclasses import replace

import numpy as np
import sympy

from gnn_distill.data.graphs import Subset
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.choose import beaten, compared, simplest
from gnn_distill.distil.motion.curves import COUNT, Curve, drawn
from gnn_distill.distil.motion.digest import Digest, _without, digested
from gnn_distill.distil.motion.fit import NOTHING, Form, fit, together
from gnn_distill.distil.motion.own import fields
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.target import Splines
from tests.unit.distil.test_motion import COLUMNS, form, graphs, network, rows, yukawa

STILL = {"drag": 0.0, "field": 0.0}


def blind(data: Subset) -> Rows:
    """Rows, and a network that knows nothing of them."""
    part = rows(data)
    return Rows(part, {key: 0.0 * column for key, column in network(part).items()})


def points(r: np.ndarray, f: np.ndarray) -> Points:
    return Points(r[:, None], f, np.ones(len(r)), ("r",))


def test_a_curve_finds_what_the_network_has_not_learned():
    noise = 3.0  # beside forces of about 1.5
    seen, unseen = (blind(graphs(6000, noise, seed, **STILL)) for seed in (3, 4))
    search = Search(None, seen, unseen, 1, lambda key: [])
    r = np.linspace(0.5, 3.0, 40)
    found, sides = drawn(search, {"u": points(r, 0.0 * r)})
    assert found is not None
    np.testing.assert_array_equal(sides[1].told, found.of(unseen).told)
    assert found.own.form.name == "trap"
    told = found.pairs["u"].points(points(r, 0.0 * r)).y
    assert np.abs(told - yukawa(r)).mean() < 0.2 * yukawa(r).mean()
    label = found.of(unseen).told
    truth = rows(graphs(6000, 0.0, 4, **STILL)).labels
    assert np.median(np.abs(label - truth)) < 0.2 * np.median(np.abs(truth))


def test_what_a_network_has_learnt_by_heart_does_not_stand_in_the_way_of_curves():
    noise, r = 3.0, np.linspace(0.5, 3.0, 40)
    seen, unseen, fresh = (blind(graphs(2000, noise, seed, soft, **STILL)) for seed in (3, 4, 5))
    rng, heard = np.random.default_rng(0), []
    for one in (seen, unseen):
        labels = one.motion.labels.reshape(-1, 1)
        own = labels + 2 * noise * rng.normal(size=labels.shape)
        heard.append(replace(one, network={**one.network, "own": own}))
    search = Search(None, *heard, 1, lambda key: [])
    whole = seen.motion, rows(graphs(600, noise, 3, soft, **STILL))
    assert drawn(search, {"u": points(r, 0.0 * r)}, whole)[0] is None
    found, sides = drawn(search, {"u": points(r, 0.0 * r)}, whole, fresh)
    assert found is not None and sides[0].motion.count


def test_a_network_that_tells_as_much_is_left_alone():
    seen, unseen = (rows(graphs(400, 0.5, seed, **STILL)) for seed in (3, 4))
    both = [Rows(part, {**network(part, 0.0), "own": -0.8 * place(part)}) for part in (seen, unseen)]
    r = np.linspace(0.5, 3.0, 40)
    found, sides = drawn(Search(None, *both, 1, lambda key: []), {"u": points(r, yukawa(r))})
    assert found is None and sides == tuple(both)


def place(part):
    return np.stack([part.nodes.named[a] for a in "xy"], axis=1).reshape(-1, 1)


def soft(d: np.ndarray) -> np.ndarray:
    """A force that is finite everywhere."""
    return 1.7 * np.exp(-d / 0.9)


def digest(noise: float, seed: int) -> Digest:
    """Six thousand frames, digested."""
    part = rows(graphs(6000, noise, seed, soft, **STILL))
    sample = rows(graphs(600, 0.0, seed + 1, soft, **STILL))
    known = [f for f in fields(part.edges.columns, 1, ()) if not f.symbols]
    return digested(part, sample, sympy.S.One, Splines(part.named["r"], COUNT), known)


def trap() -> Form:
    return next(f for f in fields(COLUMNS, 1, ()) if f.name == "trap")


def test_a_digest_tells_what_all_rows_tell():
    law = together(form("1.2*exp(-1.3*d)"), trap())
    whole, few = (fit(part, law) for part in (rows(graphs(6000, 3.0, 3, soft, **STILL)), digest(3.0, 3)))
    np.testing.assert_allclose(few.factors, whole.factors, rtol=0.1)
    np.testing.assert_allclose(few.constants, whole.constants, rtol=0.1)
    np.testing.assert_allclose(few.factors, [1.7, -0.8], rtol=0.2)


def test_errors_of_a_digest_are_one():
    found = digest(3.0, 3)
    rest = found.labels - fit(found, together(form("exp(-1.11*d)"), trap())).predicted(found)
    assert 0.6 < np.mean(rest**2) < 1.6


def test_all_rows_choose_where_half_of_them_could_not():
    found = digest(8.0, 5)
    forms = [NOTHING, form("1/d"), form("exp(-1.11*d)"), form("exp(-1.11*d)/d")]
    tried = compared([fit(found, together(f, trap())) for f in forms], found)
    chosen, level = simplest(tried, found)
    assert chosen is tried[2]
    assert all(beaten(t, chosen, 1.0) for t in tried[:2])


def test_a_curve_says_how_sure_it_is():
    search = Search(
        None, *(blind(graphs(2000, 3.0, seed, soft, **STILL)) for seed in (3, 4)), 1, lambda key: []
    )
    r = np.linspace(0.5, 3.0, 40)
    found, _ = drawn(search, {"u": points(r, 0.0 * r)})
    told = {
        key: np.array(values) for key, values in found.to_dict(search.seen.motion.named["d"])["u"].items()
    }
    off = (told["f"] - soft(told["d"])) / told["error"]
    assert (told["error"] > 0).all() and 0.3 < np.sqrt(np.mean(off**2)) < 2.5


def test_forms_are_ranked_by_how_near_they_come_to_a_curve():
    r = np.linspace(0.4, 3.0, 400)
    splines = Splines(r, COUNT)
    factors = np.linalg.lstsq(splines(r), yukawa(r), rcond=None)[0]
    curve = Curve(sympy.S.One, splines, factors, splines(r).T @ splines(r) / 0.02**2)
    forms = [form("1/d"), form("exp(-1.5*d)*(1/d**2 + 1.5/d)"), form("log(d - 1)"), form("1/d**2")]
    kept = curve.nearest(forms, points(r, yukawa(r)), 2)
    assert any(f.terms == forms[1].terms for f in kept)
    moved = next(f for f in kept if f.terms == forms[1].terms)
    assert len(moved.start) == len(forms[1].start)
    assert all(f.terms != forms[2].terms for f in kept)  # no value at small distances


def test_the_choice_among_forms_that_noise_hides_goes_by_their_length_in_bits():
    found = digest(3.0, 3)
    one = fit(found, together(form("exp(-1.11*d)"), trap()))
    shorter, longer = (replace(one, form=replace(one.form, name=str(size), size=size)) for size in (5, 9))
    assert simplest(compared([longer, shorter], found), found)[0].fit is shorter
    settled = replace(shorter, form=replace(shorter.form, settled=1))  # an exponent that data have chosen
    assert simplest(compared([longer, settled], found), found)[0].fit is longer


def test_kicks_are_taken_out_of_a_digest():
    rng = np.random.default_rng(0)
    kicks, other = rng.normal(size=(400, 1)), rng.normal(size=(400, 2))
    clean = _without(other + 3.0 * kicks, kicks)
    assert np.abs(kicks.T @ clean).max() < 1e-9
    np.testing.assert_array_equal(_without(other, 0.0 * kicks), other)
