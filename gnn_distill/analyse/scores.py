"""From a recording to the numbers of `analysis.json`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gnn_distill.analyse.bootstrap import LEVEL, Resamples, interval
from gnn_distill.analyse.gauge import Gauge, correction, fit_gauge, gauged, mixing, receiver_offsets
from gnn_distill.analyse.linear import TRIM, r_squared
from gnn_distill.analyse.subspace import effective_dimension, subspace
from gnn_distill.analyse.trimmed import smallest
from gnn_distill.arrays import Array
from gnn_distill.read.importance import trimmed_std
from gnn_distill.read.recording import Recording

KINDS = {"robust": TRIM, "ols": 0.0}
Scores = dict[str, list[tuple[float, Array]]]
"""By kind of fit: R² of every component, and the same on each bootstrap draw [W]."""


def analyse(rec: Recording, split: str) -> dict[str, Any]:
    """Test losses, R² of messages against the truth in every gauge, relative errors.

    Where the law is unknown the truth columns (`r2`, `gauge`, `best`, `relative_error`, `subspace`, `mixing`)
    are empty.
    """
    result: dict[str, Any] = {
        "split": split,
        "test": _losses(rec),
        "edges": len(rec.selected),
        "components": list(rec.ranking.components),
        "importance": {
            "kind": rec.ranking.kind,
            "reason": rec.ranking.reason,
            "values": rec.ranking.importance.tolist(),
            "measures": {name: values.tolist() for name, values in rec.ranking.measures.items()},
        },
        "std": rec.ranking.measures["std"].tolist(),
        "active_dims": int(rec.ranking.mask.sum()),
        "effective_dimension": effective_dimension(rec.spectrum),
        "pullback": {"kind": rec.pullback_kind, "path_difference": rec.path_difference},
        "network_gauge": network_gauge(rec),
        **{name: {} for name in ("r2", "r2_interval", "subspace")},
        **dict.fromkeys(("gauge", "mixing", "best")),
        "relative_error": {},
    }
    return result if rec.edges.force is None else result | against_truth(rec)


def _losses(rec: Recording) -> dict[str, Any]:
    return {"mae": rec.mae, "mae_per_graph": rec.mae_per_graph, "graphs": rec.graphs}


def selection_scores(rec: Recording) -> dict[str, Any]:
    """Losses and R² in every gauge, without intervals: enough to choose between networks."""
    losses = _losses(rec)
    if rec.edges.force is None:
        return losses | {"r2": {}, "best": None}
    fits = gauge_fits(rec)
    r2 = {row: {kind: [f.r2 for f in getattr(fit, kind)] for kind in KINDS} for row, fit in fits.items()}
    name, best = _best(fits)
    return losses | {"r2": r2, "best": {"gauge": name, "robust_mean": best.robust_mean}}


def against_truth(rec: Recording) -> dict[str, Any]:
    """What needs the true force."""
    e, force = rec.edges, _force(rec)
    truth = force / e.m1[:, None]
    draws = Resamples.of(rec.trajectory)
    fits = gauge_fits(rec)
    fitted, (name, best) = fits["gauge"], _best(fits)
    rows = {row: _gauge_scores(rec, fit, draws) for row, fit in fits.items()}
    # The pull-back is an acceleration already: it is compared as it stands, with nothing fitted.
    rows["pullback"] = _plain_scores(rec.pullback, truth, draws)
    x, y = gauged(rec.selected, force, e.m1, e.receiver, fitted.p, fitted.centred)
    powers = fitted.p + correction(x, y, e.m1, fitted.robust, draws)
    offset = receiver_offsets(rec.selected, force, e.m1, fitted, e.receiver)
    return {
        "r2": {row: {kind: [r2 for r2, _ in found] for kind, found in r.items()} for row, r in rows.items()},
        "r2_interval": {row: _intervals(r) for row, r in rows.items()},
        "bootstrap": {"level": LEVEL, "draws": len(draws.weights), "trajectories": draws.weights.shape[1]},
        "subspace": subspaces(rec, fitted.p),
        "gauge": {
            "p": fitted.p,
            "centred": fitted.centred,
            "p_interval": interval(powers),
            "offset_std": trimmed_std(offset).tolist(),
        },
        "mixing": {"gauge": name, **mixing(best.robust)},
        "best": {"gauge": name, "robust_mean": best.robust_mean, "ols_mean": best.ols_mean},
        "relative_error": {
            "pullback": relative_error(rec.pullback, truth),
            "messages": _message_error(rec, fitted),
            "median": float(np.median(_relative(rec.pullback, truth)[0])),
        },
    }


def network_gauge(rec: Recording) -> dict[str, Any]:
    """The gauge as φe and φv show it, the power with a bootstrap interval over graphs; no law is used.

    Returns:
        `p` and `p_interval`, None where masses are alike; `message_slope`, the median of
        d log|e − h| / d log m_i; `offset_std` per component, in standard deviations of the messages; `scale`
        and `offset`, how much each feature of the receiver enters A and h.
    """
    network = rec.network
    result: dict[str, Any] = {
        **dict.fromkeys(("p", "p_interval", "message_slope")),
        "offset_std": trimmed_std(rec.sample.offset).tolist(),
        "scale": network.scale,
        "offset": network.offset,
    }
    usable = np.isfinite(network.powers)
    if "m1" not in network.scale or not usable.any():
        return result
    powers, graph = network.powers[usable], network.graph[usable]
    # Edges of one graph are not independent, so whole graphs are drawn. `Resamples` adds up moments, which a
    # median does not have.
    parts = [powers[graph == g] for g in np.unique(graph)]
    rng = np.random.default_rng(0)
    draws = [
        np.median(np.concatenate([parts[k] for k in rng.integers(0, len(parts), len(parts))]))
        for _ in range(200)
    ]
    return result | {
        "p": float(np.median(powers)),
        "p_interval": interval(np.array(draws)),
        "message_slope": float(np.median(network.message_slope[usable])),
    }


def subspaces(rec: Recording, p: float) -> dict[str, Any]:
    """Cross-validated R² of force, acceleration and gauged force from all unpruned messages of the sample."""
    force, m1 = _force(rec)[rec.sample.edges], rec.edges.m1[rec.sample.edges]
    messages = rec.sample.messages[:, rec.ranking.mask].astype(np.float64)
    trajectory = rec.trajectory[rec.sample.edges]
    draws = Resamples.of(trajectory)
    result: dict[str, Any] = {"edges": len(force)}
    for name, power in {"force": 0.0, "acceleration": 1.0, "gauge": p}.items():
        target = force * m1[:, None] ** -power
        found = subspace(messages, target, trajectory)
        scores = _plain_scores(found.predicted, target, draws)["robust"]
        intervals = [interval(drawn) for _, drawn in scores]
        result[name] = {"robust": found.robust, "ols": found.ols, "robust_interval": intervals}
    return result


def _gauge_scores(rec: Recording, gauge: Gauge, draws: Resamples) -> Scores:
    """Each message component's linear fit, refitted on every draw."""
    e = rec.edges
    x, y = gauged(rec.selected, _force(rec), e.m1, e.receiver, gauge.p, gauge.centred)
    return {
        kind: [
            (fit.r2, draws.fitted_r2(x, column, fit.kept))
            for fit, column in zip(getattr(gauge, kind), y.T, strict=True)
        ]
        for kind in KINDS
    }


def _plain_scores(predicted: Array, truth: Array, draws: Resamples) -> Scores:
    """Predictions as they stand, on the line y = x."""
    return {
        kind: [
            (r_squared(t, c, trim), draws.plain_r2(t, c, smallest(np.abs(t - c), trim)))
            for t, c in zip(truth.T, predicted.T, strict=True)
        ]
        for kind, trim in KINDS.items()
    }


def _intervals(scores: Scores) -> dict[str, Any]:
    """Intervals of every component's R² and, drawn together, of their mean."""
    result: dict[str, Any] = {}
    for kind, found in scores.items():
        drawn = [draws for _, draws in found]
        result[kind] = [interval(d) for d in drawn]
        result[f"{kind}_mean"] = interval(np.mean(drawn, axis=0))
    return result


def gauge_fits(rec: Recording) -> dict[str, Gauge]:
    """The selected messages fitted to `force` (p = 0), `acceleration` (p = 1) and the best `gauge`.

    The power p is fitted on a part of the edges; p = 0 and 1 belong to the same family, so where they
    explain all edges better, they are the gauge.
    """
    e = rec.edges
    data = rec.selected, _force(rec), e.m1, e.receiver
    fits = {
        "force": fit_gauge(*data, p=0.0, centred=False),
        "acceleration": fit_gauge(*data, p=1.0, centred=False),
    }
    return fits | {"gauge": max([fit_gauge(*data), *fits.values()], key=lambda gauge: gauge.robust_mean)}


def _best(fits: dict[str, Gauge]) -> tuple[str, Gauge]:
    """The row with the highest mean robust R²; the first of equals."""
    return max(fits.items(), key=lambda row: row[1].robust_mean)


def _force(rec: Recording) -> Array:
    if rec.edges.force is None:
        raise TypeError("comparison with the truth needs the true force")
    return rec.edges.force


def relative_error(predicted: Array, truth: Array, size: Array | None = None) -> list[dict[str, float]]:
    """Median relative error |c − a| / |a| of vectors [E, D], per decade of |a| or of `size` [E]."""
    error, moving = _relative(predicted, truth)
    size = np.linalg.norm(truth, axis=1) if size is None else size
    decade = np.floor(np.log10(np.maximum(size[moving], 1e-300))).astype(int)
    return [
        {"low": 10.0**k, "high": 10.0 ** (k + 1), "median": float(np.median(here)), "edges": len(here)}
        for k, here in pd.Series(error).groupby(decade)
    ]


def _relative(predicted: Array, truth: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Relative errors of the vectors whose true one is not zero, and which [E] these are."""
    size = np.linalg.norm(truth, axis=1)
    moving = size > 0
    return np.linalg.norm(predicted - truth, axis=1)[moving] / size[moving], moving


def _message_error(rec: Recording, gauge: Gauge) -> list[dict[str, float]]:
    """Relative error of the force that the fitted linear map reads out of the messages, per decade of |F|.

    Empty where the map cannot be inverted: the selected components do not span the force.
    """
    slopes = np.stack([fit.slope for fit in gauge.robust])
    if slopes.shape[0] != slopes.shape[1] or np.linalg.matrix_rank(slopes) < len(slopes):
        return []
    e, true = rec.edges, _force(rec)
    force, messages = gauged(rec.selected, true, e.m1, e.receiver, gauge.p, gauge.centred)
    offsets = np.array([fit.offset for fit in gauge.robust])
    inverse: Array = np.linalg.inv(slopes).astype(np.float64)
    return relative_error((messages - offsets) @ inverse.T, force, np.linalg.norm(true, axis=1))
