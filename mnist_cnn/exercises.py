"""Exercises that check themselves: `check` says whether an answer is right, and gives hints."""

import textwrap
import warnings
from typing import Any

import numpy as np

from mnist_cnn.answers import EXERCISES, Between, Exercise


def check(exercise: str, answer: object) -> None:
    """Print whether an answer is right and why, or a hint that fits the mistake.

    Parameters
    ----------
    exercise : str
        The number that stands above the exercise, such as "03.2".
    answer : object
        ``...`` as long as there is none. Whatever else is given, nothing is raised.

    Raises
    ------
    ValueError
        If there is no exercise of that number.
    """
    print(textwrap.fill(f"{exercise}: {_verdict(_find(exercise), answer)}", 100))


def is_right(exercise: str, answer: object) -> bool:
    """Whether an answer is right, without a word: for those who give marks.

    Parameters, errors: as `check`.
    """
    return _verdict(_find(exercise), answer).startswith("correct")


def _find(exercise: str) -> Exercise:
    if isinstance(exercise, str) and exercise in EXERCISES:
        return EXERCISES[exercise]
    shown = repr(exercise) if isinstance(exercise, str) else type(exercise).__name__
    raise ValueError(f"exercise must be one of {', '.join(map(repr, EXERCISES))}, not {shown}")


def _verdict(exercise: Exercise, answer: object) -> str:
    if answer is ...:
        return "not answered yet. Put your answer in the place of the three dots."
    if answer is None:
        return "not yet. The answer is None: did the last function return it, or only print it?"
    right = exercise.right() if callable(exercise.right) else exercise.right
    read = _letter if isinstance(right, str) else _numbers
    try:
        given = read(answer)
    except Exception:  # an object of the student's own may raise anything
        given = None
    if given is not None:
        if _agree(given, right, exercise.tolerance):
            ranged = " (A range counts: each machine's training is a little different.)"
            return f"correct. {exercise.why}{ranged if isinstance(right, Between) else ''}"
        for wrong, hint in exercise.hints:
            if _agree(given, wrong(right) if callable(wrong) else wrong, exercise.tolerance):
                return f"not yet. {hint}"
    return f"not yet. {_misfit(given, right, exercise) or exercise.otherwise}"


def _letter(answer: object) -> str | None:
    return answer.strip(" .)").lower() if isinstance(answer, str) else None


def _numbers(answer: object) -> np.ndarray | None:
    """Return the answer as an array of floats, or None if it is not made of numbers."""
    if isinstance(answer, str | bytes | bool):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a complex number would only warn and lose a part
            return np.asarray(answer, dtype="float64")
    except OverflowError:
        return np.asarray(np.inf)


def _agree(given: str | np.ndarray, wanted: Any, tolerance: float) -> bool:
    if isinstance(given, str):
        return given == wanted
    if isinstance(wanted, Between):
        return given.ndim == 0 and bool(wanted.low <= given <= wanted.high)
    wanted = np.asarray(wanted, dtype="float64")
    return given.shape == wanted.shape and bool(np.all(np.abs(given - wanted) <= tolerance))


def _misfit(given: Any, right: Any, exercise: Exercise) -> str | None:
    """Return what is wrong with the form of an answer, if anything is."""
    if isinstance(right, str):
        letters = sorted([right, *(wrong for wrong, _ in exercise.hints)])
        return f"Answer with one of the letters {', '.join(map(repr, letters))}, in quotes."
    shape = () if isinstance(right, Between) else np.shape(right)
    wanted = f"an array of shape {shape}" if shape else "a single number"
    if given is None:
        return f"The answer should be {wanted}, without quotes."
    if given.shape != shape:
        return f"The answer should be {wanted}; yours has shape {given.shape}."
    if not np.isfinite(given).all():
        return "Your answer is not finite: look for a division by 0, a logarithm of 0, an overflow."
    return None
