"""What a training run leaves: numbers, figures and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn import evaluation
from mnist_cnn.course.files import replacing
from mnist_cnn.course.models import as_probabilities
from mnist_cnn.language import translated
from mnist_cnn.progress import History

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure


def measure(
    network: keras.Model, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> tuple[dict[str, float | int], np.ndarray]:
    """Measure a network on the digits it was trained on and on others.

    Parameters
    ----------
    network : keras.Model
        Its last activation is a softmax or a sigmoid.
    train, test : (images, labels)
        Images (n, 28, 28, 1) float32, 0 to 1; labels (n,) integers, 0 to 9.

    Returns
    -------
    metrics : dict
        "train_accuracy", "test_accuracy", "test_loss", "parameters".
    probabilities : (m, 10) float32
        Of the test images.
    """
    known, probabilities = (
        as_probabilities(evaluation.predict_scores(network, images)) for images, _ in (train, test)
    )
    true_class = probabilities[np.arange(len(test[1])), test[1]]
    metrics = {
        "train_accuracy": float(np.mean(known.argmax(axis=1) == train[1])),
        "test_accuracy": float(np.mean(probabilities.argmax(axis=1) == test[1])),
        "test_loss": float(-np.log(np.maximum(true_class, 1e-7)).mean()),
        "parameters": network.count_params(),
    }
    return metrics, probabilities


def draw(
    history: History, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, Figure]:
    """Draw the course of the training, the confusion matrix and the digits that were read worst.

    Parameters
    ----------
    history : dict of str to list of float
    images : (n, 28, 28, 1) float32, 0 to 1
    labels : (n,) integers, 0 to 9
    probabilities : (n, 10)

    Returns
    -------
    dict of str to Figure
        By file name.
    """
    from sklearn.metrics import confusion_matrix

    from mnist_cnn import plots

    predicted = probabilities.argmax(axis=1)
    worst = probabilities[np.arange(len(labels)), labels].argsort()[:30]
    titles = [f"{labels[i]} → {predicted[i]}" for i in worst]
    return {
        "history.png": plots.history_panels(history),
        "confusion.png": plots.confusion_heatmap(confusion_matrix(labels, predicted)),
        "errors.png": plots.digit_grid(
            images[worst], titles, title="Read worst: the true digit, then the network's"
        ),
    }


def save(
    out: Path, network: keras.Model, history: History, metrics: dict, figures: dict[str, Figure]
) -> list[str]:
    """Write model, figures and numbers, each whole or not at all; return the files' names."""
    with replacing(out / "model.keras") as temporary:
        network.save(temporary)
    for name, figure in figures.items():
        with replacing(out / name) as temporary:
            figure.savefig(temporary, dpi=150)
    for name, content in (("history.json", history), ("metrics.json", metrics)):
        with replacing(out / name) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return ["model.keras", "history.json", "metrics.json", *figures]


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return the accuracy with its interval, as text; both are (n,) integers, 0 to 9."""
    from scipy.stats import binomtest

    correct, total = int(np.sum(predicted == labels)), len(labels)
    low, high = binomtest(correct, total).proportion_ci(method="wilson")
    accuracy = translated("accuracy {accuracy:.4f} ({correct:,} of {total:,} test digits)")
    interval = translated("95 % interval {low:.4f} to {high:.4f}")
    return "\n".join(
        (
            accuracy.format(accuracy=correct / total, correct=correct, total=total),
            interval.format(low=low, high=high),
        )
    )


def confusion_table(labels: np.ndarray, predicted: np.ndarray) -> str:
    """Return the confusion matrix as text; both are (n,) integers, 0 to 9."""
    from sklearn.metrics import confusion_matrix

    lines = [translated("rows: true digit; columns: predicted digit")]
    lines.append("   " + "".join(f"{digit:6d}" for digit in range(10)))
    for digit, row in enumerate(confusion_matrix(labels, predicted, labels=range(10))):
        lines.append(f"{digit:3d}" + "".join(f"{count:6d}" for count in row))
    return "\n".join(lines)
