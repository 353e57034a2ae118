"""Moved, turned, zoomed and slanted digits: more to learn from than was ever written."""

from __future__ import annotations

import numpy as np

ROWS, COLUMNS = np.mgrid[:28, :28].reshape(2, 784).astype("float32")


def shift(random: np.random.Generator, images: np.ndarray, limit: int) -> np.ndarray:
    """Move each image by up to `limit` whole pixels along each axis: a window of its padded self.

    `images` and what comes back: (n, 28, 28, 1); what moves in from outside is 0.

    See Also
    --------
    warp : Parts of pixels, and turned, zoomed and slanted too.
    """
    padded = np.pad(images[..., 0], ((0, 0), (limit, limit), (limit, limit)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))
    down, right = random.integers(0, 2 * limit + 1, (2, len(images)))
    return windows[np.arange(len(images)), down, right][..., np.newaxis]


def random_maps(
    random: np.random.Generator,
    n: int,
    *,
    max_shift: float = 0,
    max_rotation: float = 0,
    max_zoom: float = 0,
    max_shear: float = 0,
) -> np.ndarray:
    """Draw random maps about an image's centre, for `warp`.

    Parameters
    ----------
    random : numpy.random.Generator
    n : int
        How many.
    max_shift : float
        Pixels, along each axis.
    max_rotation : float
        Degrees, either way.
    max_zoom : float
        Share of the size, 0 to below 1: 0.1 zooms by a factor of 0.9 to 1.1.
    max_shear : float
        Slant, either way: pixels to the side for a pixel down.

    Returns
    -------
    (n, 2, 3) float32
        Affine maps: a pixel of the new image, (row, column, 1), to its place in the old one.

    Examples
    --------
    >>> random_maps(np.random.default_rng(0), 64, max_rotation=10).shape
    (64, 2, 3)
    """
    angle = np.radians(random.uniform(-max_rotation, max_rotation, n))
    scale = random.uniform(1 - max_zoom, 1 + max_zoom, n)
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    slant = random.uniform(-max_shear, max_shear, n)
    linear = np.stack([cosine, -sine, sine + slant, cosine], axis=1).reshape(n, 2, 2)
    shift = random.uniform(-max_shift, max_shift, (n, 2))
    about_the_centre = 13.5 * (1 - linear.sum(axis=2)) + shift
    return np.concatenate([linear, about_the_centre[..., np.newaxis]], axis=2).astype("float32")


def warp(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Give each image anew, every pixel taken from where its map sends it.

    Between four pixels the value is interpolated (bilinear); outside the image it is 0. The
    identity gives an image back bit for bit. ``keras.ops.image.affine_transform`` gives the same
    to 2e-6, and takes longer.

    Parameters
    ----------
    images : (n, 28, 28, 1) float32
    maps : (n, 2, 3) float32
        As `random_maps` makes them.

    Returns
    -------
    (n, 28, 28, 1) float32

    Examples
    --------
    >>> images = np.zeros((1, 28, 28, 1), dtype="float32")
    >>> images[0, 10, 10] = 1
    >>> one_pixel_down = np.array([[[1, 0, -1], [0, 1, 0]]], dtype="float32")
    >>> np.argwhere(warp(images, one_pixel_down)[0, :, :, 0])
    array([[11, 10]])
    """
    # A border of zeros, one row more below: a place on the border has neighbours too.
    padded = np.pad(images[..., 0], ((0, 0), (1, 2), (1, 1)))
    (a, b, c), (d, e, f) = maps.transpose(1, 2, 0)[..., np.newaxis]
    row = np.clip(a * ROWS + b * COLUMNS + (c + 1), 0, 29)
    column = np.clip(d * ROWS + e * COLUMNS + (f + 1), 0, 28.999)
    top, left = row.astype(int), column.astype(int)
    down, right = row - top.astype("float32"), column - left.astype("float32")
    corner = 31 * 30 * np.arange(len(images))[:, np.newaxis] + 30 * top + left

    def between(place: np.ndarray) -> np.ndarray:
        ink = padded.take(place)
        return ink + right * (padded.take(place + 1) - ink)

    above = between(corner)
    return (above + down * (between(corner + 30) - above)).reshape(images.shape)
