"""Factors of pairs: found where a run's pairs have them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset
from gnn_distill.distil.hidden.edges import groups
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.motion import assemble
from gnn_distill.distil.motion.edges import Joined, joined
from gnn_distill.distil.motion.fit import Form, Term
from gnn_distill.distil.motion.search import Chosen
from gnn_distill.distil.motion.segments import motion

RUNS, FRAMES, N = 40, 32, 5
R = sympy.Symbol("r")
LINEAR = Form("spring", (Term((R,), "u"),))


def asked(
    k: np.ndarray, form: Form = LINEAR, more: tuple[Form, ...] = (), network: float = 0.0
) -> Joined | None:
    """The answer for forces −0.3 k_ij Δ in runs of smooth tracks, k of shape [RUNS, N, N].

    `network` is what share of the truth it tells.
    """
    rng = np.random.default_rng(3)
    rate, size = rng.uniform(0.02, 0.12, (RUNS, 1, N, 2)), rng.normal(size=(RUNS, 1, N, 2))
    x = 2 * size * np.sin(rate * np.arange(FRAMES)[:, None, None] + rng.uniform(0, 6, (RUNS, 1, N, 2)))
    exact = -0.3 * np.einsum("sij,stijk->stik", k, x[:, :, :, None] - x[:, :, None])
    a = exact + 0.01 * rng.normal(size=exact.shape)
    features = np.concatenate([x, np.zeros((*x.shape[:3], 3)), np.ones((*x.shape[:3], 1))], axis=-1)
    parts = (torch.tensor(p.reshape(-1, N, p.shape[-1]), dtype=torch.float32) for p in (features, a))
    whole = Subset(*parts, trajectory=torch.arange(RUNS).repeat_interleave(FRAMES), softening=0.0)
    one, two = np.nonzero(~np.eye(N, dtype=bool))
    rows = motion(whole, (torch.tensor(one), torch.tensor(two)), edges=10**6, whole_runs=True)
    chosen = Chosen({"u": form}, (), {}, {})
    return joined((rows, rows), (one, two), chosen, lambda: more, network * exact.reshape(-1, 2))


def drawn(values: tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Symmetric factors of pairs."""
    k = np.triu(np.random.default_rng(5).choice(values, size=(*shape, N, N)), 1)
    return np.broadcast_to(k + np.swapaxes(k, -1, -2), (RUNS, N, N))


def test_pairs_of_each_run_have_factors_of_their_own() -> None:
    k = drawn((0.0, 0.5, 1.0), (RUNS,))
    found = asked(k)
    assert found is not None and found.groups is not None and found.pairs.what == "pair"
    np.testing.assert_allclose(found.groups.centres, [0, 0.5, 1], atol=0.01)
    np.testing.assert_allclose(found.fit.factors, [-0.3], rtol=0.01)
    table = found.table("abcde")
    true = np.array(
        [k[run, "abcde".index(i), "abcde".index(j)] for run, i, j in table[["run", "one", "two"]].values]
    )
    sure = table["sure"].values > 0.95
    assert sure.mean() > 0.8
    assert (np.abs(table["group"].values - true)[sure] < 0.02).mean() > 0.98
    off = (table["factor"].values - true) / table["error"].values
    assert 0.6 < np.sqrt(np.mean(off**2)) < 1.5


def test_a_graph_that_all_runs_share_is_told_once() -> None:
    found = asked(drawn((0.0, 1.0), (1,)))
    assert found is not None and found.pairs.what == "label" and len(found.factors) == N * (N - 1) // 2


@pytest.mark.parametrize("of_runs", [False, True], ids=["all alike", "runs differ, pairs do not"])
def test_nothing_is_said_where_pairs_are_alike(of_runs: bool) -> None:
    k = np.ones((RUNS, N, N)) * (np.random.default_rng(1).uniform(0.2, 2, (RUNS, 1, 1)) if of_runs else 1.0)
    assert asked(k) is None


def test_an_average_of_unlike_pairs_may_look_like_another_law() -> None:
    bell = Form("bell", (Term((R * sympy.exp(-(R**2) / 30),), "u"),))
    found = asked(drawn((0.0, 0.5, 1.0), (RUNS,)), bell, (LINEAR,))
    assert found is not None and found.fit.form.terms == LINEAR.terms


def test_a_wrong_form_is_not_mended_by_factors() -> None:
    wrong = Form("", (Term((R**-2,), "u"),))
    assert asked(np.ones((RUNS, N, N)), wrong, network=0.95) is None


def test_factors_without_groups_are_none() -> None:
    rng = np.random.default_rng(2)
    assert groups(rng.uniform(0, 1, 500), np.full(500, 0.01)) is None
    found = groups(rng.choice([0.0, 1.0], 500) + 0.1 * rng.normal(size=500), np.full(500, 0.1))
    assert found is not None and len(found.centres) == 2


def test_pairs_have_no_factors_where_single_particles_feel_hidden_strengths(monkeypatch: pytest.MonkeyPatch):
    """Rows that are asked for factors of pairs know no strengths."""
    monkeypatch.setattr(assemble, "edges_of", lambda evidence: (torch.zeros(1), torch.ones(1)))
    t, vx, vy = sympy.symbols("t1 vx vy")
    own = Form("magnetic force × t1", (Term((t * vy, -t * vx), None),))
    law = Law(()), {"trust": {"level": "good"}}
    chosen = Chosen({"u": LINEAR}, (own,), {}, {})
    assert assemble._pair_by_pair(None, None, chosen, law, None) == (law, None)
