"""What a trained network answers, and where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def predict_scores(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the network's ten scores for each image, in batches of 500 instead of Keras's 32.

    Parameters
    ----------
    model : keras.Model
    images : (n, 28, 28, 1) float32, 0 to 1

    Returns
    -------
    (n, 10) float32

    Raises
    ------
    ValueError
        If `images` does not have that shape or is not float32.
    """
    return in_batches(model.predict_on_batch, images, 500)


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

    Raises
    ------
    ValueError
        If `labels` and `scores` do not have those shapes.

    Examples
    --------
    >>> scores = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    >>> find_errors(np.array([0, 0, 0]), scores)
    array([2, 1])
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            "labels and scores must have shapes (n,) and (n, classes), "
            f"not {labels.shape} and {scores.shape}"
        )
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    return wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")]
