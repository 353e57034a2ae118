"""What a trained network is worth: predictions, errors, and how sure one may be of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import keras


def predict_scores(model: keras.Model, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Return the network's ten scores for each image, in larger batches than Keras's 32.

    Parameters
    ----------
    model : keras.Model
    images : (n, 28, 28, 1) float32, 0 to 1
    batch_size : int
        Images at a time; larger is faster up to a few hundred and takes more memory.

    Returns
    -------
    (n, 10) float32

    Raises
    ------
    ValueError
        If `images` does not have that shape or is not float32.
    """
    return in_batches(lambda batch: model.predict_on_batch(batch), images, batch_size)


def in_batches(
    predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray, batch_size: int
) -> np.ndarray:
    """Return what `predict` gives for all images, asked for a batch at a time.

    Parameters
    ----------
    predict : callable
        Takes (n, 28, 28, 1) float32 and returns (n, 10) float32.
    images : (n, 28, 28, 1) float32, 0 to 1
    batch_size : int

    Returns
    -------
    (n, 10) float32

    Raises
    ------
    ValueError
        If `images` does not have that shape or is not float32.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (28, 28, 1) or images.dtype != np.float32:
        raise ValueError(
            "images must be float32 of shape (n, 28, 28, 1), "
            f"not {images.dtype} of shape {images.shape}"
        )
    starts = range(0, len(images), batch_size)
    scores = [predict(images[start : start + batch_size]) for start in starts]
    return np.concatenate(scores) if scores else np.empty((0, 10), "float32")


def find_errors(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the indices of the misread images, the most confident mistake first.

    Parameters
    ----------
    labels : (n,) array of integers
    scores : (n, classes) array

    Returns
    -------
    (errors,) int64

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    >>> find_errors(np.array([0, 0, 0]), scores)
    array([2, 1])
    """
    labels, scores = _check_scores(labels, scores)
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    return wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")]


class Confusion(NamedTuple):
    """One kind of mistake: `count` images of class `label` were read as `predicted`."""

    label: int
    predicted: int
    count: int  # type: ignore[assignment]  # a tuple's own method of that name is not missed


def most_confused(confusion_matrix: np.ndarray, most: int = 5) -> list[Confusion]:
    """Return the largest entries off the diagonal, the most frequent mistake first.

    Parameters
    ----------
    confusion_matrix : (classes, classes) array of integers
        Rows are the true classes, columns the predicted ones, as scikit-learn makes it.
    most : int
        How many to return at most; entries of 0 are left out.

    Examples
    --------
    >>> most_confused(np.array([[9, 1], [3, 8]]))
    [Confusion(label=1, predicted=0, count=3), Confusion(label=0, predicted=1, count=1)]
    """
    mistakes = np.array(confusion_matrix)
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, mistakes.shape), strict=True)
    return [Confusion(int(i), int(j), int(mistakes[i, j])) for i, j in pairs if mistakes[i, j]]


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share: where the true accuracy plausibly lies.

    Parameters
    ----------
    correct, total : int
        0 ≤ `correct` ≤ `total`, `total` at least 1.
    confidence : float
        Between 0 and 1, both excluded.

    Returns
    -------
    (low, high) : tuple of float, 0 to 1

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> low, high = wilson_interval(9_894, 10_000)
    >>> round(low, 4), round(high, 4)
    (0.9872, 0.9912)

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).
    """
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"correct must be from 0 to total (at least 1), not {correct} of {total}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


class McNemar(NamedTuple):
    """How two models differ on the same images, and how likely chance alone does as much."""

    only_first_correct: int
    only_second_correct: int
    p_value: float


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> McNemar:
    """Test whether two models' accuracies differ (exact McNemar test).

    Only images that one model reads rightly and the other wrongly tell them apart; if the models
    were equally good, each such image would favour either with probability one half.

    Parameters
    ----------
    labels, first, second : (n,) arrays of integers
        The true classes and the two models' predictions for the same images.

    Raises
    ------
    ValueError
        If the three do not have the same shape (n,).

    Examples
    --------
    >>> labels, first, second = np.ones(9), np.ones(9), np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    >>> mcnemar(labels, first, second)
    McNemar(only_first_correct=6, only_second_correct=0, p_value=0.03125)

    References
    ----------
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947).
    """
    labels, first, second = np.asarray(labels), np.asarray(first), np.asarray(second)
    if labels.ndim != 1 or not labels.shape == first.shape == second.shape:
        raise ValueError(
            "labels, first and second must have the same shape (n,), "
            f"not {labels.shape}, {first.shape} and {second.shape}"
        )
    from scipy.stats import binomtest

    only_first = int(np.sum((first == labels) & (second != labels)))
    only_second = int(np.sum((first != labels) & (second == labels)))
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    return McNemar(only_first, only_second, p_value)


class Reliability(NamedTuple):
    """Confidence held against accuracy, bin by bin; empty bins are left out."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray  # type: ignore[assignment]
    calibration_error: float


def reliability_curve(labels: np.ndarray, scores: np.ndarray, bins: int = 10) -> Reliability:
    """Compare how sure a network says it is with how often it is right.

    Parameters
    ----------
    labels : (n,) array of integers
    scores : (n, classes) array, 0 to 1
        The confidence of a prediction is its greatest score.
    bins : int
        Number of equal parts of the range 0 to 1.

    Returns
    -------
    Reliability
        Mean confidence, accuracy and count of each bin, and the expected calibration error: the
        mean distance between confidence and accuracy, weighted by the counts.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.8, 0.2], [0.1, 0.9]])
    >>> curve = reliability_curve(np.array([0, 1, 1, 1]), scores, bins=1)
    >>> curve.confidence, curve.accuracy, curve.count
    (array([0.85]), array([0.75]), array([4]))

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", arXiv:1706.04599.
    """
    labels, scores = _check_scores(labels, scores)
    confidence = scores.max(axis=1).astype("float64")
    correct = scores.argmax(axis=1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    used = count > 0
    count = count[used]
    mean_confidence = np.bincount(index, confidence, minlength=bins)[used] / count
    accuracy = np.bincount(index, correct, minlength=bins)[used] / count
    error = float(np.average(np.abs(mean_confidence - accuracy), weights=count))
    return Reliability(mean_confidence, accuracy, count, error)


def _check_scores(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(scores):
        raise ValueError(
            "labels and scores must have shapes (n,) and (n, classes) with n at least 1, "
            f"not {labels.shape} and {scores.shape}"
        )
    return labels, scores
