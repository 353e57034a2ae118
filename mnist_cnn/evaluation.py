"""What a trained network is worth: its predictions, its mistakes, and how well it knows them."""

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
    return in_batches(model.predict_on_batch, images, batch_size)


def in_batches(
    predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray, batch_size: int
) -> np.ndarray:
    """Return what `predict` gives for all images, asked for a batch at a time.

    As `predict_scores`, for any `predict` that turns (n, 28, 28, 1) float32 into (n, 10) float32.
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
