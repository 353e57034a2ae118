"""From pixels and labels to what a network takes and gives."""

import numpy as np


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Turn labels into rows with a single 1: row i of the identity matrix stands for digit i.

    Parameters
    ----------
    labels : (n,) array of integers, 0 to 9

    Returns
    -------
    (n, 10) float32, each row 0 but for a 1 at its label

    Raises
    ------
    ValueError
        If `labels` is not a 1-d array of integers in that range.

    Examples
    --------
    >>> one_hot(np.array([2, 0]))
    array([[0., 0., 1., 0., 0., 0., 0., 0., 0., 0.],
           [1., 0., 0., 0., 0., 0., 0., 0., 0., 0.]], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels must be a 1-d array of integers, not {labels.dtype} of shape {labels.shape}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < 10):
        raise ValueError(f"labels must be from 0 to 9, not from {labels.min()} to {labels.max()}")
    return np.eye(10, dtype="float32")[labels]


def normalize(images: np.ndarray) -> np.ndarray:
    """Scale grey levels from 0–255 to 0–1.

    Parameters
    ----------
    images : uint8 array of any shape

    Returns
    -------
    float32 array of the same shape, 0 to 1

    Raises
    ------
    ValueError
        If `images` is not uint8: floats may have been divided already.

    Examples
    --------
    >>> normalize(np.array([0, 51, 255], dtype="uint8"))
    array([0. , 0.2, 1. ], dtype=float32)
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 (0 to 255), not {images.dtype}")
    return images / np.float32(255)


def prepare(images: np.ndarray) -> np.ndarray:
    """Turn MNIST images into network input: grey levels from 0 to 1, and a channel axis.

    Parameters
    ----------
    images : (n, height, width) uint8, 0 to 255

    Returns
    -------
    (n, height, width, 1) float32, 0 to 1

    Raises
    ------
    ValueError
        If `images` does not have three axes or is not uint8.

    Examples
    --------
    >>> images = prepare(np.full((5, 28, 28), 255, dtype="uint8"))
    >>> images.shape, images.dtype, images.max()
    ((5, 28, 28, 1), dtype('float32'), np.float32(1.0))
    """
    if np.ndim(images) != 3:
        raise ValueError(f"images must have shape (n, height, width), not {np.shape(images)}")
    return normalize(images)[..., np.newaxis]
