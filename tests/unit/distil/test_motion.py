"""Closed forms are fitted to labels end to end, and chosen by runs that no fit has seen."""

import dataclasses
import re

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.expressions.evaluate import constants
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.candidates import candidates
from gnn_distill.distil.motion.choose import compared, simplest
from gnn_distill.distil.motion.fit import NOTHING, Fit, Form, Term, fit, settled, together
from gnn_distill.distil.motion.friction import damped
from gnn_distill.distil.motion.law import Spread, numbers, spread, written
from gnn_distill.distil.motion.own import fields, selected, walls, wells
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.trust import (
    CARRIED,
    MISFIT,
    _together,
    alike,
    carried,
    errors,
    fitting,
    verdict,
)
from gnn_distill.physics.variables import Columns

N = 6
COLUMNS = Columns(2, softening=0.0)


def yukawa(d, strength=1.7, length=0.9):
    """A force along Δ/d."""
    return strength * np.exp(-d / length) * (1 / d**2 + 1 / (length * d))


def graphs(count=400, noise=0.0, seed=0, pair=yukawa, drag=0.4, trap=0.8, field=1.3, runs=20):
    """Snapshots of charges in a trap, with drag and a magnetic field; each component has an error."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, N, COLUMNS.count))
    x[..., COLUMNS.charge] = rng.choice([-1.0, 1.0, 2.0], (count, N))
    x[..., COLUMNS.mass] = rng.uniform(0.5, 2, (count, N))
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = np.linalg.norm(delta, axis=-1) + np.eye(N)
    f = np.where(np.eye(N) > 0, 0.0, pair(d))
    place, v = x[..., COLUMNS.position], x[..., COLUMNS.velocity]
    turned = np.stack([v[..., 1], -v[..., 0]], -1)
    share = x[..., COLUMNS.charge] / x[..., COLUMNS.mass]
    a = (f[..., None] * delta / d[..., None]).sum(2) - trap * place - drag * v
    a += field * share[..., None] * turned + noise * rng.normal(size=a.shape)
    of = torch.arange(count) * runs // count
    return Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0)


def rows(data: Subset) -> Motion:
    return motion(data, complete_graph(N))


def form(text: str, along: str = "u") -> Form:
    return Form.of(sympy.sympify(text), along, text)


def network(part: Motion, wrong=0.02, seed=1) -> dict[str, np.ndarray]:
    """What a network with errors of its own says of some rows."""
    error = 1 + wrong * np.random.default_rng(seed).normal(size=len(part.named["d"]))
    pairs = part.pairs((yukawa(part.named["d"]) * error)[:, None] * part.directions["u"])
    return {"u": pairs.reshape(-1, 1), "own": np.zeros((part.labels.size, 1))}


def test_factors_and_constants_are_those_that_were_planted():
    part = rows(graphs(noise=0.01))
    acting = ("trap", "drag", "magnetic force × q1/m1")
    own = together(*(f for f in fields(COLUMNS, 2, ["m1", "q1"]) if f.name in acting))
    found = fit(part, together(form("1.2*exp(-d/1.3)*(1/d**2 + 1.5/d)"), own))
    assert sorted(found.constants) == pytest.approx([-1 / 0.9, 1 / 0.9], rel=0.02)
    assert found.factors == pytest.approx([1.7, -0.8, -0.4, 1.3], rel=0.01)


def test_in_loud_noise_a_settled_fit_rests_wherever_it_began():
    part = rows(graphs(noise=20.0, count=300, trap=0.0, drag=0.0, field=0.0))
    law, begun = form("1.2*exp(-d/1.3)*(1/d**2 + 1.5/d)"), (0.5, 2.0)
    found = [settled(part, law, start=[s * k for s in law.start]) for k in begun]
    again = fit(part, law, start=found[0].constants.tolist())
    for one in (*found[1:], again):
        assert one.constants == pytest.approx(found[0].constants, rel=2e-3)
        assert one.factors == pytest.approx(found[0].factors, rel=2e-3)


def test_a_few_labels_that_are_far_off_move_nothing():
    data = graphs(noise=0.01)
    bad = data.accelerations.clone()
    bad[::40] += 1e3
    found = fit(rows(dataclasses.replace(data, accelerations=bad)), form("1/d**2"))
    clean = fit(rows(data), form("1/d**2"))
    assert found.factors == pytest.approx(clean.factors, rel=0.1)


@pytest.mark.parametrize("standing", [0, 5])
@pytest.mark.parametrize(
    ("drive", "told"),
    [
        (lambda v: v / v.norm(dim=-1, keepdim=True).clamp(min=1e-12), {"drag", "propulsion"}),
        (lambda v: v.sign() * torch.tensor([1.0, 0.0]), {"drag", "drive along x"}),
    ],
)
def test_particles_that_drive_themselves_are_told_from_those_that_are_slowed(drive, told, standing: int):
    parts = []
    for seed in (0, 1):
        data = graphs(trap=0.0, field=0.0, drag=0.8, seed=seed)
        v = data.features[..., COLUMNS.velocity]
        rest = torch.arange(len(v)) < standing  # those who stand are not driven
        data.accelerations[rest] += 0.8 * v[rest]
        v[rest] = 0.0
        pushed = data.accelerations + 1.1 * drive(v)
        noise = 0.05 * torch.randn(pushed.shape, generator=torch.Generator().manual_seed(seed))
        parts.append(rows(dataclasses.replace(data, accelerations=pushed + noise)))
    pairs = network(parts[0])["u"], network(parts[1])["u"]
    found = selected(*parts, fields(COLUMNS, 2, ["m1", "q1"]), pairs)
    assert {f.name for f in found} == told


def test_the_one_body_terms_that_act_are_selected_and_no_others():
    seen, unseen = rows(graphs(noise=0.05)), rows(graphs(noise=0.05, seed=1))
    choices = fields(COLUMNS, 2, ["m1", "q1"])
    pairs = network(seen)["u"], network(unseen)["u"]
    assert {f.name for f in selected(seen, unseen, choices, pairs)} == {
        "trap", "drag", "magnetic force × q1/m1"
    }  # fmt: skip


def test_a_drive_and_the_drag_that_balances_it_are_found_together():
    """Walkers near their own speed: neither term alone explains anything, and drag is one vector."""

    def walkers(seed: int) -> Motion:
        data = graphs(noise=0.002, seed=seed, drag=0, trap=0, field=0)
        rng = np.random.default_rng(50 + seed)
        x = data.features.clone()
        heading = torch.tensor(rng.choice([-1.0, 1.0], (len(x), N)))
        small = 0.05 * torch.tensor(rng.normal(size=(len(x), N, 2)))
        x[..., COLUMNS.velocity] = (small + torch.stack([1.3 * heading, 0 * heading], -1)).float()
        x = torch.cat([x, heading[..., None].float()], -1)
        return rows(
            dataclasses.replace(
                data, features=x, accelerations=data.accelerations - 2.0 * small.float(), further=("ex",)
            )
        )

    seen, unseen = walkers(0), walkers(1)
    columns = dataclasses.replace(COLUMNS, further=("ex",))
    found = selected(seen, unseen, fields(columns, 2, []), (network(seen, 0)["u"], network(unseen, 0)["u"]))
    assert {f.name for f in found} == {"drag", "ex1 along x"}


def test_soft_walls_are_found_where_they_stand():
    def between(seed: int) -> Motion:
        data = graphs(noise=0.02, seed=seed, drag=0, trap=0, field=0)
        x = data.features[..., :2]
        return rows(
            dataclasses.replace(data, accelerations=data.accelerations + 6.0 * (x.clamp(-1.2, 1.5) - x))
        )

    seen, unseen = between(0), between(1)
    place = seen.nodes.named["x"], seen.nodes.named["y"]
    choices = [*fields(COLUMNS, 2, []), *walls(np.stack(place, axis=1))]
    found = selected(seen, unseen, choices, (network(seen)["u"], network(unseen)["u"]))
    bounds = {f.name: f.start[0] for f in found if f.symbols}
    assert bounds == pytest.approx(
        {f"soft wall at {s} {a}": b for a in "xy" for s, b in (("low", -1.2), ("high", 1.5))}, rel=0.03
    )


def test_a_wall_may_stand_on_either_side_of_the_origin():
    data = graphs(noise=0.02, drag=0, trap=0, field=0)
    x = data.features[..., :2] * torch.tensor([1.0, 0.0])
    part = rows(dataclasses.replace(data, accelerations=data.accelerations - 6.0 * (x + 0.05).clamp(max=0)))
    (low,) = [w for w in walls(np.stack([part.nodes.named["x"]], axis=1)) if "low" in w.name][:1]
    wall = dataclasses.replace(
        low, terms=(dataclasses.replace(low.terms[0], forms=(*low.terms[0].forms, sympy.S.Zero)),)
    )
    for start in (-0.4, 0.4):
        found = fit(part, wall, network(part, 0)["u"], [start])
        assert found.constants == pytest.approx([-0.05], abs=0.03)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (0.6, -0.3)])
def test_a_gaussian_well_is_found_with_its_place(centre: tuple[float, float]):
    def in_tweezers(seed: int) -> Motion:
        data = graphs(noise=0.01, seed=seed, drag=0, trap=0, field=0)
        x = data.features[..., :2] - torch.tensor(centre)
        force = -3.0 * x * torch.exp(-(x**2).sum(-1, keepdim=True) / 1.4)
        return rows(dataclasses.replace(data, accelerations=data.accelerations + force))

    seen, unseen = in_tweezers(0), in_tweezers(1)
    place = np.stack([seen.nodes.named["x"], seen.nodes.named["y"]], axis=1)
    choices = [*fields(COLUMNS, 2, []), *walls(place), *wells(place)]
    (found,) = selected(seen, unseen, choices, (network(seen)["u"], network(unseen)["u"]))
    off = any(centre)
    assert found.name == "Gaussian well" + (" off the origin" if off else "")
    assert found.start == pytest.approx((*(centre if off else ()), 1.4), rel=0.03, abs=0.01)


def test_nothing_acts_where_labels_are_noise():
    noise = [rows(graphs(noise=1.0, pair=lambda d: 0 * d, drag=0, trap=0, field=0, seed=s)) for s in (3, 4)]
    choices = fields(COLUMNS, 2, ["m1", "q1"])
    nothing = np.zeros((noise[0].labels.size, 0)), np.zeros((noise[1].labels.size, 0))
    assert selected(noise[0], noise[1], choices, nothing) == []
    fits = [fit(noise[0], f) for f in (NOTHING, form("1.0/d"), form("1.0*exp(-1.0*d)"))]
    assert simplest(compared(fits, noise[1]), noise[1])[0].fit.form is NOTHING


def search(noise: float, seed: int = 0) -> tuple[Search, Motion]:
    few, seen, unseen = (rows(graphs(count, noise, seed + k)) for k, count in enumerate((100, 400, 300)))
    named, f = (
        few.named,
        yukawa(few.named["d"]) * (1 + 0.03 * np.random.default_rng(5).normal(size=len(few.named["d"]))),
    )
    names = ("r", "m1", "m2", "q1", "q2")
    points = Points(np.stack([named[n] for n in names], axis=1), f, np.ones(len(f)), names)
    parts = [Rows(part, network(part, seed=k)) for k, part in enumerate((few, seen, unseen))]
    return Search(*parts, 2, lambda key: candidates(points, None, key)), seen


def test_the_law_is_found_by_its_name_with_intervals_beside_its_rivals():
    job, seen = search(noise=0.05)
    chosen = job.run()
    assert chosen.pairs["u"].name == "screened Coulomb (Yukawa)"
    assert {f.name for f in chosen.own} == {"trap", "drag", "magnetic force × q1/m1"}
    last = fit(seen, chosen.form)
    law = written(last, COLUMNS, 2)
    (bounds, _), alone = numbers(last, law, COLUMNS, spread(last, seen))
    low, high = bounds[0]
    assert low - (high - low) < 1.7 < high + (high - low) and 0 < high - low < 0.05
    assert all(row[0] < row[1] for table in alone for row in table)
    assert str(law.radial) == str(law.functions["u"]) and "d" in {str(s) for s in law.radial.free_symbols}
    test = rows(graphs(noise=0.05, seed=9))
    content = law.to_dict() | errors(last.predicted(test), test, test.labels)
    trust, doubts = verdict(content, test, noise=0.05)
    assert trust["level"] == "exact" and doubts == []


def test_intervals_hold_the_truth():
    held = []
    for seed in range(12):
        part = rows(graphs(120, 0.1, 20 + seed, drag=0, trap=0, field=0, runs=30))
        known = spread(found := fit(part, form("1.2*exp(-d/1.3)*(1/d**2 + 1.5/d)")), part)
        bounds = known.values[:, None] + known.intervals(np.eye(3))
        truth = [*(np.sign(found.constants) / 0.9), 1.7]
        held += [low <= t <= high for t, (low, high) in zip(truth, bounds, strict=True)]
        assert found.factors == pytest.approx([1.7], rel=0.3)
    assert np.mean(held) >= 0.85


def test_intervals_follow_their_numbers_however_sympy_sorts_summands():
    form = together(*(f for f in fields(COLUMNS, 2, []) if f.name in ("trap", "drag")))
    draws = np.random.default_rng(0).normal(size=(400, 2)) * [1e-3, 1e-4]
    for factor in np.linspace(1.0, 1.1, 8):
        factors = factor * np.array([-0.835, -0.2264])
        found = Fit(form, np.zeros(0), factors, np.zeros(0))
        law = written(found, COLUMNS, 2)
        _, (along_x, _) = numbers(found, law, COLUMNS, Spread(factors, factors + draws))
        for value, (low, high) in zip(constants(law.one_body[0]), along_x, strict=True):
            size = 1e-3 if value < -0.5 else 1e-4
            assert low < value < high and high - low == pytest.approx(3.9 * size, rel=0.2)


def test_what_the_data_cannot_tell_apart_is_said():
    """A linear pair force and a trap pull alike where the centre of mass rests."""
    data = graphs()
    x = data.features.clone()
    x[..., :2] -= x[..., :2].mean(1, keepdim=True)
    part = rows(dataclasses.replace(data, features=x))
    trap = [f for f in fields(COLUMNS, 2, []) if f.name == "trap"]
    both = fit(part, together(form("-1.0*d"), *trap))
    assert alike(both, part, ["the pair force", "the trap"])
    assert not alike(fit(part, together(form("1.0/d"), *trap)), part, ["the pair force", "the trap"])


@pytest.mark.parametrize(("swing", "by"), [(0.0, "1"), (1.5, "1"), (1.5, "1/m₁"), (1.5, "q₁/m₁")])
def test_what_carries_all_particles_of_a_frame_is_seen(swing: float, by: str):
    data = graphs(noise=0.05, drag=0, trap=0, field=0)
    shared = swing * np.cos(0.4 * np.arange(len(data)))[:, None, None] * np.array([1.0, 0.0])
    if by != "1":
        m, q = (data.features[..., k].numpy() for k in (COLUMNS.mass, COLUMNS.charge))
        shared = shared * ((q if "q" in by else 1) / m)[..., None]
    part = rows(dataclasses.replace(data, accelerations=data.accelerations + torch.tensor(shared).float()))
    found = fit(part, form("1.2*exp(-d/1.3)*(1/d**2 + 1.5/d)"))
    rest = found.predicted(part) - part.labels
    said = carried(rest, part, 0.05)
    assert bool(said) == (swing > 0)
    how = "the same" if by == "1" else f"the same, times {by},"
    assert not swing or re.match(
        rf"(9\d|100) % of what is left is {how} for all particles of a frame", said[0]
    )
    alone = rest + np.random.default_rng(0).normal(size=rest.shape) * 2 * np.abs(rest).max()
    assert not carried(alone, part, 0.05)  # each by itself, and far more than noise
    alone.reshape(-1, N, 2)[:, 0] *= 100
    assert not carried(alone, part, 0.05)  # not because one is loud, either


def test_in_loud_noise_a_law_that_misses_the_free_curves_is_none():
    part = rows(graphs(noise=0.05, drag=0, trap=0, field=0))
    one = compared([fit(part, form("1/d**2"))], part)[0]
    exact = {"level": "exact", "sentence": "As exact as the data."}

    def left(value: float) -> dict[str, str]:
        return fitting(exact, [dataclasses.replace(one, losses=np.full(20, value), count=300)])

    assert left(0.9) == left(0.99 * MISFIT) == fitting(exact, [one]) == fitting(exact, []) == exact
    assert left(4.0)["level"] == "none" and "2.0 standard errors" in left(4.0)["sentence"]


@pytest.mark.parametrize("window", [7, 15])
def test_labels_that_are_averages_are_compared_with_averages(window: int):
    """A frame's label is Σ K a over a window; a law whose accelerations are averaged alike leaves nothing."""
    frames = 120
    apart = 1.0 + 0.3 * np.sin(0.2 * np.arange(frames))
    kernel = np.hanning(window + 2)[1:-1] / np.hanning(window + 2).sum()
    smooth = np.convolve(1.4 / apart**2, kernel, mode="same")
    x, a = np.zeros((frames, 2, COLUMNS.count)), np.zeros((frames, 2, 2))
    x[:, 0, 0], x[:, 1, 0], x[..., COLUMNS.mass] = apart / 2, -apart / 2, 1.0
    a[:, 0, 0], a[:, 1, 0] = smooth, -smooth
    of = torch.zeros(frames).long()
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0)
    weak = fit(motion(data, complete_graph(2), tuple(kernel)), form("1/d**2"))
    assert weak.factors[0] == pytest.approx(1.4, rel=1e-5)
    assert abs(fit(rows_of_two(data), form("1/d**2")).factors[0] - 1.4) > 1e-3


def rows_of_two(data: Subset) -> Motion:
    return motion(data, complete_graph(2))


def test_a_wall_that_few_particles_have_met_is_found_and_none_where_none_is():
    def rows_with(wall: float, noise: float, seed: int) -> Motion:
        data = graphs(noise=noise, seed=seed, drag=0, trap=0, field=0)
        x = data.features[..., :2]
        beyond = (x - torch.tensor([wall, 9.0])).clamp(min=0)
        return rows(dataclasses.replace(data, accelerations=data.accelerations - 6.0 * beyond))

    met = [rows_with(2.7, 1e-4, seed) for seed in (3, 4)]
    place = np.stack([met[0].nodes.named[a] for a in "xy"], axis=1)
    assert 2 < (place[:, 0] > 2.7).sum() < 12
    for parts, told in ((met, ["soft wall at high x"]), ([rows_with(9.0, 0.3, s) for s in (3, 4)], [])):
        pairs = network(parts[0], 0)["u"], network(parts[1], 0)["u"]
        assert [f.name for f in selected(*parts, walls(place), pairs)] == told


@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
def test_a_fit_is_as_exact_in_any_unit(unit: float):
    data = graphs(noise=1e-6, drag=0, trap=0, field=0)
    part = rows(dataclasses.replace(data, accelerations=unit * data.accelerations.double()))
    found = fit(part, form("1.2*exp(-d/1.3)*(1/d**2 + 1.5/d)"))
    assert sorted(found.constants) == pytest.approx([-1 / 0.9, 1 / 0.9], rel=1e-4)
    assert found.factors == pytest.approx([1.7 * unit], rel=1e-4)


def test_a_column_that_holds_nothing_does_no_harm():
    part = rows(graphs(drag=0, trap=0, field=0))
    empty = np.full((part.labels.size, 2), 1e-290) * np.random.default_rng(0).normal(
        size=(part.labels.size, 2)
    )
    empty[:, 1] = 0.0
    found = fit(part, form("1.2*exp(-d/0.9)*(1/d**2 + 1/(0.9*d))"), empty)
    assert found.extra.tolist() == [0.0, 0.0] and found.factors == pytest.approx([1.7], rel=1e-2)


@pytest.mark.parametrize("text", ["uw*exp(-d/0.8)", "uw*Max(0, 1.9 - d)**2", "uw/d"])
def test_friction_along_the_line_is_told_beside_a_force(text: str):
    part = rows(graphs(drag=0, trap=0, field=0, noise=1e-4))
    rubbed = Term((parse(text),), "u").column(part, {})
    slowed = part.relabelled(part.labels - 0.6 * rubbed)
    known = form("1.0*exp(-d/0.9)*(1/d**2 + 1/(0.9*d))")
    fits = [fit(slowed, one) for one in damped(known, "u", part.named["d"])]
    best = min(fits, key=lambda f: float(np.abs(f.predicted(slowed) - slowed.labels).mean()))
    assert best.factors == pytest.approx([1.7, -0.6], rel=0.01)
    assert best.form.terms[-1].moving and not best.form.terms[0].moving


def test_a_magnetic_force_in_space_is_one_term_for_each_axis_of_the_field():
    columns = Columns(3, softening=0.0)
    magnetic = {f.name: f.terms[0].forms for f in fields(columns, 2, []) if "magnetic" in f.name}
    v = sympy.symbols("vx vy vz")
    assert magnetic == {
        "magnetic force, field along x": (0, v[2], -v[1]),
        "magnetic force, field along y": (-v[2], 0, v[0]),
        "magnetic force, field along z": (v[1], -v[0], 0),
    }


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_well_whose_rim_nobody_sees_stands_for_no_cubic_force(noise: float):
    def in_a_trap(seed: int) -> Motion:
        data = graphs(noise=noise, seed=seed, drag=0, trap=0, field=0)
        y = data.features[..., 1].clamp(-1.5, 1.5)
        data.features[..., 1] = y
        delta = data.features[:, :, None, :2] - data.features[:, None, :, :2]
        d = (delta.norm(dim=-1) + torch.eye(N)).numpy()
        f = torch.tensor(np.where(np.eye(N) > 0, 0.0, yukawa(d)))
        pair = (f[..., None] * delta / torch.tensor(d)[..., None]).sum(2)
        cubic = torch.stack([torch.zeros_like(y), -y - 0.5 * y**3], -1)
        error = noise * torch.tensor(np.random.default_rng(seed).normal(size=cubic.shape))
        return rows(dataclasses.replace(data, accelerations=(pair + cubic + error).float()))

    seen, unseen = in_a_trap(0), in_a_trap(1)
    place = np.stack([seen.nodes.named["x"], seen.nodes.named["y"]], axis=1)
    choices = [*fields(COLUMNS, 2, []), *wells(place)]
    found = selected(seen, unseen, choices, (network(seen, 0)["u"], network(unseen, 0)["u"]))
    rim = (np.quantile(np.abs(place[:, 1]), 0.999)) ** 2
    assert all(0 < f.start[-1] < 1.1 * rim for f in found if f.symbols)
    assert all(abs(f) < 20 for f in fit(seen, together(*found), network(seen, 0)["u"]).factors)


@pytest.mark.parametrize("signs", [(1, -1), (1, -1, 1, -1), (1, -1, 1, 1, -1)])
def test_what_unlike_charges_do_to_each_other_is_no_field(signs: tuple[int, ...]):
    """Equal and opposite for each pair: times the charges it points one way for a pair of unlike ones."""
    rng, q = np.random.default_rng(2), np.tile(np.array(signs, dtype=float), (200, 1))
    n = len(signs)
    push = rng.normal(size=(200, n, n, 2))
    pairs = np.where(np.outer(signs, signs)[..., None] < 0, push - push.swapaxes(1, 2), 0.0)
    assert _together(pairs.sum(2), q) < CARRIED
    swing = q[..., None] * rng.normal(size=(200, 1, 2))
    alone = _together(swing + 0.1 * rng.normal(size=swing.shape), q)
    assert alone > 0.9 or n == 2
