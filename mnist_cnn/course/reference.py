"""The reference networks made anew: trained, held against their cards, written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_cnn import data, evaluation, preprocess, recipes, training
from mnist_cnn.course import machine
from mnist_cnn.course.files import replacing
from mnist_cnn.networks import FOLDER, Network

if TYPE_CHECKING:
    import keras

SEED = 0


def train(name: str, progress: bool = True) -> Network:
    """Train a reference network anew, by its recipe, with seed 0, on all 60,000 images.

    The article's is trained a second time on the first 50,000, for what `load_held_out` returns.

    Parameters
    ----------
    name : {"article", "fast", "best"}
    progress : bool
        Whether to show a live bar.

    Returns
    -------
    Network
        With the card of this run.
    """
    recipe = recipes.RECIPES[name]
    (images, labels), (x_test, y_test) = data.load_mnist()
    x, y = images[..., np.newaxis], preprocess.one_hot(labels)
    model, history = training.train(recipe, x, y, seed=SEED, progress=progress)

    def accuracy(images: np.ndarray, labels: np.ndarray) -> float:
        scores = evaluation.predict_scores(model, preprocess.prepare(images))
        return float(np.mean(scores.argmax(axis=1) == labels))

    weights = model.get_weights()
    card = {
        "name": name,
        "recipe": dataclasses.asdict(recipe),
        "seed": SEED,
        "command": f"mnist-cnn networks {name} --update",
        "versions": machine.versions(),
        "machine": machine.machine(),
        "sha256": data.checksum(*weights),
        "parameters": model.count_params(),
        "train_accuracy": accuracy(images, labels),
        "test_accuracy": accuracy(x_test, y_test),
        "history": history,
        "layers": [_settings(layer) for layer in model.layers],
    }
    if name == "article":
        card["held_out"] = _train_held_out(recipe, x, y, progress)
    return Network(card, tuple(weights))


def _train_held_out(recipe: recipes.Recipe, x: np.ndarray, y: np.ndarray, progress: bool) -> dict:
    from sklearn.metrics import confusion_matrix

    split = len(x) * 5 // 6
    held_out = preprocess.normalize(x[split:]), y[split:]
    model, history = training.train(
        recipe, x[:split], y[:split], seed=SEED, validation_data=held_out, progress=progress
    )
    predicted = evaluation.predict_scores(model, held_out[0]).argmax(axis=1)
    matrix = confusion_matrix(held_out[1].argmax(axis=1), predicted)
    return {"history": history, "confusion_matrix": matrix.tolist()}


def _settings(layer: keras.Layer) -> dict:
    """Return what `forward.predict` must know of a layer."""
    wanted = ("activation", "use_bias", "padding", "pool_size")
    settings = {key: value for key, value in layer.get_config().items() if key in wanted}
    activation = "relu" if type(layer).__name__ == "ReLU" else "linear"
    return {"class": type(layer).__name__, "activation": activation} | settings


def write(network: Network, folder: Path = FOLDER) -> None:
    """Write a network's weights and card, each file whole or not at all."""
    path = folder / f"{network.card['name']}.npz"
    text = json.dumps(network.card, indent=1, ensure_ascii=False) + "\n"
    with replacing(path) as temporary:
        arrays: dict[str, Any] = {f"{i:02}": array for i, array in enumerate(network.weights)}
        np.savez(temporary, **arrays)
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def verdict(card: dict, again: dict) -> tuple[bool, str]:
    """Hold a new training of a network against its card.

    Parameters
    ----------
    card, again : dict
        The cards of the package's network and of the new one.

    Returns
    -------
    agrees : bool
        Whether the weights are equal, or the new test accuracy lies within the 95 % interval of
        the card's.
    sentence : str
    """
    if again["sha256"] == card["sha256"]:
        return True, "the same weights, bit for bit"
    from scipy.stats import binomtest

    old, new = card["test_accuracy"], again["test_accuracy"]
    low, high = binomtest(round(old * 10_000), 10_000).proportion_ci(method="wilson")
    inside = low <= new <= high
    other = [
        f"{key} ({card[group][key]}, now {again[group][key]})"
        for group in ("versions", "machine")
        for key in card[group]
        if card[group][key] != again[group].get(key)
    ]
    why = f"made with another {', '.join(other)}" if other else "with the same versions and machine"
    return inside, (
        f"other weights, {why}; test accuracy {new:.4f}, the card's {old:.4f}: "
        f"{'within' if inside else 'OUTSIDE'} its 95 % interval, {low:.4f} to {high:.4f}"
    )
