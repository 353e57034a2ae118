"""Figures whose making teaches nothing: each function returns a Matplotlib figure.

A notebook shows the figure that its cell ends with. Importing this module sets the style of every
figure, ``style.mplstyle``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib_inline.config import InlineBackend

from mnist_cnn.progress import History

if TYPE_CHECKING:
    import keras
    from matplotlib.axes import Axes

    from mnist_cnn.evaluation import Reliability

matplotlib.style.use("mnist_cnn.style")
COLORS = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
    # In a notebook: twice the pixels, for the back row.
    InlineBackend.instance(parent=shell).figure_formats = {"retina"}


def _panels(
    rows: int, columns: int, size: tuple[float, float], **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure of that size in inches and its axes, (rows, columns), without any frame."""
    figure = Figure(figsize=size)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.axis("off")
    return figure, axes


def digit_grid(
    images: np.ndarray,
    titles: Sequence[object] | None = None,
    *,
    columns: int = 10,
    title: str = "",
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
        If there is no image, or `titles` has another length.
    """
    images = np.asarray(images).reshape(-1, *np.shape(images)[1:3])
    if not len(images):
        raise ValueError("images must hold at least one image, not none")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"titles must be as many as images ({len(images)}), not {len(titles)}")
    rows = -(-len(images) // columns)
    side = min(9.5 / columns, 1.9)
    height = (side + (0 if titles is None else 0.25)) * rows + (0.5 if title else 0)
    figure, axes = _panels(rows, columns, (side * columns, height))
    for index, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
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
    figure = Figure(figsize=(10, 4))
    for ax, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        _draw_course(ax, history, name, markersize=5)
        if f"val_{name}" in history:
            ax.legend()
        ax.set(title=name.capitalize(), xlabel="epoch")
    figure.suptitle(title)
    return figure


def _draw_course(ax: Axes, history: History, name: str, markersize: float) -> None:
    for key, label, style in ((name, "training", "C0o-"), (f"val_{name}", "validation", "C1s--")):
        if key in history:
            epochs = range(1, len(history[key]) + 1)
            ax.plot(epochs, history[key], style, markersize=markersize, label=label)
    ax.set_ylabel(name)
    ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    ax.grid(alpha=0.3)


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
    _draw_confusion(ax, matrix)
    ax.set_title(title)
    return figure


def _draw_confusion(ax: Axes, matrix: np.ndarray, diagonal: bool = True) -> None:
    right = np.eye(len(matrix), dtype=bool)
    mistakes = np.ma.masked_array(matrix, right)
    ax.set_facecolor("0.85")  # shines through where the image is masked
    ax.imshow(mistakes, cmap="Blues", vmin=0, vmax=max(1, mistakes.max()), aspect="auto")
    for (i, j), count in np.ndenumerate(matrix):
        if count and (diagonal or i != j):
            dark = i != j and count > mistakes.max() / 2
            ax.text(j, i, count, ha="center", va="center", color="w" if dark else "k", fontsize=13)
    digits = range(len(matrix))
    ax.set(xlabel="predicted digit", ylabel="true digit", xticks=digits, yticks=digits)


def loss_along_step(step_sizes: np.ndarray, losses: np.ndarray, start: float) -> Figure:
    """Draw a batch's loss after one gradient step against the size of the step.

    Parameters
    ----------
    step_sizes, losses : (n,) arrays
        `step_sizes` above 0.
    start : float
        The loss before the step.
    """
    figure = Figure(figsize=(8, 4.2))
    ax = figure.subplots()
    ax.semilogx(step_sizes, losses, marker="o", markersize=5, label="after the step")
    ax.axhline(start, color="0.4", ls="--", label="before the step")
    ax.set(xlabel="step size (learning rate)", ylabel="loss of the same batch")
    # The gain is small beside what an overlong step does: its curve leaves the picture.
    bottom, top = losses.min() - 0.1, 2 * start - losses.min() + 0.1
    ax.set_ylim(bottom, top)
    if losses[-1] > top:
        text = f"{losses[-1]:.1f} at a\nstep of {step_sizes[-1]:g}"
        end, below = (step_sizes[-1], top), (step_sizes[-1], top - 0.09)
        arrow = {"arrowstyle": "->", "color": COLORS[0], "lw": 2}
        ax.annotate(text, end, below, ha="center", va="top", color=COLORS[0], arrowprops=arrow)
        ax.set_xlim(right=2.5 * step_sizes[-1])
    ax.grid(alpha=0.3)
    ax.legend(loc="upper left")
    return figure


def time_and_accuracy(
    names: Sequence[str], seconds: Sequence[float], accuracies: Sequence[Sequence[float]]
) -> Figure:
    """Draw accuracy against time, a named mark for each way of training, joined in their order.

    Parameters
    ----------
    names, seconds : sequences of n
    accuracies : sequence of n sequences
        One value per seed: the mean is the mark, small marks stand for the seeds.
    """
    figure = Figure(figsize=(10, 6))
    ax = figure.subplots()
    means = [np.mean(values) for values in accuracies]
    ax.semilogx(seconds, means, "o-", color=COLORS[0], lw=1, markersize=9)
    for x, values in zip(seconds, accuracies, strict=True):
        ax.plot([x] * len(values), values, ".", color="0.4", markersize=5)
    # The quick ones have about the same time: names beside them, pushed apart. The others: names
    # above and below in turns.
    quick = [
        index for index in np.argsort(means) if seconds[index] ** 2 < min(seconds) * max(seconds)
    ]
    heights, gap = np.array(means), 0.06 * (max(means) - min(means))
    for low, high in 50 * list(itertools.pairwise(quick)):
        push = max(0, gap - heights[high] + heights[low]) / 2
        heights[[low, high]] += -push, push
    for index, (name, x, mean) in enumerate(zip(names, seconds, means, strict=True)):
        if index in quick:
            line = {"arrowstyle": "-", "color": "0.6", "shrinkB": 6, "relpos": (0, 0.5)}
            ax.annotate(name, (x, mean), (1.12 * x, heights[index]), va="center", arrowprops=line)
        else:
            offset = (0, -20 if index % 2 else 20)
            ax.annotate(
                name, (x, mean), offset, textcoords="offset points", ha="center", va="center"
            )
    ax.set(xlabel="seconds of computing (logarithmic axis)", ylabel="accuracy on held-out images")
    ax.set_title("One change after the other (large: means, small: single seeds)")
    ticks = (10, 20, 50, 100, 200, 500, 1000)
    ax.set_xticks(ticks, map(str, ticks))
    ax.set_xlim(0.85 * min(seconds), 2.8 * max(seconds))
    ax.minorticks_off()
    ax.grid(alpha=0.3)
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
    figure, ((first, *_, last),) = _panels(1, 4, (10.5, 3.6), width_ratios=ratios)
    for ax, (title, values) in zip(figure.axes, panels.items(), strict=True):
        limit = 2 * np.abs(values).max()
        ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=13)
        ax.set_title(title)
    for ax, side in ((first, size), (last, 1)):
        frame = Rectangle((column - 0.5, row - 0.5), side, side, fill=False, lw=3, clip_on=False)
        ax.add_patch(frame)
    return figure


def edge_maps(
    digit: np.ndarray, kernels: Mapping[str, np.ndarray], maps: Mapping[str, np.ndarray]
) -> Figure:
    """Draw a digit and, below each kernel, its feature map before and after ReLU.

    Parameters
    ----------
    digit : (28, 28) array
    kernels, maps : mappings of str to (size, size) array
        Under the same names, which become titles.
    """
    figure, axes = _panels(3, len(maps) + 1, (9, 6.2), height_ratios=[0.75, 1, 1])
    axes[0, 0].imshow(digit)
    axes[0, 0].set_title("digit")
    for ax, text in zip(axes[1:, 0], ("feature map", "after ReLU"), strict=True):
        ax.text(0.5, 0.5, text, fontsize=14, ha="center", va="center")
    for column, (name, values) in zip(axes.T[1:], maps.items(), strict=True):
        panels = (kernels[name], values, np.maximum(values, 0))
        for ax, panel, light in zip(column, panels, (2, 1.2, 1.2), strict=True):
            limit = light * np.abs(panel).max()
            ax.imshow(panel, cmap="PuOr_r", vmin=-limit, vmax=limit)
        column[0].set_title(name)
        for (i, j), value in np.ndenumerate(kernels[name]):
            column[0].text(j, i, f"{value:.2g}", ha="center", va="center")
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
    figure, ((ax,),) = _panels(1, 1, (10.5, 3.3))
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
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    rows: int = 8,
    columns: int = 14,
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
    """
    side = max(0.95, 9.1 / columns)
    figure, axes = _panels(rows, columns, (side * columns, (0.8 * side + 0.55) * rows))
    for ax, image, label, row in zip(axes.flat, images, labels, probabilities, strict=False):
        ax.imshow(image, vmin=0, vmax=255)
        ax.set_title(f"{label}→{row.argmax()}\n{row.max():.3f}", fontsize=12)
    return figure


def reliability_diagram(curves: Mapping[str, Reliability]) -> Figure:
    """Draw accuracy against confidence, and below it how many images each bin holds.

    The bars above are the accuracies' 95 % Wilson intervals. Bins of fewer than ten images, whose
    bars would fill the panel, stand below only.

    Parameters
    ----------
    curves : mapping of str to Reliability
        Names for the legend, and what `evaluation.reliability_curve` gives.
    """
    from scipy.stats import binomtest

    figure = Figure(figsize=(8.5, 5))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
    top.plot([0, 1], [0, 1], color="0.5", ls=":", label="as sure as right")
    # A large first marker is seen where another lies on it.
    for (name, curve), marker, size in zip(curves.items(), "osD^", (10, 6, 6, 6), strict=False):
        style = {"marker": marker, "markersize": size, "label": name}
        enough = curve.count >= 10
        confidence, accuracy, count = (part[enough] for part in curve[:3])
        tests = [binomtest(round(a * n), n) for a, n in zip(accuracy, count, strict=True)]
        ends = [test.proportion_ci(method="wilson") for test in tests]
        bars = np.abs(np.transpose(ends) - accuracy)
        top.errorbar(confidence, accuracy, bars, capsize=3, **style)
        bottom.semilogy(curve.confidence, curve.count, **style)
    bottom.axhline(10, color="0.5", ls=":")
    top.set(ylabel="accuracy", xlim=(0, 1.02), ylim=(-0.03, 1.03))
    top.legend(loc="lower right", bbox_to_anchor=(0.97, 0))
    bottom.set(xlabel="confidence (greatest score)", ylabel="images", ylim=(0.7, 2e4))
    for ax in (top, bottom):
        ax.grid(alpha=0.3)
    return figure


def dashboard(history: History, matrix: np.ndarray, title: str) -> Figure:
    """Draw a training run on one page: both curves, the mistakes, and how many of each digit.

    Parameters
    ----------
    history : dict of str to list of float
        "accuracy" and "loss", one value per epoch; with ``"val_"`` in front, of held-out data.
    matrix : (10, 10) array of integers
        Rows are the true digits, columns the predicted ones.
    title : str
        What the run was, and its result.
    """
    figure = Figure(figsize=(9.6, 5))
    panels = figure.subplot_mosaic(
        [["accuracy", "matrix", "misread"], ["loss", "matrix", "misread"]],
        width_ratios=[1.1, 1.5, 0.5],
    )
    for name, scale in (("accuracy", "linear"), ("loss", "log")):
        _draw_course(panels[name], history, name, markersize=4)
        panels[name].set_yscale(scale)
    panels["accuracy"].legend(loc="lower right")
    panels["loss"].set_xlabel("epoch")
    _draw_confusion(panels["matrix"], matrix, diagonal=False)
    panels["matrix"].set_title("Mistakes")
    misread = 1 - np.diag(matrix) / np.sum(matrix, axis=1)
    bars = panels["misread"].barh(range(len(matrix)), 100 * misread, color="0.6")
    panels["misread"].bar_label(bars, fmt="%.1f", padding=3)
    panels["misread"].set(title="Misread, %", xticks=[], yticks=range(len(matrix)))
    panels["misread"].set(xlim=(0, 160 * max(*misread, 0.001)), ylim=panels["matrix"].get_ylim())
    figure.suptitle(title)
    return figure


def _frame(ax: Axes) -> None:
    """Draw a picture's border, and no numbers along it."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.6")


def filter_grid(
    kernels: np.ndarray, numbers: Sequence[int] | np.ndarray, title: str = ""
) -> Figure:
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
        _frame(ax)
    bar = figure.colorbar(picture, ax=list(shown), shrink=0.8)
    bar.set_label("weight", fontsize=15)
    bar.ax.tick_params(labelsize=14)
    figure.suptitle(title)
    return figure


def feature_maps(
    maps: np.ndarray,
    numbers: Sequence[int] | np.ndarray,
    *,
    kernels: np.ndarray | None = None,
    digit: np.ndarray | None = None,
) -> Figure:
    """Draw feature maps in rows of eight, on one scale, below the numbers of their filters.

    The scale ends at the 98th percentile of what is not 0: a few great values would make the rest
    pale.

    Parameters
    ----------
    maps : (n, height, width) array, 0 or more
        Feature maps after ReLU.
    numbers : sequence of n integers
    kernels : (n, 3, 3) array or None
        Drawn above the maps: orange is positive, purple negative.
    digit : (28, 28) array or None
        Its outline is drawn over the maps, each number of a map in the middle of what it sees.
    """
    blocks = -(-len(maps) // 8)
    parts = 1 if kernels is None else 2
    figure = Figure(figsize=(9.5, (1.25 * parts + 0.3) * blocks))
    axes = figure.subplots(blocks * parts, 8, squeeze=False)
    upper, lower = (axes[i::parts].ravel()[: len(maps)] for i in (0, parts - 1))
    top = np.percentile(maps[maps > 0], 98)
    step = 28 // maps.shape[1]
    edges = 13.5 + np.array([-0.5, 0.5]) * step * maps.shape[1]
    for above, ax, values, number in zip(upper, lower, maps, numbers, strict=True):
        ax.imshow(values, cmap="Blues", vmin=0, vmax=top, extent=(*edges, *edges[::-1]))
        above.set_title(number, fontsize=13)
    if kernels is not None:
        limit = 1.1 * np.abs(kernels).max()
        for ax, kernel in zip(upper, kernels, strict=True):
            ax.imshow(kernel, cmap="PuOr_r", vmin=-limit, vmax=limit)
    if digit is not None:
        for ax in lower:
            ax.contour(digit, [digit.max() / 2], colors="0.5", linewidths=1)
    for ax in axes.flat:
        _frame(ax)
        ax.set_visible(bool(ax.images))
    return figure


def patch_rows(patches: np.ndarray, numbers: Sequence[int] | np.ndarray) -> Figure:
    """Draw for each filter the patches that excite it most, a row each, behind its number.

    The rows stand in two columns, the left one filled first.

    Parameters
    ----------
    patches : (filters, n, height, width) array, 0 for background
    numbers : sequence of as many integers
    """
    filters, count, height, width = patches.shape
    rows = -(-filters // 2)
    layout = ConstrainedLayoutEngine(wspace=0.08, hspace=0.06)
    figure = Figure(figsize=(9.5, 4.5 * rows / count), layout=layout)
    axes = figure.subplots(rows, 2, squeeze=False).T.ravel()
    for ax, row, number in zip(axes, patches, numbers, strict=True):
        gap = np.full((count, height, 1), np.nan)
        strip = np.concatenate([row, gap], axis=2).transpose(1, 0, 2).reshape(height, -1)
        ax.imshow(strip[:, :-1], cmap="gray_r", vmin=0, vmax=patches.max())
        for left in range(0, count * (width + 1), width + 1):
            ax.add_patch(Rectangle((left - 0.5, -0.5), width, height, fill=False, clip_on=False))
        ax.set_ylabel(number, rotation=0, ha="right", va="center", fontsize=15)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
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
    figure, axes = _panels(rows, columns, (1.9 * columns, 1.9 * rows + 0.3))
    for row, digit in zip(axes, digits, strict=True):
        row[0].imshow(digit, cmap="gray_r")
    for column, (title, values) in zip(axes.T[1:], maps.items(), strict=True):
        column[0].set_title(title)
        for ax, digit, value in zip(column, digits, values, strict=True):
            limit = 1.3 * np.abs(value).max()
            ax.imshow(value, cmap="PuOr_r", vmin=-limit, vmax=limit)
            ax.contour(digit, [digit.max() / 2], colors="0.4", linewidths=1)
    return figure


def projections(points: Mapping[str, np.ndarray], labels: np.ndarray) -> Figure:
    """Draw images as points in the plane, each as its own digit in its class's colour.

    Parameters
    ----------
    points : mapping of str to (n, 2) array
        Titles and points, a panel each. A large digit stands in the middle of each class.
    labels : (n,) array of integers, 0 to 9
    """
    colors = matplotlib.colormaps["tab10"]
    size = 4.8 * len(points), 4.7
    figure, axes = _panels(1, len(points), size, sharex=True, sharey=True)
    for ax, (title, places) in zip(axes.flat, points.items(), strict=True):
        for digit in range(10):
            x, y = places[labels == digit].T
            ax.scatter(x, y, s=26, lw=0.3, color=colors(digit), marker=f"${digit}$", alpha=0.7)
            for color, width, zorder in (("w", 7, 3), (colors(digit), 1, 4)):
                middle = {"color": color, "lw": width, "zorder": zorder}
                ax.scatter(np.median(x), np.median(y), s=300, marker=f"${digit}$", **middle)
        ax.set(title=title, aspect="equal")
    return figure


def boxed_digits(picture: np.ndarray, boxes: np.ndarray) -> Figure:
    """Draw a picture with a numbered box around each digit.

    Parameters
    ----------
    picture : (height, width) array of uint8, 255 for white
    boxes : (n, 4) array, 0 to 1
        As `pictures.digits_from_image` returns them.
    """
    height, width = picture.shape
    figure, ((ax,),) = _panels(1, 1, (8, 8 * height / width + 0.3))
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set_title("A box for each digit, numbered line by line")
    for number, box in enumerate(boxes * (width, height, width, height), start=1):
        left, top, right, bottom = box
        size = right - left, bottom - top
        ax.add_patch(Rectangle((left, top), *size, fill=False, color=COLORS[1], lw=1.5))
        ax.text(left, top - 3, str(number), color=COLORS[1])
    return figure


def risk_coverage(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw the share of mistakes among the answers against the share of answers given.

    Parameters
    ----------
    curves : mapping of str to (coverage, risk)
        Two arrays of the same length, 0 to 1, under the name of what was read.
    """
    figure = Figure(figsize=(6.5, 4))
    ax = figure.subplots()
    for (name, (coverage, risk)), style in zip(curves.items(), ("-", "--", ":"), strict=False):
        drawn = coverage > 1 / 3  # a share of few answers is noise
        ax.plot(coverage[drawn], risk[drawn], ls=style, label=name)
    ax.set(
        title="Fewer answers, fewer mistakes",
        xlabel="coverage: share answered",
        ylabel="risk: share of answers wrong",
        ylim=(0, None),
    )
    ax.grid(alpha=0.3)
    ax.legend()
    return figure
