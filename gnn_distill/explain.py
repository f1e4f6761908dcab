"""Errors of the command line on one screen: what was wrong, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from gnn_distill.config import Config
from gnn_distill.errors import DivergedError, InputError

OF_INPUT = (InputError, HydraException, OmegaConfBaseException)
"""Exceptions that a user's input causes."""


@contextmanager
def as_input(key: str, value: object) -> Iterator[None]:
    """Turn an exception of Hydra's or OmegaConf's into an `InputError` about `key`; ours stay as they are."""
    try:
        yield
    except OF_INPUT as error:
        first = origin(error)
        if isinstance(first, InputError):
            raise first from error
        raise InputError(key, value, explain(error)) from error


def show(error: BaseException) -> None:
    """Print the error on standard error."""
    text = f"[bold red]error[/] {escape(explain(error))}"
    Console(stderr=True, soft_wrap=True).print(text, highlight=False)


def explain(error: BaseException) -> str:
    """What was wrong and what to do, from an exception of ours, Hydra's or OmegaConf's."""
    if isinstance(origin(error), InputError | DivergedError):
        return str(origin(error))
    key = getattr(error, "full_key", None)
    for cause in _causes(error):
        key = key or getattr(cause, "full_key", None)
    text = "\n".join(dict.fromkeys(line for cause in _causes(error) for line in str(cause).splitlines()))
    near = difflib.get_close_matches(str(key).split(".")[0], Config.__dataclass_fields__, n=1) if key else []
    hint = f"\ndid you mean {near[0]}?" if near and near[0] != key else ""
    return f"{text}{hint}\ngnn-distill --help lists groups and keys; HYDRA_FULL_ERROR=1 shows the traceback"


def origin(error: BaseException) -> BaseException:
    """The error of ours that an exception was raised from, else the exception itself."""
    return next((cause for cause in _causes(error) if isinstance(cause, InputError | DivergedError)), error)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
