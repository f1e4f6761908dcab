"""Files in which a search leaves its front, so that a killed distillation goes on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnn_distill.rundir import atomic


@dataclass(frozen=True)
class FileMemory:
    """The state of one search in a JSON file, written atomically.

    Args:
        path: the file.
        key: of the inputs; what was saved under another key is not read.
    """

    path: Path
    key: str

    def load(self) -> dict[str, Any] | None:
        """The saved state; None if there is none, it cannot be read, or it is of other inputs."""
        try:
            saved = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(saved, dict) or saved.get("key") != self.key:
            return None
        state = saved.get("state")
        return state if isinstance(state, dict) else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Put `state` in the place of what was there."""
        with atomic(self.path) as temporary:
            temporary.write_text(json.dumps({"key": self.key, "state": state}), encoding="utf-8")
