"""Groups of pairs with laws of their own, as `law.json` has them: which pairs they are, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.physics.variables import EDGE, sided


@dataclass(frozen=True)
class Members:
    """Pairs that share a law.

    Attributes:
        labels: keys of `laws` in `law.json`, `RECEIVER-SENDER` of kinds, and numbers of edges.
        name: the same in words.
        law: of one of them.
        names: of its parts, by direction.
    """

    labels: tuple[str, ...]
    name: str
    law: Mapping[str, Any]
    names: Mapping[str, str]

    def among(self, arrays: Mapping[str, Array], kinds: Mapping[str, str]) -> npt.NDArray[np.bool_]:
        """Which of the pairs of a recording these are, shape [E].

        Args:
            arrays: of the recording, by the names of equations.
            kinds: columns that are 1 for a kind, by its label.
        """
        found = np.zeros(len(arrays["r"]), dtype=bool)
        for label in self.labels:
            here = np.ones_like(found)
            for word in label.split(" "):
                if _is_number(word):
                    here &= np.isclose(arrays[EDGE], float(word))
                    continue
                for side, kind in enumerate(word.split("-"), 1):
                    here &= arrays[sided(kinds[kind], side)] == 1
            found |= here
        return found


def members(law: Mapping[str, Any]) -> list[Members]:
    """The groups of a law, those of one law together; empty where all pairs share one."""
    shared: dict[tuple[str, ...], list[str]] = {}
    for label, one in (law.get("laws") or {}).items():
        shared.setdefault(tuple(f"{k}: {f}" for k, f in one["functions"].items()), []).append(label)
    found = []
    for labels in shared.values():
        names = {
            key[:1]: text for key, text in (law.get("names") or {}).items()
            if not key[1:] or {*labels} & {*key[2:].split(",")}
        }  # fmt: skip
        found.append(Members(tuple(labels), in_words(labels), law["laws"][labels[0]], names))
    return found


def in_words(labels: Sequence[str]) -> str:
    """`A-B` is what B does to A; `A-B` and `B-A` together are `A and B on each other`.

    >>> in_words(["A-A"]), in_words(["A-B", "B-A"]), in_words(["A-B"]), in_words(["0.5", "1"])
    ('A on A', 'A and B on each other', 'B on A', 'k₁₂ = 0.5, k₁₂ = 1')
    """
    found: list[str] = []
    for label in labels:
        first, *rest = label.split(" ")
        after = "".join(f", {in_words([word])}" for word in rest)
        if _is_number(first):
            found.append(f"k₁₂ = {first}{after}")
            continue
        receiver, sender = first.split("-")
        if receiver != sender and " ".join([f"{sender}-{receiver}", *rest]) in labels:
            found.append(f"{' and '.join(sorted([receiver, sender]))} on each other{after}")
        else:
            found.append(f"{sender} on {receiver}{after}")
    return ", ".join(dict.fromkeys(found))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
