"""Figures whose making teaches nothing: each function returns a Matplotlib figure.

A notebook shows the figure that its cell ends with. Importing this module sets the style of every
figure, ``style.mplstyle``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
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
    height = (0.95 if titles is None else 1.2) * rows + (0.5 if title else 0)
    figure = Figure(figsize=(0.95 * columns, height))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for index, (ax, image) in enumerate(zip(axes, images, strict=False)):
        ax.imshow(image, cmap="gray_r")
        if titles is not None:
            ax.set_title(str(titles[index]), fontsize=10)
    if title:
        figure.suptitle(title)
    return figure


def history_panels(history: History, title: str = "Training history") -> Figure:
    """Draw accuracy and loss against the epoch, side by side, as the article does.

    Parameters
    ----------
    history : dict of str to list of float
        "accuracy" and "loss", one value an epoch; with "val_" in front, those of held-out data.
    title : str
        Above both panels.
    """
    figure = Figure(figsize=(10, 4))
    for ax, name, color in zip(figure.subplots(1, 2), ("accuracy", "loss"), COLORS, strict=False):
        epochs = range(1, len(history[name]) + 1)
        ax.plot(epochs, history[name], color=color, marker="o", markersize=4, label="training")
        if f"val_{name}" in history:
            ax.plot(
                epochs,
                history[f"val_{name}"],
                color=color,
                ls="--",
                marker="s",
                markersize=4,
                label="validation",
            )
            ax.legend()
        ax.set(title=name.capitalize(), xlabel="epoch", ylabel=name)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    figure.suptitle(title)
    return figure


def confusion_heatmap(matrix: np.ndarray, title: str = "Confusion matrix") -> Figure:
    """Draw a confusion matrix with its counts; only the mistakes are shaded.

    Parameters
    ----------
    matrix : (classes, classes) array of integers
        Rows are the true digits, columns the predicted ones.
    title : str
    """
    size = 0.6 * len(matrix)
    figure = Figure(figsize=(size + 1, size + 0.5))
    ax = figure.subplots()
    _draw_confusion(ax, matrix)
    ax.set_title(title)
    return figure


def _draw_confusion(ax: Axes, matrix: np.ndarray, fontsize: float = 10.5) -> None:
    mistakes = np.array(matrix)
    np.fill_diagonal(mistakes, 0)
    ax.imshow(mistakes, cmap="Blues")
    dark = mistakes > mistakes.max() / 2
    for i, j in np.ndindex(*mistakes.shape):
        color = "w" if dark[i, j] else "k"
        ax.text(j, i, matrix[i, j], ha="center", va="center", color=color, fontsize=fontsize)
    digits = range(len(mistakes))
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
    figure = Figure(figsize=(7, 3.8))
    ax = figure.subplots()
    ax.semilogx(step_sizes, losses, marker="o", markersize=4, label="after the step")
    ax.axhline(start, color=COLORS[1], ls="--", label="before the step")
    ax.set(xlabel="step size (learning rate)", ylabel="loss of the same batch")
    # The gain is small beside what an overlong step does: its curve may leave the picture.
    ax.set_ylim(losses.min() - 0.1, 2 * start - losses.min() + 0.1)
    ax.grid(alpha=0.3)
    ax.legend(loc="upper left")
    return figure


def learning_rates(rates: dict[str, np.ndarray]) -> Figure:
    """Draw learning rates against the gradient step, a line each, with its name beside it.

    Parameters
    ----------
    rates : dict of str to (steps,) array
    """
    figure = Figure(figsize=(7, 3.8))
    ax = figure.subplots()
    for (name, values), ls in zip(rates.items(), ("-", "--", ":"), strict=False):
        ax.plot(np.arange(1, len(values) + 1), values, ls=ls, label=name)
    ax.set(xlabel="gradient step", ylabel="learning rate", ylim=(0, None))
    ax.grid(alpha=0.3)
    ax.legend()
    return figure


def shifts(windows: np.ndarray) -> Figure:
    """Draw an image at all its shifts, with the outline of the unmoved one over each.

    Parameters
    ----------
    windows : (2 * s + 1, 2 * s + 1, 28, 28) array
        Windows onto the image padded by s pixels; ``windows[s, s]`` is the image itself.
    """
    side = len(windows)
    border = side // 2
    figure = Figure(figsize=(2.1 * side, 2.25 * side))
    for (row, column), ax in np.ndenumerate(figure.subplots(side, side)):
        ax.imshow(windows[row, column], cmap="gray_r")
        middle = windows[border, border]
        ax.contour(middle, [middle.max() / 2], colors=COLORS[1], linewidths=1.5)
        down, right = border - row, border - column
        moves = [f"{'down' if down > 0 else 'up'} {abs(down)}"] if down else []
        moves += [f"{'right' if right > 0 else 'left'} {abs(right)}"] if right else []
        ax.set_title(", ".join(moves) or "unmoved")
        ax.axis("off")
    return figure


def convolution_step(patch: np.ndarray, kernel: np.ndarray, feature_map: np.ndarray) -> Figure:
    """Draw a patch, a kernel and their convolution as numbers; its first step is framed.

    Parameters
    ----------
    patch : (n, n) array, 0 to 255
    kernel : (k, k) array
    feature_map : (n - k + 1, n - k + 1) array
    """
    panels = {"pixels": patch, "kernel": kernel, "feature map": feature_map}
    figure = Figure(figsize=(9, 3.7))
    figure.get_layout_engine().set(wspace=0.08)
    axes = figure.subplots(1, 3, width_ratios=[len(panel) for panel in panels.values()])
    frames = (len(kernel), len(kernel), 1)
    for ax, (name, values), side in zip(axes, panels.items(), frames, strict=True):
        limit = 2 * np.abs(values).max()
        ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:.0f}", ha="center", va="center")
        ax.add_patch(Rectangle((-0.5, -0.5), side, side, fill=False, lw=3, clip_on=False))
        ax.set(title=name, xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return figure


def edge_maps(digit: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw a digit and its feature maps, before and after ReLU.

    Parameters
    ----------
    digit : (28, 28) array
    maps : mapping of str to (height, width) array
        Titles and feature maps.
    """
    figure = Figure(figsize=(10, 4.5))
    axes = figure.subplots(2, len(maps) + 1)
    axes[0, 0].imshow(digit)
    axes[0, 0].set_title("digit")
    for ax in axes.flat:
        ax.axis("off")
    for (ax, below), (name, values) in zip(axes.T[1:], maps.items(), strict=True):
        limit = np.abs(values).max()
        ax.imshow(values, cmap="PuOr_r", vmin=-limit, vmax=limit)
        below.imshow(np.maximum(values, 0), cmap="PuOr_r", vmin=-limit, vmax=limit)
        ax.set_title(name)
        below.set_title("after ReLU", fontsize=10)
    return figure


def layer_shapes(network: keras.Model) -> Figure:
    """Draw each layer's output to scale along one axis, and below it the layer's parameters.

    Parameters
    ----------
    network : keras.Model
        A sequence of layers whose outputs are square maps or vectors.
    """
    outputs = [("Input", network.input_shape[1:], 0)]
    for layer in network.layers:
        outputs.append((type(layer).__name__, layer.output.shape[1:], layer.count_params()))
    figure = Figure(figsize=(10, 4))
    above, below = figure.subplots(2, 1, sharex=True)
    for x, (_, shape, _) in enumerate(outputs):
        maps = len(shape) == 3
        width, height = (shape[1] / 40, shape[0] / 40) if maps else (0.12, shape[0] / 800)
        for sheet in reversed(range(min(shape[-1], 4) if maps else 1)):
            corner = (x - width / 2 + 0.05 * sheet, 0.05 * sheet)
            style = {"facecolor": "#cfe3f1", "edgecolor": COLORS[0], "zorder": 9 - sheet}
            above.add_patch(Rectangle(corner, width, height, **style))
        above.text(x, -0.06, "×".join(map(str, shape)), ha="center", va="top")
    above.set(xlim=(-0.6, len(outputs) - 0.4), ylim=(-0.25, 1.05), aspect="equal")
    above.axis("off")
    counts = [count for *_, count in outputs]
    below.bar_label(below.bar(range(len(counts)), counts), [f"{n:,}" if n else "" for n in counts])
    names = [name.replace("Pooling", "\nPooling") for name, *_ in outputs]
    below.set_xticks(range(len(outputs)), names)
    below.set(ylabel="parameters", ylim=(0, 1.15 * max(counts)))
    below.yaxis.set_major_formatter("{x:,.0f}")
    return figure


def score_bars(scores: Mapping[str, np.ndarray], label: int) -> Figure:
    """Draw the ten scores of one image, a panel for each activation.

    Parameters
    ----------
    scores : mapping of str to (10,) array, 0 to 1
        The activation's name and its scores.
    label : int
        The true digit; its bar is the dark one.
    """
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots(1, len(scores), sharey=True)
    colors = [COLORS[1] if digit == label else "#9ecae1" for digit in range(10)]
    for ax, (name, values) in zip(axes, scores.items(), strict=True):
        ax.bar(range(10), values, color=colors)
        ax.set(title=name, xlabel="digit", ylim=(0, 1), xticks=range(10))
    axes[0].set_ylabel(f"score (true digit: {label})")
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
    left.imshow(np.vstack(images), cmap="gray_r")
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
    figure = Figure(figsize=(0.82 * columns, 1.2 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.axis("off")
    for ax, image, label, row in zip(axes, images, labels, probabilities, strict=False):
        # Grey rather than black ink: the captions are to be read first.
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=400)
        ax.set_title(f"{label}→{row.argmax()}\n{row.max():.3f}", fontsize=9.5)
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
    from mnist_cnn.evaluation import wilson_interval

    figure = Figure(figsize=(6.5, 6))
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.5, 1])
    top.plot([0, 1], [0, 1], color="0.5", ls=":", label="as sure as right")
    # A large first marker is seen where another lies on it.
    for (name, curve), marker, size in zip(curves.items(), "osD^", (10, 6, 6, 6), strict=False):
        style = {"marker": marker, "markersize": size, "label": name}
        enough = curve.count >= 10
        confidence, accuracy, count = (part[enough] for part in curve[:3])
        ends = [wilson_interval(round(a * n), n) for a, n in zip(accuracy, count, strict=True)]
        bars = np.abs(np.transpose(ends) - accuracy)
        top.errorbar(confidence, accuracy, bars, capsize=3, **style)
        bottom.semilogy(curve.confidence, curve.count, **style)
    bottom.axhline(10, color="0.5", ls=":")
    top.set(ylabel="accuracy", xlim=(0, 1.02), ylim=(-0.03, 1.03))
    top.legend(loc="upper left")
    bottom.set(xlabel="confidence (greatest score)", ylabel="images", ylim=(0.7, 2e4))
    for ax in (top, bottom):
        ax.grid(alpha=0.3)
    return figure


def dashboard(history: History, matrix: np.ndarray, title: str) -> Figure:
    """Draw a training run on one page: both curves, the confusion matrix, recall by digit.

    Parameters
    ----------
    history : dict of str to list of float
        "accuracy" and "loss", one value an epoch; with "val_" in front, those of held-out data.
    matrix : (10, 10) array of integers
        Rows are the true digits, columns the predicted ones.
    title : str
        What the run was, and its result.
    """
    figure = Figure(figsize=(11, 6.4))
    panels = figure.subplot_mosaic(
        [["accuracy", "matrix"], ["loss", "matrix"], ["loss", "recall"]],
        width_ratios=[1.15, 1],
        height_ratios=[3, 1.2, 2],
    )
    for name, scale in (("accuracy", "linear"), ("loss", "log")):
        for prefix, ls, meaning in (("", "-", "training"), ("val_", "--", "held out")):
            if values := history.get(prefix + name):
                panels[name].plot(range(1, len(values) + 1), values, ls=ls, label=meaning)
        panels[name].set(ylabel=name, yscale=scale)
        panels[name].grid(alpha=0.3)
    panels["accuracy"].legend(loc="lower right")
    panels["loss"].set_xlabel("epoch")
    _draw_confusion(panels["matrix"], matrix, fontsize=8.5)
    recall = np.diag(matrix) / np.sum(matrix, axis=1)
    panels["recall"].bar(range(len(recall)), 1 - recall, color=COLORS[1])
    panels["recall"].set(xlabel="digit", ylabel="share misread", xticks=range(len(recall)))
    figure.suptitle(title)
    return figure


def _tile(ax: Axes, images: np.ndarray, columns: int, **options: object) -> None:
    """Draw (n, height, width) images side by side, row after row, as one picture with gaps."""
    gap = -(-images.shape[1] // 5)
    height, width = images.shape[1] + gap, images.shape[2] + gap
    sheet = np.full((-(-len(images) // columns) * height - gap, columns * width - gap), np.nan)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * height, column * width
        sheet[top : top + height - gap, left : left + width - gap] = image
        corner = (left - 0.5, top - 0.5)
        frame = {"fill": False, "edgecolor": "0.6", "lw": 0.6, "clip_on": False}
        ax.add_patch(Rectangle(corner, width - gap, height - gap, **frame))
    ax.imshow(sheet, **options)
    ax.axis("off")


def filter_grid(kernels: np.ndarray, title: str = "") -> Figure:
    """Draw kernels in rows of eight on one scale: orange is positive, purple negative.

    Parameters
    ----------
    kernels : (n, height, width) array
    title : str
    """
    figure = Figure(figsize=(8, 0.8 * len(kernels) / 8 + 0.5))
    ax = figure.subplots()
    limit = 1.3 * np.abs(kernels).max()
    _tile(ax, kernels, columns=8, cmap="PuOr_r", vmin=-limit, vmax=limit)
    figure.colorbar(ax.images[0], label="weight", shrink=0.8)
    ax.set_title(title)
    return figure


def feature_maps(digit: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw a digit and the maps of some layers, in rows of eight, a common scale a layer.

    Parameters
    ----------
    digit : (28, 28) array, 0 for background
    maps : mapping of str to (n, height, width) array, 0 or more
        Titles and feature maps after ReLU.
    """
    figure = Figure(figsize=(8.5, 3.1 * len(maps)))
    axes = figure.subplots(len(maps), 2, width_ratios=[1, 3.5], squeeze=False)
    for ax in axes[:, 0]:
        ax.axis("off")
    axes[0, 0].imshow(digit, vmax=1.5 * digit.max())
    axes[0, 0].set_title("digit")
    for ax, (title, values) in zip(axes[:, 1], maps.items(), strict=True):
        _tile(ax, values, columns=8, cmap="Blues", vmin=0, vmax=values.max())
        ax.set_title(title)
    return figure


def patch_rows(patches: np.ndarray, columns: int = 2) -> Figure:
    """Draw for each filter the patches that excite it most, a row a filter.

    Parameters
    ----------
    patches : (filters, n, height, width) array, 0 for background
    columns : int
        Rows of patches stand in so many columns, filled one after the other.
    """
    filters, count = patches.shape[:2]
    rows = -(-filters // columns)
    figure = Figure(figsize=(0.65 * count * columns, 0.68 * rows))
    figure.get_layout_engine().set(wspace=0.1)
    axes = figure.subplots(rows, columns, squeeze=False).T.ravel()
    for ax, row in zip(axes, patches, strict=True):
        _tile(ax, row, columns=count, cmap="Blues", vmin=0, vmax=1.9 * patches.max())
    return figure


def relevance(digits: np.ndarray, maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw digits and, beside each, how much its pixels matter; outlines show where the ink is.

    Parameters
    ----------
    digits : (n, 28, 28) array, 0 for background
    maps : mapping of str to (n, 28, 28) array
        Titles and maps: orange is positive, purple negative, each on its own scale.
    """
    figure = Figure(figsize=(1.9 * (len(maps) + 1), 1.9 * len(digits) + 0.3))
    axes = figure.subplots(len(digits), len(maps) + 1, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for row, digit in zip(axes, digits, strict=True):
        row[0].imshow(digit, vmax=1.5 * digit.max())
    for column, (title, values) in zip(axes.T[1:], maps.items(), strict=True):
        column[0].set_title(title)
        for ax, digit, value in zip(column, digits, values, strict=True):
            limit = 1.3 * np.abs(value).max()
            ax.imshow(value, cmap="PuOr_r", vmin=-limit, vmax=limit)
            ax.contour(digit, [digit.max() / 2], colors="0.4", linewidths=0.8)
    return figure


def projections(points: Mapping[str, np.ndarray], labels: np.ndarray) -> Figure:
    """Draw images as points in the plane, each as its own digit in its class's colour.

    Parameters
    ----------
    points : mapping of str to (n, 2) array
        Titles and points, a panel each.
    labels : (n,) array of integers, 0 to 9
    """
    colors = matplotlib.colormaps["tab10"]
    figure = Figure(figsize=(5.2 * len(points), 4.7))
    axes = figure.subplots(1, len(points), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (title, places) in zip(axes, points.items(), strict=True):
        for digit in range(10):
            x, y = places[labels == digit].T
            ax.scatter(x, y, s=22, lw=0.3, color=colors(digit), marker=f"${digit}$")
        ax.set(title=title, aspect="equal")
        ax.axis("off")
    return figure


def before_and_after(pictures: Sequence[np.ndarray], digits: np.ndarray) -> Figure:
    """Draw pictures of any size in a row, and below each what becomes of it.

    Parameters
    ----------
    pictures : sequence of n (height, width) arrays of uint8, 255 for white
    digits : (n, 28, 28, 1) array, 0 for background
    """
    figure = Figure(figsize=(1.25 * len(pictures), 2.9))
    figure.suptitle("Above: the picture. Below: what the network receives")
    axes = figure.subplots(2, len(pictures), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for (above, below), picture, digit in zip(axes.T, pictures, digits, strict=True):
        above.imshow(picture, cmap="gray", vmin=0, vmax=255)
        below.imshow(digit[..., 0])
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
    figure = Figure(figsize=(8, 8 * height / width + 0.3))
    ax = figure.subplots()
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set_title("A box for each digit, numbered from left to right")
    ax.axis("off")
    for number, box in enumerate(boxes * (width, height, width, height), start=1):
        left, top, right, bottom = box
        size = right - left, bottom - top
        ax.add_patch(Rectangle((left, top), *size, fill=False, color=COLORS[1], lw=1.5))
        ax.text(left, top - 3, number, color=COLORS[1])
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
