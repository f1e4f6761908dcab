"""Where noise hides forces from a network, free curves of the labels stand in its place."""

import numpy as np
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.curves import drawn
from gnn_distill.distil.motion.search import Rows, Search, nearest
from gnn_distill.distil.motion.segments import motion
from tests.unit.distil.test_motion import N, form, graphs, network, rows, yukawa

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
    found = drawn(search, {"u": points(r, 0.0 * r)})
    assert found is not None
    assert found.own.form.name == "trap"
    told = found.pairs["u"].points(points(r, 0.0 * r)).y
    assert np.abs(told - yukawa(r)).mean() < 0.2 * yukawa(r).mean()
    label = found.of(unseen).told
    truth = rows(graphs(6000, 0.0, 4, **STILL)).labels
    assert np.median(np.abs(label - truth)) < 0.2 * np.median(np.abs(truth))


def test_a_network_that_tells_as_much_is_left_alone():
    seen, unseen = (rows(graphs(400, 0.5, seed, **STILL)) for seed in (3, 4))
    both = [Rows(part, {**network(part, 0.0), "own": -0.8 * place(part)}) for part in (seen, unseen)]
    r = np.linspace(0.5, 3.0, 40)
    assert drawn(Search(None, *both, 1, lambda key: []), {"u": points(r, yukawa(r))}) is None


def place(part):
    return np.stack([part.nodes.named[a] for a in "xy"], axis=1).reshape(-1, 1)


def test_labels_of_several_frames_stand_beside_the_first_one():
    data = graphs(40, 0.0, runs=4)
    part = motion(data, complete_graph(N), pool=5)
    first = torch.arange(0, 40, 5)
    drawn_first = part.nodes.named["x"].reshape(-1, N)
    order = [int(np.argmin(np.abs(data.features[first, 0, 0].numpy() - x))) for x in drawn_first[:, 0]]
    labels = data.accelerations.reshape(8, 5, N, 2).mean(1).numpy()[order]
    np.testing.assert_allclose(part.labels.reshape(-1, N, 2), labels, rtol=1e-5, atol=1e-6)
    assert len(order) == 8 and part.frames == 1


def test_forms_are_ranked_by_how_near_they_come_to_a_curve():
    r = np.linspace(0.4, 3.0, 60)
    told = points(r, yukawa(r) * (1 + 0.02 * np.random.default_rng(0).normal(size=60)))
    forms = [form("1/d"), form("exp(-1.11*d)*(1/d**2 + 1.11/d)"), form("log(d - 1)"), form("1/d**2")]
    kept = nearest(forms, told, 2)
    assert kept[0] is forms[1] or kept[1] is forms[1]
    assert forms[2] not in nearest(forms, told, 4)  # no value at small distances
