"""Which files a path, a pattern, a folder or a list of these stands for."""

from __future__ import annotations

import glob
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from gnn_distill.errors import InputError


def files_of(path: object, endings: Collection[str]) -> tuple[Path, ...]:
    """The files, in the order of their names, those of a list in its order.

    Args:
        path: a file, a folder, a pattern such as `runs/*.csv`, or a list of these.
        endings: of files that can be read, in lower case.

    Raises:
        InputError: there is no such file, or its ending is not known.
    """
    given: Sequence[Any] = path if isinstance(path, list | tuple) else [path]
    if not given or not all(isinstance(each, str | Path) and str(each) for each in given):
        raise InputError("dataset.path", path, "give the file: dataset.path=tracks.csv")
    found = [file for each in given for file in _files(Path(each).expanduser(), endings)]
    return tuple(dict.fromkeys(found))


def _files(path: Path, endings: Collection[str]) -> Sequence[Path]:
    known = ", ".join(sorted(endings))
    if path.is_dir() and path.suffix.lower() not in endings:
        found = [file for file in sorted(path.iterdir()) if file.suffix.lower() in endings and file.is_file()]
        if not found:
            raise InputError("dataset.path", str(path), f"the folder holds no file that ends in {known}")
        if len({file.suffix.lower() for file in found}) > 1:
            fix = "it holds files of several kinds: choose some by a pattern, dataset.path='runs/*.csv'"
            raise InputError("dataset.path", str(path), fix)
        return found
    if path.is_file():
        found = [path]
    else:
        found = [Path(name) for name in sorted(glob.glob(str(path))) if Path(name).is_file()]
        if not found:
            fix = f"there is no such file in {Path.cwd()}"
            if path.suffix.lower() not in endings and not glob.has_magic(str(path)):
                fix = f"its ending {path.suffix!r} is not known: save it as one of {known}"
            raise InputError("dataset.path", str(path), fix)
    strange = next((file for file in found if file.suffix.lower() not in endings), None)
    if strange is not None:
        fix = f"its ending {strange.suffix!r} is not known: save it as one of {known}"
        raise InputError("dataset.path", str(strange), fix)
    return found
