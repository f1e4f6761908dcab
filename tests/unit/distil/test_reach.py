"""The distance at which a simulation has cut forces off."""

import dataclasses

import numpy as np
import pytest
import torch

from gnn_distill.distil.motion.reach import ended, nearer
from gnn_distill.distil.motion.rounds import Rounds
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Chosen, Rows, Search
from gnn_distill.distil.solve import Work
from tests.unit.distil.test_curves import points
from tests.unit.distil.test_motion import form, graphs, network, rows, yukawa
from tests.unit.distil.test_rounds import Still

ALONE = {"drag": 0.0, "field": 0.0, "trap": 0.0}
CUT = 1.8


def cut_off(d: np.ndarray) -> np.ndarray:
    return np.where(d < CUT, yukawa(d), 0.0)


def searched(pair, text: str, seeds=(0, 1)) -> tuple[Rounds, Chosen]:
    """What is found by forms that do not end."""
    made = (rows(graphs(400, 1e-6, seed, pair, **ALONE)) for seed in seeds)
    both = [Rows(part, {"u": network(part)["u"]}) for part in made]
    search = Search(both[0], *both, 2, lambda key: [form(text), form("1/d**2")], seconds=60.0)
    r = np.linspace(0.5, 3.0, 40)
    return Rounds(Work(Still(), 0), search, {"u": points(r, pair(r))}, 1e-6), search.run()


def as_it_is(reach: float, search: Search, chosen: Chosen) -> Chosen:
    return chosen


def test_the_distance_is_found_and_the_law_is_exact_within():
    cut = nearer(*searched(cut_off, "exp(-1.11*d)*(1/d**2 + 1.11/d)"), as_it_is)
    reach, rounds, chosen, _ = cut
    assert cut.holds()
    assert reach == pytest.approx(CUT, rel=0.01)
    assert sorted(chosen.pairs["u"].start) == pytest.approx([-1 / 0.9, 1 / 0.9], rel=1e-3)
    assert rounds.search.unseen.motion.named["d"].max() < reach
    assert rounds.points["u"].X.max() < reach


def test_a_force_that_does_not_end_has_none():
    assert nearer(*searched(yukawa, "exp(-1.11*d)*(1/d**2 + 1.11/d)"), as_it_is) is None


def test_a_wrong_form_is_not_cut_off_where_the_right_one_goes_on():
    wrong = searched(yukawa, "exp(-0.5*d)", (2, 3))
    assert ended(wrong[0].search, wrong[1]) is not None  # although that makes it better
    assert not nearer(*wrong, as_it_is).holds(wrong[0].rest(wrong[1]))


def test_two_directions_end_together():
    """A push and an alignment, both within a radius of sight."""

    def rows_of(seed: int) -> Rows:
        data = graphs(400, 0.0, seed, lambda d: np.where(d < CUT, 2 * np.exp(-d) + 0.3, 0.0), **ALONE)
        part = rows(data)
        near = (part.named["d"] < CUT)[:, None]
        turn = part.pairs(-0.4 * near * part.directions["w"])
        a = data.accelerations + torch.tensor(turn).float().reshape(data.accelerations.shape)
        part = rows(dataclasses.replace(data, accelerations=a))
        return Rows(part, {"u": network_of(part, near), "w": turn.reshape(-1, 1)})

    def network_of(part: Motion, near: np.ndarray) -> np.ndarray:
        d = part.named["d"][:, None]
        return part.pairs(near * (2 * np.exp(-d) + 0.3) * part.directions["u"]).reshape(-1, 1)

    known = {"u": [form("exp(-1.0*d) + 1.0"), form("1/d")], "w": [form("1", "w"), form("exp(-d)", "w")]}
    both = [rows_of(seed) for seed in (5, 6)]
    search = Search(both[0], *both, 2, known.__getitem__, seconds=60.0)
    r = np.linspace(0.5, 3.0, 40)
    told = {key: points(r, np.exp(-r)) for key in "uw"}
    cut = nearer(Rounds(Work(Still(), 0), search, told), search.run(), as_it_is)
    assert cut.reach == pytest.approx(CUT, rel=0.01) and cut.holds()
    assert {key: found.terms for key, found in cut.chosen.pairs.items()} == {
        key: known[key][0].terms for key in "uw"
    }
