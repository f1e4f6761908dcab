"""From a recording to the numbers of `analysis.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gnn_distill.analyse.bootstrap import LEVEL, Resamples, interval
from gnn_distill.analyse.gauge import Gauge, fit_gauge, gauged, mixing, power_draws, receiver_offsets
from gnn_distill.analyse.linear import TRIM, r_squared
from gnn_distill.analyse.subspace import effective_dimension, subspace
from gnn_distill.analyse.trimmed import smallest
from gnn_distill.arrays import Array
from gnn_distill.read.recording import Recording

KINDS = {"robust": TRIM, "ols": 0.0}


def analyse(recording: Recording, split: str) -> dict[str, Any]:
    """Test losses, R² of messages against the truth in every gauge, relative errors.

    Where the law is unknown the truth columns (`r2`, `gauge`, `best`, `relative_error`, `subspace`, `mixing`)
    are empty.
    """
    rec = recording
    result: dict[str, Any] = {
        "split": split,
        "test": {"mae": rec.mae, "mae_per_graph": rec.mae_per_graph, "graphs": rec.graphs},
        "edges": len(rec.selected),
        "components": list(rec.components),
        "importance": {
            "kind": rec.importance_kind,
            "reason": rec.reason,
            "values": rec.importance.tolist(),
            "measures": {name: values.tolist() for name, values in rec.measures.items()},
        },
        "std": rec.std.tolist(),
        "active_dims": int(rec.mask.sum()),
        "effective_dimension": effective_dimension(rec.spectrum),
        "pullback": {"kind": rec.pullback_kind, "path_difference": rec.path_difference},
        "network_gauge": network_gauge(rec),
        "r2": {},
        "r2_interval": {},
        "subspace": {},
        "gauge": None,
        "mixing": None,
        "best": None,
        "relative_error": {},
    }
    return result if rec.edges.force is None else result | against_truth(rec)


def selection_scores(rec: Recording) -> dict[str, Any]:
    """Losses and R² in every gauge, without intervals: enough to choose between networks."""
    losses = {"mae": rec.mae, "mae_per_graph": rec.mae_per_graph, "graphs": rec.graphs}
    if rec.edges.force is None:
        return losses | {"r2": {}, "best": None}
    fits = gauge_fits(rec)
    name, best = max(fits.items(), key=lambda item: item[1].robust_mean)
    r2 = {
        row: {kind: [f.r2 for f in getattr(fit, kind)] for kind in ("robust", "ols")}
        for row, fit in fits.items()
    }
    return losses | {"r2": r2, "best": {"gauge": name, "robust_mean": best.robust_mean}}


def against_truth(rec: Recording) -> dict[str, Any]:
    """What needs the true force."""
    force, truth = _force(rec), _force(rec) / rec.edges.m1[:, None]
    draws = Resamples.of(rec.trajectory)
    fits = gauge_fits(rec)
    fitted = fits["gauge"]
    scores = {name: _gauge_scores(rec, fit, draws) for name, fit in fits.items()}
    scores["pullback"] = _plain_scores(rec.pullback, truth, draws)
    name, best = max(fits.items(), key=lambda item: item[1].robust_mean)
    powers = power_draws(rec.selected, force, rec.edges.m1, fitted, rec.edges.receiver, draws)
    offset = receiver_offsets(rec.selected, force, rec.edges.m1, fitted, rec.edges.receiver)
    return {
        "r2": {row: score.values for row, score in scores.items()},
        "r2_interval": {row: score.intervals for row, score in scores.items()},
        "bootstrap": {"level": LEVEL, "draws": len(draws.weights), "trajectories": draws.weights.shape[1]},
        "subspace": subspaces(rec, fitted.p),
        "gauge": {
            "p": fitted.p,
            "centred": fitted.centred,
            "p_interval": interval(powers),
            "offset_std": _trimmed_spread(offset),
        },
        "mixing": {"gauge": name, **mixing(best.robust)},
        "best": {
            "gauge": name,
            "robust_mean": best.robust_mean,
            "ols_mean": float(np.mean([f.r2 for f in best.ols])),
        },
        "relative_error": {
            "pullback": relative_error(rec.pullback, truth),
            "messages": _message_error(rec, fitted),
            "median": _median_relative(rec.pullback, truth),
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
        "p": None,
        "p_interval": None,
        "message_slope": None,
        "offset_std": _trimmed_spread(rec.offset),
        "scale": network.scale,
        "offset": network.offset,
    }
    powers = network.powers
    usable = np.isfinite(powers)
    if "m1" not in network.scale or not usable.any():
        return result
    powers, graph = powers[usable], network.graph[usable]
    parts = [powers[graph == g] for g in np.unique(graph)]
    rng = np.random.default_rng(0)
    draws = [
        np.median(np.concatenate([parts[k] for k in rng.integers(0, len(parts), len(parts))]))
        for _ in range(200)
    ]
    slope = float(np.median(network.message_slope[usable]))
    return result | {
        "p": float(np.median(powers)),
        "p_interval": interval(np.array(draws)),
        "message_slope": slope,
    }


def subspaces(rec: Recording, p: float) -> dict[str, Any]:
    """Cross-validated R² of force, acceleration and gauged force from all unpruned messages of the sample."""
    force = _force(rec)[rec.sample]
    m1, trajectory = rec.edges.m1[rec.sample], rec.trajectory[rec.sample]
    messages = rec.sample_messages[:, rec.mask].astype(np.float64)
    draws = Resamples.of(trajectory)
    found: dict[str, Any] = {"edges": len(force)}
    for name, power in {"force": 0.0, "acceleration": 1.0, "gauge": p}.items():
        target = force * m1[:, None] ** -power
        fit = subspace(messages, target, trajectory)
        columns = list(zip(target.T, fit.predicted.T, strict=True))
        intervals = [interval(_plain_draws(y, c, TRIM, draws)) for y, c in columns]
        found[name] = {"robust": fit.robust, "ols": fit.ols, "robust_interval": intervals}
    return found


@dataclass(frozen=True)
class _Scores:
    """R² per component, and bootstrap intervals of each and of their mean, by kind of fit."""

    values: dict[str, list[float]]
    intervals: dict[str, Any]

    @staticmethod
    def of(values: dict[str, list[float]], draws: dict[str, list[Array]]) -> _Scores:
        each = {kind: [interval(d) for d in rows] for kind, rows in draws.items()}
        means = {f"{kind}_mean": interval(np.mean(rows, axis=0)) for kind, rows in draws.items()}
        return _Scores(values, each | means)


def _gauge_scores(rec: Recording, fit: Gauge, draws: Resamples) -> _Scores:
    e = rec.edges
    x, y = gauged(rec.selected, _force(rec), e.m1, e.receiver, fit.p, fit.centred)
    fits = {"robust": fit.robust, "ols": fit.ols}
    values = {kind: [f.r2 for f in rows] for kind, rows in fits.items()}
    drawn = {
        kind: [draws.fitted_r2(x, column, f.kept) for f, column in zip(rows, y.T, strict=True)]
        for kind, rows in fits.items()
    }
    return _Scores.of(values, drawn)


def _plain_scores(predicted: Array, truth: Array, draws: Resamples) -> _Scores:
    columns = list(zip(truth.T, predicted.T, strict=True))
    values = {kind: [r_squared(t, c, trim) for t, c in columns] for kind, trim in KINDS.items()}
    drawn = {kind: [_plain_draws(t, c, trim, draws) for t, c in columns] for kind, trim in KINDS.items()}
    return _Scores.of(values, drawn)


def _plain_draws(truth: Array, predicted: Array, trim: float, draws: Resamples) -> Array:
    return draws.plain_r2(truth, predicted, smallest(np.abs(truth - predicted), trim))


def gauge_fits(recording: Recording) -> dict[str, Gauge]:
    """The selected messages fitted to `force` (p = 0), `acceleration` (p = 1) and the best `gauge`.

    The power p is fitted on a part of the edges; p = 0 and 1 belong to the same family, so where they
    explain all edges better, they are the gauge.
    """
    fixed = {"force": 0.0, "acceleration": 1.0}
    fits = {name: _fit(recording, p=p, centred=False) for name, p in fixed.items()}
    candidates = [_fit(recording, p=None, centred=None), *fits.values()]
    return fits | {"gauge": max(candidates, key=lambda gauge: gauge.robust_mean)}


def uncentred(recording: Recording) -> Gauge:
    """The fitted gauge with its offset: receivers' means are not taken off."""
    return _fit(recording, p=gauge_fits(recording)["gauge"].p, centred=False)


def _force(recording: Recording) -> Array:
    if recording.edges.force is None:
        raise TypeError("comparison with the truth needs the true force")
    return recording.edges.force


def _fit(recording: Recording, p: float | None, centred: bool | None) -> Gauge:
    edges = recording.edges
    return fit_gauge(recording.selected, _force(recording), edges.m1, edges.receiver, p=p, centred=centred)


def relative_error(predicted: Array, truth: Array, size: Array | None = None) -> list[dict[str, float]]:
    """Median relative error |c − a| / |a| of vectors [E, D], per decade of |a| or of `size` [E]."""
    length = np.linalg.norm(truth, axis=1)
    error = np.linalg.norm(predicted - truth, axis=1)
    size = length if size is None else size
    decade = np.floor(np.log10(np.maximum(size, 1e-300))).astype(int)
    rows = []
    for k in np.unique(decade[length > 0]):
        here = (decade == k) & (length > 0)
        median = float(np.median(error[here] / length[here]))
        rows.append({"low": 10.0**k, "high": 10.0 ** (k + 1), "median": median, "edges": int(here.sum())})
    return rows


def _message_error(recording: Recording, gauge: Gauge) -> list[dict[str, float]]:
    """Relative error of the force that the fitted linear map reads out of the messages, per decade of |F|.

    Empty where the map cannot be inverted: the selected components do not span the force.
    """
    slopes = np.stack([fit.slope for fit in gauge.robust])
    if slopes.shape[0] != slopes.shape[1] or np.linalg.matrix_rank(slopes) < len(slopes):
        return []
    edges, true = recording.edges, _force(recording)
    how = gauge.p, gauge.centred
    force, messages = gauged(recording.selected, true, edges.m1, edges.receiver, *how)
    offsets = np.array([fit.offset for fit in gauge.robust])
    inverse: Array = np.linalg.inv(slopes).astype(np.float64)
    return relative_error((messages - offsets) @ inverse.T, force, np.linalg.norm(true, axis=1))


def _median_relative(predicted: Array, truth: Array) -> float:
    size = np.linalg.norm(truth, axis=1)
    moving = size > 0
    return float(np.median(np.linalg.norm(predicted - truth, axis=1)[moving] / size[moving]))


def _trimmed_spread(offset: Array) -> list[float]:
    """Standard deviation of each column [E, K], the worst tenth left out."""
    return [float(c[smallest(np.abs(c - np.median(c)), TRIM)].std()) for c in offset.T]
