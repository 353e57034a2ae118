"""Exercises that check themselves: `check` says whether an answer is right, and gives hints."""

import textwrap
import warnings
from typing import Any

import numpy as np

from mnist_cnn.answers import EXERCISES, Between, Exercise
from mnist_cnn.language import translated


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
        If there is no exercise of that number, or no language such as MNIST_CNN_LANGUAGE says.

    Examples
    --------
    >>> check("03.2", ...)
    03.2: not answered yet. Put your answer in the place of the three dots.
    """
    _, sentence = _verdict(exercise, answer)
    # Chinese has no spaces to break lines at: it is left to whoever shows it.
    print(textwrap.fill(f"{exercise}: {sentence}", 100, break_long_words=False))


def is_right(exercise: str, answer: object) -> bool:
    """Whether an answer is right, without a word: for those who give marks.

    Parameters, errors: as `check`.
    """
    return _verdict(exercise, answer)[0]


def _verdict(number: str, answer: object) -> tuple[bool, str]:
    """Return whether an answer is right, and the sentence that says so."""
    if not isinstance(number, str) or number not in EXERCISES:
        shown = repr(number) if isinstance(number, str) else type(number).__name__
        raise ValueError(f"exercise must be one of {', '.join(map(repr, EXERCISES))}, not {shown}")
    if answer is ...:
        return False, translated(
            "not answered yet. Put your answer in the place of the three dots."
        )
    if answer is None:
        return False, translated(
            "not yet. The answer is None: did the last function return it, or only print it?"
        )
    exercise = EXERCISES[number]
    right = exercise.right() if callable(exercise.right) else exercise.right
    read = _letter if isinstance(right, str) else _numbers
    try:
        given = read(answer)
    except Exception:  # an object of the student's own may raise anything
        given = None
    if given is not None and _agree(given, right, exercise.tolerance):
        sentence = translated("correct. {why}").format(why=translated(exercise.why))
        ranged = translated("(A range counts: each machine's training is a little different.)")
        return True, f"{sentence} {ranged}" if isinstance(right, Between) else sentence
    hint = _hint(given, right, exercise)
    return False, translated("not yet. {hint}").format(hint=hint)


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


def _is_rounded(given: str | np.ndarray, right: Any) -> bool:
    """Whether a number is the right one with fewer decimals than are wanted."""
    if isinstance(given, str) or isinstance(right, Between) or given.ndim or np.ndim(right):
        return False
    number = float(given)
    return not number.is_integer() and number in [round(float(right), n) for n in (1, 2, 3)]


def _hint(given: Any, right: Any, exercise: Exercise) -> str:
    """Return what fits a mistake: `given` is what was read, None if nothing could be."""
    if given is not None:
        if _is_rounded(given, right):
            return translated("Right as far as it goes. Give more decimals.")
        for wrong, hint in exercise.hints:
            if _agree(given, wrong(right) if callable(wrong) else wrong, exercise.tolerance):
                return translated(hint)
    if isinstance(right, str):
        letters = sorted([right, *(wrong for wrong, _ in exercise.hints)])
        return translated("Answer with one of the letters {letters}, in quotes.").format(
            letters=", ".join(map(repr, letters))
        )
    shape = () if isinstance(right, Between) else np.shape(right)
    wanted = translated("a single number")
    if shape:
        wanted = translated("an array of shape {shape}").format(shape=shape)
    if given is None:
        return translated("The answer should be {wanted}, without quotes.").format(wanted=wanted)
    if given.size > 1 and not shape:
        return translated(
            "The answer should be a single number; you gave {count}. Write 1000, not 1,000."
        ).format(count=given.size)
    if given.shape != shape:
        return translated("The answer should be {wanted}; yours has shape {shape}.").format(
            wanted=wanted, shape=given.shape
        )
    if not np.isfinite(given).all():
        return translated(
            "Your answer is not finite: look for a division by 0, a logarithm of 0, an overflow."
        )
    return translated(exercise.otherwise)
