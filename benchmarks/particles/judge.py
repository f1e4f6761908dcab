"""The plain command on a file whose truth is known, and how right its law is."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

ROLES = "source", "response"
PAIRS = 40  # of individuals
NONE = np.zeros(0, dtype=int), np.zeros(0, dtype=int)


def run(described: Path, folder: Path, more: list[str]) -> dict[str, Any]:
    """Distil a file with at most two keys beside its path; a row of the table.

    Args:
        described: NAME.truth.json beside the file.
        folder: where the run directory goes.
        more: further settings of the command.
    """
    truth = json.loads(described.read_text())
    file = described.resolve().parent / truth["file"]
    command = [sys.executable, "-m", "gnn_distill", "dataset=own", f"dataset.path={file}"]
    start, where = time.perf_counter(), folder / truth["name"]
    keys = [*truth["keys"], *more, f"hydra.run.dir={where}"]
    done = subprocess.run([*command, *keys], capture_output=True, text=True)
    row: dict[str, Any] = {"case": truth["name"], "seconds": round(time.perf_counter() - start)}
    (folder / f"{truth['name']}.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        return row | {
            "verdict": f"exit {done.returncode}",
            "law": (done.stderr.strip() or "?").splitlines()[-1],
        }
    law = json.loads((where / "law.json").read_text())
    return row | judged(law, where / "law" / "law_numpy.py", truth)


def judged(law: dict[str, Any] | None, file: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Pair force and one-body part of a law beside the truth."""
    if law is None:
        return {"law": "none", "pair": None, "own": None}
    module = loaded(file)
    move = module.velocity if truth["order"] == 1 and hasattr(module, "velocity") else module.acceleration
    dim = truth["shape"][3]
    names = {k: v for k, v in law["names"].items()}
    row: dict[str, Any] = {"law": law["functions"], "own_law": law["one_body"][:1], "names": names}
    row |= {"trust": law["trust"]["level"], "doubts": len(law["doubts"]), "share": law["test"]["share"]}
    if truth["pair"] is not None:
        d, f = (np.array(truth["pair"][k]) for k in ("d", "f"))
        hidden = law.get("hidden") or {}
        withheld = truth.get("hidden", {}) if truth["weight"] == "1" else {}  # else the file holds them
        s, t = (withheld.get(role) or {"": 1.0} for role in ("source", "response"))
        both = [(i, j) for i in t for j in s if i != j or not i][:PAIRS]
        known = [(i, j) if hidden else None for i, j in both]
        found = np.array(
            [[_pair(move, dim, r, truth["direction"], law["further"], k) for r in d] for k in known]
        )
        f = np.array([t[i] * s[j] * f for i, j in both])
        row |= {f"hidden_{role}": off(hidden, truth["hidden"][role], role) for role in ROLES if hidden}
        row["pair"] = float(
            np.median(np.abs(found - f) / np.maximum(np.abs(f), 1e-3 * np.abs(f).max(axis=-1, keepdims=True)))
        )
    if truth.get("laws"):
        row["groups"], row["laws"] = _groups(move, truth, law), law.get("laws") and list(law["laws"])
    if truth.get("kinds"):
        row |= kinds(law, truth)
    if truth["one_body"] is not None:
        own = truth["one_body"]
        x, v, h = (np.array(own[k]) for k in ("x", "v", "h"))
        features = (
            np.stack([own.get(k, np.zeros(len(x))) for k in law["further"]], 1) if law["further"] else None
        )
        ids = list(law["hidden"])[:1] * len(x) if law.get("hidden") else None
        given = {"features": features, "ids": ids, "kinds": own.get("kind")}
        found = move(x, v, own.get("m"), own.get("q"), edges=NONE, **given)
        row["own"] = float(1 - ((found - h) ** 2).sum() / ((h - h.mean(0)) ** 2).sum())
    return row


def off(found: dict[str, Any], truth: dict[str, float], role: str) -> tuple[float, str]:
    """The largest relative error of what individuals bring, up to a common factor, and whose it is."""
    largest = max(truth, key=lambda name: abs(truth[name]))
    errors = {
        name: abs(found[name][role][0] / found[largest][role][0] / (true / truth[largest]) - 1)
        for name, true in truth.items()
    }
    worst = max(errors, key=lambda name: errors[name])
    return errors[worst], worst


def _groups(move: Any, truth: dict[str, Any], law: dict[str, Any]) -> dict[str, float]:
    """The median relative error of the pair force of each group, along Δ/d."""
    errors, dim = {}, truth["shape"][3]
    for name, told in truth["laws"].items():
        kinds, ids = name.split("-") if "-" in name else None, None
        if law.get("hidden"):  # nobody labelled them: two of the right kinds
            of = [[i for i, k in truth["kinds"].items() if k == kind] for kind in kinds]
            ids = (of[0][0], of[1][-1]) if all(of) else None
            if ids is None:
                continue
        edges = np.array([[0], [1]]) if kinds else np.array([[0], [1], [float(name)]])
        f, found = np.array(told["f"]), []
        for d in told["d"]:
            x = np.zeros((2, dim))
            x[0, 0] = d
            both, alone = (move(x, kinds=kinds, ids=ids, edges=some) for some in (edges, edges[:, :0]))
            found.append((both - alone)[0, 0])
        errors[name] = float(np.median(np.abs(found - f) / np.maximum(np.abs(f), 1e-3 * np.abs(f).max())))
    return errors


def kinds(law: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    """How many kinds were found, the share of labels that are right, and errors of the free curves."""
    told = {name: one["kind"] for name, one in (law.get("hidden") or {}).items()}
    names = sorted({kind for kind in told.values() if kind})
    row: dict[str, Any] = {"kinds": len(names)}
    if not names:
        return row
    means = {
        kind: Counter(truth["kinds"][n] for n, k in told.items() if k == kind).most_common(1)[0][0]
        for kind in names
    }
    row["labels"] = sum(means.get(k) == truth["kinds"][n] for n, k in told.items()) / len(told)
    row["sure"] = min(one["sure"] for one in law["hidden"].values())
    row["curves"], free = {}, law.get("hidden_curves")
    if free is None:
        return row
    for one, two in itertools.product(names, repeat=2):
        true = truth["laws"][f"{means[one]}-{means[two]}"]
        d, f = np.array(true["d"]), np.array(true["f"])
        curve = np.interp(d, free["d"], free[f"u {one}-{two}"])
        off = np.abs(curve - f) / np.maximum(np.abs(f), 1e-3 * np.abs(f).max())
        row["curves"][f"{one}-{two}"] = float(np.median(off))
    return row


def _pair(
    move: Any, dim: int, d: float, along: str, further: list[str], ids: tuple[str, str] | None = None
) -> float:
    """What a pair of unit properties does at a distance, along Δ/d or for a unit of relative velocity."""
    x, v = np.zeros((2, dim)), np.zeros((2, dim))
    x[0, 0], v[0, 1] = d, 1.0 if along == "w" else 0.0
    given = {"m": np.ones(2), "q": np.ones(2), "features": np.zeros((2, len(further))) if further else None}
    given["ids"] = ids
    both = move(x, v, **given, edges=(np.array([0]), np.array([1])))
    alone = move(x, v, **given, edges=NONE)
    return float((both - alone)[0, 1 if along == "w" else 0])


def loaded(file: Path) -> ModuleType:
    """The exported law as a module."""
    spec = importlib.util.spec_from_file_location("law_numpy", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
