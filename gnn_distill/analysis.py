"""From a recording to the numbers of `analysis.json`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.gauge import Gauge, fit_gauge, gauged
from gnn_distill.linear import TRIM, r_squared
from gnn_distill.messages import Recording

Array = npt.NDArray[np.float64]


def analyse(recording: Recording, split: str) -> dict[str, Any]:
    """Test losses, R² of messages against the truth in every gauge, relative errors.

    Where the law is unknown the truth columns (`r2`, `gauge`, `best`, `relative_error`) are empty.
    """
    rec = recording
    result: dict[str, Any] = {
        "split": split,
        "test": {"mae": rec.mae, "mae_per_graph": rec.mae_per_graph, "graphs": rec.graphs},
        "components": list(rec.components),
        "importance": {"kind": rec.importance_kind, "values": rec.importance.tolist()},
        "std": rec.std.tolist(),
        "active_dims": int(rec.mask.sum()),
        "pullback": {"kind": rec.pullback_kind, "path_difference": rec.path_difference},
        "r2": {},
        "gauge": None,
        "best": None,
        "relative_error": {},
    }
    truth = rec.edges.acceleration
    if truth is None:
        return result
    fits = gauge_fits(rec)
    for name, fit in fits.items():
        result["r2"][name] = {kind: [f.r2 for f in getattr(fit, kind)] for kind in ("robust", "ols")}
    result["r2"]["pullback"] = {
        kind: [r_squared(t, c, trim) for t, c in zip(truth.T, rec.pullback.T, strict=True)]
        for kind, trim in (("robust", TRIM), ("ols", 0.0))
    }
    result["gauge"] = {"p": fits["gauge"].p, "centred": fits["gauge"].centred}
    name, best = max(fits.items(), key=lambda item: item[1].robust_mean)
    result["best"] = {
        "gauge": name,
        "robust_mean": best.robust_mean,
        "ols_mean": float(np.mean([f.r2 for f in best.ols])),
    }
    result["relative_error"] = {
        "pullback": relative_error(rec.pullback, truth),
        "messages": _message_error(rec, fits["gauge"]),
        "median": _median_relative(rec.pullback, truth),
    }
    return result


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


def _fit(recording: Recording, p: float | None, centred: bool | None) -> Gauge:
    edges = recording.edges
    if edges.force is None:
        raise TypeError("gauge fits need the true force")
    return fit_gauge(recording.selected, edges.force, edges.m1, edges.receiver, p=p, centred=centred)


def relative_error(predicted: Array, truth: Array) -> list[dict[str, float]]:
    """Median relative error |c − a| / |a| of vectors [E, D], per decade of |a|."""
    size = np.linalg.norm(truth, axis=1)
    error = np.linalg.norm(predicted - truth, axis=1)
    decade = np.floor(np.log10(np.maximum(size, 1e-300))).astype(int)
    rows = []
    for k in np.unique(decade[size > 0]):
        here = (decade == k) & (size > 0)
        median = float(np.median(error[here] / size[here]))
        rows.append({"low": 10.0**k, "high": 10.0 ** (k + 1), "median": median, "edges": int(here.sum())})
    return rows


def _message_error(recording: Recording, gauge: Gauge) -> list[dict[str, float]]:
    """`relative_error` of the force that the fitted linear map reads out of the messages, in the gauge.

    Empty where the map cannot be inverted: the selected components do not span the force.
    """
    slopes = np.stack([fit.slope for fit in gauge.robust])
    if slopes.shape[0] != slopes.shape[1] or np.linalg.matrix_rank(slopes) < len(slopes):
        return []
    edges = recording.edges
    if edges.force is None:
        return []
    how = gauge.p, gauge.centred
    force, messages = gauged(recording.selected, edges.force, edges.m1, edges.receiver, *how)
    offsets = np.array([fit.offset for fit in gauge.robust])
    inverse: Array = np.linalg.inv(slopes).astype(np.float64)
    return relative_error((messages - offsets) @ inverse.T, force)


def _median_relative(predicted: Array, truth: Array) -> float:
    size = np.linalg.norm(truth, axis=1)
    moving = size > 0
    return float(np.median(np.linalg.norm(predicted - truth, axis=1)[moving] / size[moving]))
