"""From particle data to a force law in closed form, through a graph neural network.

The public names are those that `__init__.pyi` imports; type checkers read them there, and so does this file.
Each is imported when it is first used: `import gnn_distill` itself is quick.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

__version__ = importlib.metadata.version("gnn_distill")

_STUB = ast.parse(Path(__file__).with_name("__init__.pyi").read_text(encoding="utf-8"))
_IMPORTS = [part for part in _STUB.body if isinstance(part, ast.ImportFrom)]
_MODULE = {name.name: str(part.module) for part in _IMPORTS for name in part.names}

__all__ = ["__version__", *_MODULE]


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
