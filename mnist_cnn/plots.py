"""Figures whose making teaches nothing: each function returns a Matplotlib figure.

A notebook shows the figure that its cell ends with. Importing this module sets the style of every
figure, ``style.mplstyle``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib_inline.config import InlineBackend

from mnist_cnn.progress import History

if TYPE_CHECKING:
    import keras

matplotlib.style.use("mnist_cnn.style")
COLORS = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
    # In a notebook: twice the pixels, for the back row.
    InlineBackend.instance(parent=shell).figure_formats = {"retina"}


def _panels(rows: int, columns: int, size: tuple[float, float], **options: Any) -> Figure:
    """Return a figure of that size in inches with axes without any frame, row after row."""
    figure = Figure(figsize=size)
    for ax in figure.subplots(rows, columns, squeeze=False, **options).flat:
        ax.axis("off")
    return figure


def digit_grid(
    images: np.ndarray, titles: Sequence | None = None, *, columns: int = 10, title: str = ""
) -> Figure:
    """Draw images side by side, dark ink on white, row after row.

    Parameters
    ----------
    images : (n, 28, 28) or (n, 28, 28, 1) array, 0 for background
    titles : sequence of n or None
        Written above each image.
    columns : int
        Images in a row.
    title : str
        Above the whole figure.

    Raises
    ------
    ValueError
        If there is no image, `images` has another shape, or `titles` another length.
    """
    shape = np.shape(images)
    if len(shape) not in (3, 4) or 1 in shape[1:3]:  # such as one image without its first axis
        raise ValueError(f"images must have the shape (n, 28, 28) or (n, 28, 28, 1), not {shape}")
    images = np.asarray(images).reshape(-1, *shape[1:3])
    if not len(images):
        raise ValueError("images must hold at least one image, not none")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must be as many as images ({len(images)}), not {len(titles)}")
    rows = -(-len(images) // columns)
    side = min(9.5 / columns, 1.9)
    height = (side + (0 if titles is None else 0.25)) * rows + (0.5 if title else 0)
    figure = _panels(rows, columns, (side * columns, height))
    for index, (ax, image) in enumerate(zip(figure.axes, images, strict=False)):
        ax.imshow(image, cmap="gray_r")
        if titles is not None:
            ax.set_title(str(titles[index]), fontsize=12 if side < 1.2 else 16)
    if title:
        figure.suptitle(title)
    return figure


def history_panels(history: History, title: str = "Training history") -> Figure:
    """Draw accuracy and loss against the epoch, side by side, as the article does.

    Parameters
    ----------
    history : dict of str to list of float
        "accuracy" and "loss", one value an epoch; with ``"val_"`` in front, those of held-out data.
    title : str
        Above both panels.
    """
    figure = Figure(figsize=(9.5, 4))
    epochs = range(1, len(history["loss"]) + 1)
    for ax, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        ax.plot(epochs, history[name], "C0o-", markersize=5, label="training")
        if f"val_{name}" in history:
            ax.plot(epochs, history[f"val_{name}"], "C1s--", markersize=5, label="validation")
            ax.legend()
        ax.set(title=name.capitalize(), xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def confusion_heatmap(matrix: np.ndarray, title: str = "Confusion matrix") -> Figure:
    """Draw a confusion matrix with its counts: the mistakes shaded, the diagonal grey, no zeros.

    Parameters
    ----------
    matrix : (classes, classes) array of integers
        Rows are the true digits, columns the predicted ones.
    title : str
    """
    figure = Figure(figsize=(0.7 * len(matrix) + 1.2, 0.4 * len(matrix) + 1))
    ax = figure.subplots()
    mistakes = np.ma.masked_array(matrix, np.eye(len(matrix), dtype=bool))
    ax.set_facecolor("0.85")  # shines through where the image is masked
    ax.imshow(mistakes, cmap="Blues", vmin=0, vmax=max(1, mistakes.max()), aspect="auto")
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            dark = i != j and count > mistakes.max() / 2
            ax.text(j, i, count, ha="center", va="center", color="w" if dark else "k", fontsize=13)
    digits = range(len(matrix))
    ax.set(xlabel="predicted digit", ylabel="true digit", xticks=digits, yticks=digits)
    ax.set_title(title)
    return figure


def convolution_step(
    patch: np.ndarray, kernel: np.ndarray, feature_map: np.ndarray, row: int = 0, column: int = 0
) -> Figure:
    """Draw one step of a convolution in numbers: window, weights, products, and their sum.

    Parameters
    ----------
    patch : (n, n) array, 0 to 255
    kernel : (k, k) array
    feature_map : (n - k + 1, n - k + 1) array
    row, column : int
        The window's upper left corner, and the place of the sum.
    """
    size = len(kernel)
    window = patch[row : row + size, column : column + size]
    panels = {
        "pixels": patch,
        "× kernel": kernel,
        "= products": window * kernel + 0.0,  # no −0
        "sum → feature map": feature_map,
    }
    ratios = [len(panel) for panel in panels.values()]
    figure = _panels(1, 4, (10.5, 3.6), width_ratios=ratios)
    for ax, (title, values) in zip(figure.axes, panels.items(), strict=True):
        limit = 2 * np.abs(values).max()
        ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=13)
        ax.set_title(title)
    for ax, side in ((figure.axes[0], size), (figure.axes[-1], 1)):
        frame = Rectangle((column - 0.5, row - 0.5), side, side, fill=False, lw=3, clip_on=False)
        ax.add_patch(frame)
    return figure


def layer_shapes(network: keras.Model, digit: np.ndarray) -> Figure:
    """Draw a digit and the shape of each layer's output, coloured by the kind of layer.

    Parameters
    ----------
    network : keras.Model
        A sequence of layers whose outputs are square maps or vectors.
    digit : (28, 28) array
    """
    kinds = {
        "Conv2D": ("convolution", COLORS[5]),
        "MaxPooling2D": ("pooling", COLORS[3]),
        "Flatten": ("flatten", "0.8"),
        "Dense": ("dense", COLORS[2]),
    }
    figure = _panels(1, 1, (9.5, 3))
    (ax,) = figure.axes
    ax.imshow(digit, extent=(-0.4, 0.4, 0, 0.8))
    ax.add_patch(Rectangle((-0.4, 0), 0.8, 0.8, fill=False))
    labels = [("input", network.input_shape[1:])]
    for x, layer in enumerate(network.layers, start=1):
        name, color = kinds[type(layer).__name__]
        shape = layer.output.shape[1:]
        labels.append((name, shape))
        maps = len(shape) == 3
        width, height = (shape[1] / 35, shape[0] / 35) if maps else (0.14, max(shape[0] / 800, 0.1))
        for sheet in reversed(range(5 if maps else 1)):
            corner = (x - width / 2 + 0.045 * sheet - 0.09 * maps, 0.045 * sheet)
            ax.add_patch(Rectangle(corner, width, height, facecolor=color, edgecolor="k", lw=0.8))
    for x, (name, shape) in enumerate(labels):
        text = f"{name}\n{'×'.join(map(str, shape))}"
        ax.text(x, -0.07, text, ha="center", va="top", linespacing=1.4)
    ax.set(xlim=(-0.6, len(labels) - 0.5), ylim=(-0.55, 1.05), aspect="equal")
    return figure


def one_hot_rows(images: np.ndarray, rows: np.ndarray) -> Figure:
    """Draw images below each other, and beside each its one-hot row, the 1 dark.

    Parameters
    ----------
    images : (n, 28, 28) array, 0 for background
    rows : (n, 10) array of 0 and 1
    """
    figure = Figure(figsize=(6, 0.5 * len(rows) + 0.7))
    left, right = figure.subplots(1, 2, width_ratios=[1, rows.shape[1]])
    left.imshow(images.reshape(-1, images.shape[-1]), cmap="gray_r")
    left.axis("off")
    right.imshow(rows, cmap="Blues", vmax=2)
    for (row, digit), value in np.ndenumerate(rows):
        right.text(digit, row, f"{value:.0f}", ha="center", va="center")
    right.set(xticks=range(rows.shape[1]), yticks=[], xlabel="digit")
    right.xaxis.set_ticks_position("top")
    right.xaxis.set_label_position("top")
    right.spines[:].set_visible(False)
    right.tick_params(length=0)
    return figure


def error_gallery(
    images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, *, rows: int, columns: int
) -> Figure:
    """Draw misread images in the order given; above each "true→predicted" and the probability.

    Parameters
    ----------
    images : (n, 28, 28) array, 0 to 255
    labels : (n,) array of integers
        The true digits.
    probabilities : (n, 10) array, 0 to 1
    rows, columns : int
        Places in the figure: its size does not depend on the number of errors. What does not fit
        is left out.

    See Also
    --------
    mnist_cnn.evaluation.find_errors : Which images are misread, the most confident mistake first.
    """
    side = max(0.95, 9.1 / columns)
    figure = _panels(rows, columns, (side * columns, (0.8 * side + 0.55) * rows))
    for ax, image, label, row in zip(figure.axes, images, labels, probabilities, strict=False):
        ax.imshow(image, vmin=0, vmax=255)
        ax.set_title(f"{label}→{row.argmax()}\n{row.max():.3f}", fontsize=12)
    return figure


def filter_grid(kernels: np.ndarray, numbers: Sequence | np.ndarray, title: str = "") -> Figure:
    """Draw kernels in rows of eight on one scale: orange is positive, purple negative.

    Parameters
    ----------
    kernels : (n, height, width) array
    numbers : sequence of n integers
        Written above each kernel.
    title : str
    """
    rows = -(-len(kernels) // 8)
    figure = Figure(figsize=(9, 1.05 * rows + 0.6))
    axes = figure.subplots(rows, 8, squeeze=False)
    limit = 1.1 * np.abs(kernels).max()
    shown, spare = np.split(axes.ravel(), [len(kernels)])
    for ax in spare:
        ax.remove()
    for ax, kernel, number in zip(shown, kernels, numbers, strict=True):
        picture = ax.imshow(kernel, cmap="PuOr_r", vmin=-limit, vmax=limit)
        ax.set_title(number, fontsize=15)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color="0.6")
    bar = figure.colorbar(picture, ax=list(shown), shrink=0.8)
    bar.set_label("weight", fontsize=15)
    bar.ax.tick_params(labelsize=14)
    figure.suptitle(title)
    return figure


def relevance(digits: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw digits and, beside each, how much its pixels matter; outlines show where the ink is.

    Parameters
    ----------
    digits : (n, 28, 28) array, 0 for background
    maps : mapping of str to (n, 28, 28) array
        Titles and maps: orange is positive, purple negative, each on its own scale.
    """
    rows, columns = len(digits), len(maps) + 1
    figure = _panels(rows, columns, (1.9 * columns, 1.9 * rows + 0.3))
    for ax, digit in zip(figure.axes[::columns], digits, strict=True):
        ax.imshow(digit, cmap="gray_r")
    for number, (title, values) in enumerate(maps.items(), start=1):
        column = figure.axes[number::columns]
        column[0].set_title(title)
        for ax, digit, value in zip(column, digits, values, strict=True):
            limit = 1.3 * np.abs(value).max()
            ax.imshow(value, cmap="PuOr_r", vmin=-limit, vmax=limit)
            ax.contour(digit, [digit.max() / 2], colors="0.4", linewidths=1)
    return figure
