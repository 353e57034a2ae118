"""Every figure of the series: each function returns a Matplotlib figure, `show` displays it."""

import base64
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mnist_cnn.training import History

DPI = 100
# Readable in print without colour and by colour-blind eyes: blue, vermilion, green, orange, …
# (Okabe and Ito, "Color universal design", 2008).
COLORS = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000"]

matplotlib.rcParams.update(
    {
        "axes.prop_cycle": matplotlib.cycler(color=COLORS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 12,
        "axes.labelsize": 11,
        "font.size": 10.5,
        "figure.dpi": DPI,
        "image.cmap": "gray_r",
    }
)


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook, with a text that says what it shows.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    alt : str
        For those who cannot see the figure, and for the check of the recorded output.

    Raises
    ------
    ValueError
        If `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("alt must say what the figure shows, not be empty")
    import matplotlib.pyplot as plt
    from IPython.display import display

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    png = base64.b64encode(buffer.getvalue()).decode("ascii")
    display({"image/png": png, "text/plain": alt}, metadata={"image/png": {"alt": alt}}, raw=True)


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
    figure = Figure(figsize=(0.95 * columns, height), layout="constrained")
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
    figure = Figure(figsize=(10, 4), layout="constrained")
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
    matrix : (10, 10) array of integers
        Rows are the true digits, columns the predicted ones.
    title : str
    """
    mistakes = np.array(matrix)
    np.fill_diagonal(mistakes, 0)
    figure = Figure(figsize=(7, 6.5), layout="constrained")
    ax = figure.subplots()
    ax.imshow(mistakes, cmap="Blues")
    dark = mistakes > mistakes.max() / 2
    for i, j in np.ndindex(*mistakes.shape):
        ax.text(j, i, matrix[i, j], ha="center", va="center", color="w" if dark[i, j] else "k")
    digits = range(len(mistakes))
    ax.set(title=title, xlabel="predicted digit", ylabel="true digit", xticks=digits, yticks=digits)
    return figure
