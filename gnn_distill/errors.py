"""The one error that a user's input may raise: it names the key, the value and the fix."""

from __future__ import annotations

from collections.abc import Collection


class InputError(ValueError):
    """A value from a config, a command line or a data file that cannot be used.

    Args:
        key: the config key, file or argument at fault, as the user typed it.
        value: the value that was given.
        fix: what to write instead, as an instruction.
    """

    def __init__(self, key: str, value: object, fix: str) -> None:
        super().__init__(f"{key} = {value!r} cannot be used: {fix}")
        self.key, self.value, self.fix = key, value, fix

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str]]:
        return type(self), (self.key, self.value, self.fix)


class DivergedError(FloatingPointError):
    """Training produced NaN or infinity; the message names the batch and says whether data or weights did."""


def check_range(
    key: str, value: float, low: float, high: float = float("inf"), *, open_low: bool = False
) -> None:
    """Raise `InputError` unless `value` is a number in [low, high], or (low, high] if `open_low`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(key, value, f"give a number, not {type(value).__name__}")
    if not ((low < value if open_low else low <= value) and value <= high):
        bracket = "(" if open_low else "["
        raise InputError(key, value, f"give a value in {bracket}{low:g}, {high:g}]")


def check_int(key: str, value: object, low: int, high: float = float("inf")) -> None:
    """Raise `InputError` unless `value` is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(key, value, "give a whole number")
    check_range(key, value, low, high)


def check_choice(key: str, value: object, choices: Collection[str]) -> None:
    """Raise `InputError` unless `value` is one of `choices`."""
    if value not in choices:
        raise InputError(key, value, f"choose one of {', '.join(sorted(choices))}")
