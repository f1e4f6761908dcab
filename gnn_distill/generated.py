"""Files that PyTorch Geometric generates."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from torch_geometric.nn import MessagePassing


def remove_generated(kind: type[MessagePassing]) -> None:
    """Remove the temporary files from which PyG has imported the methods that it generates for a class."""
    for name in ("propagate", "edge_updater"):
        module = sys.modules.get(f"{kind.__module__}_{kind.__name__}_{name}")
        file = Path(getattr(module, "__file__", None) or "none")
        if file.parent == Path(tempfile.gettempdir()):
            file.unlink(missing_ok=True)
