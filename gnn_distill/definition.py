"""The text that tells what a class computes, so that a change of it is seen."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields


def definition(kind: type, root: type) -> str:
    """Source text of the modules that define a class and its bases up to `root`.

    Of a class typed at a prompt, which has no source file, the byte code stands in for the text.
    """
    lineage = [c for c in kind.__mro__ if issubclass(c, root)]
    texts = []
    for name in sorted({c.__module__ for c in lineage}):
        try:
            texts.append(inspect.getsource(sys.modules[name]))
        except (OSError, TypeError):
            texts.append(str([_compiled(c) for c in lineage if c.__module__ == name]))
    return "\n".join(texts)


def _compiled(kind: type) -> list[str]:
    """What the functions and settings of a class do, as far as its byte code tells."""
    found = [f"{kind.__qualname__} {[f.name for f in fields(kind)]}"]
    for name, value in sorted(vars(kind).items()):
        code = getattr(getattr(value, "__func__", value), "__code__", None)
        if code is not None:
            constants = [c for c in code.co_consts if not hasattr(c, "co_code")]
            found.append(f"{name} {code.co_code.hex()} {constants} {code.co_names}")
        elif isinstance(value, int | float | str):
            found.append(f"{name} {value!r}")
    return found
