"""Models as people bring them: loaded, or refused in a sentence, and asked as they were trained."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import softmax

from mnist_cnn import data, evaluation, preprocess, runtime
from mnist_cnn.language import translated

if TYPE_CHECKING:
    import keras

# How a network may have got its digits in training; ours come as white ink, 0 to 1.
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "grey levels from 0 to 1": lambda images: images,
    "grey levels from 0 to 255": lambda images: 255 * images,
    "grey levels from -1 to 1": lambda images: 2 * images - 1,
    "dark ink on white, grey levels from 0 to 1": lambda images: 1 - images,
    "dark ink on white, grey levels from 0 to 255": lambda images: 255 - 255 * images,
    "dark ink on white, grey levels from -1 to 1": lambda images: 1 - 2 * images,
}
USUAL = next(iter(WAYS))
TRIED = slice(None, None, 10)  # the test digits that each way is tried on: every tenth

FOREIGN = {
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "safetensors",
    ".onnx": "ONNX",
    ".tflite": "TensorFlow Lite",
    ".pkl": "pickle",
    ".joblib": "joblib",
}
SAVE = 'model.save("model.keras")'


class Reader(NamedTuple):
    """What reads digits.

    Attributes
    ----------
    probabilities : callable
        Takes (n, 28, 28, 1) float32, 0 to 1, and returns (n, 10) calibrated probabilities.
    note : str
        What its owner should know, a line; empty for a softmax that takes what we have.
    """

    probabilities: Callable[[np.ndarray], np.ndarray]
    note: str = ""


def reader(network: keras.Model) -> Reader:
    """Find out how a network wants its digits and what its scores mean, by a part of the test set.

    Parameters
    ----------
    network : keras.Model
        As `load` returns it.
    """
    images, labels = (array[TRIED] for array in data.load_mnist()[1])
    images = preprocess.prepare(images)
    tried = {way: _scores(network, change(images)) for way, change in WAYS.items()}
    way, right = _best_way(tried, labels)
    kind = _kind(tried[way])
    temperature = _fit_temperature(_log_scores(tried[way], kind), labels)
    notes = []
    if kind == "sigmoid":
        notes.append(
            translated(
                "its scores are a sigmoid's, not probabilities: they are divided by their sum"
            )
        )
    elif kind == "logits":
        notes.append(translated("its scores are logits, not probabilities: a softmax was added"))
    if right[way] < 0.5:
        notes.append(
            translated("it reads {share:.1%} of {digits:,} test digits: is it trained?").format(
                share=right[way], digits=len(labels)
            )
        )
    elif way != USUAL:
        notes.append(
            translated(
                "it is given {way}: so it reads {share:.1%} of {digits:,} test digits, "
                "with {usual} {usual_share:.1%}"
            ).format(
                way=translated(way),
                share=right[way],
                digits=len(labels),
                usual=translated(USUAL),
                usual_share=right[USUAL],
            )
        )

    def probabilities(images: np.ndarray) -> np.ndarray:
        scores = _log_scores(_scores(network, WAYS[way](images)), kind)
        return softmax(scores / np.float32(temperature), axis=1)

    return Reader(probabilities, "; ".join(notes))


def as_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return scores that sum to 1, not calibrated.

    A softmax's are left as they are. A sigmoid's are divided by their sum, as Keras's categorical
    cross-entropy does in training.

    Parameters
    ----------
    scores : (n, 10) array, not negative
    """
    return scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-7)


def _scores(network: keras.Model, images: np.ndarray) -> np.ndarray:
    shape = network.input_shape[1:]

    def predict(batch: np.ndarray) -> np.ndarray:
        return network.predict_on_batch(batch.reshape(-1, *shape))

    return evaluation.in_batches(predict, images, 500)


def _best_way(tried: dict[str, np.ndarray], labels: np.ndarray) -> tuple[str, dict[str, float]]:
    """Return the way to give the digits, and the share that is read right in each way.

    It is the usual way unless the best is clearly better: of the digits that one of the two reads
    and the other does not, it reads more than chance would give, by three standard errors.
    """
    right = {way: scores.argmax(axis=1) == labels for way, scores in tried.items()}
    shares = {way: float(hits.mean()) for way, hits in right.items()}
    best = max(shares, key=lambda way: shares[way])
    gain = right[best].sum() - right[USUAL].sum()
    clear = gain > 3 * np.sqrt(np.sum(right[best] != right[USUAL])) and shares[best] >= 0.5
    return best if clear else USUAL, shares


def _kind(scores: np.ndarray) -> str:
    if not np.isfinite(scores).all():
        raise ValueError(
            translated("the model gives NaN or infinity for test digits: its training diverged")
        )
    if scores.min() < 0 or scores.max() > 1 + 1e-3:
        return "logits"
    return "softmax" if np.allclose(scores.sum(axis=1), 1, atol=1e-2) else "sigmoid"


def _log_scores(scores: np.ndarray, kind: str) -> np.ndarray:
    """Return what a softmax turns into probabilities."""
    if kind == "logits":
        return scores
    return np.log(np.maximum(as_probabilities(scores), np.finfo("float32").tiny))


def _fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the number to divide logits by: the cross-entropy of the labels is least.

    A thousandth of each label is spread over all classes: digits that are all read right would
    otherwise ask for a certainty without end.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    targets = 0.999 * preprocess.one_hot(labels) + 0.0001

    def loss(log_temperature: float) -> float:
        scaled = logits.astype("float64") / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - (targets * scaled).sum(axis=1)))

    return float(np.exp(minimize_scalar(loss, bounds=(-12, 12), method="bounded").x))


def load(path: Path) -> keras.Model:
    """Load a Keras model that reads digits.

    Parameters
    ----------
    path : Path
        A .keras or .h5 file, or a folder with a model.keras.

    Returns
    -------
    keras.Model
        Not compiled. It takes 784 pixels, in whatever shape, and gives ten scores.

    Raises
    ------
    ValueError
        If there is no such model; the sentence says why and what to do.
    """
    if path.is_dir() and (path / "model.keras").exists():
        path = path / "model.keras"
    if refusal := _refuse_unopened(path):
        raise ValueError(f"{path} {refusal}")
    runtime.load_tensorflow()
    import keras

    try:
        network = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts raise
        raise ValueError(f"{path} {_reason(path, error)}") from error
    try:
        shapes = network.input_shape[1:], network.output_shape[1:]
    except (AttributeError, TypeError, KeyError):
        raise ValueError(
            translated(
                "{path} must know its one input: begin it with Input((28, 28, 1)), then {save}"
            ).format(path=path, save=SAVE)
        ) from None
    pixels = [size for size in shapes[0] if size != 1]
    if pixels not in ([28, 28], [784]) or shapes[1] != (10,):
        raise ValueError(
            translated("{path} must take (28, 28, 1) and give (10,), not {shapes}").format(
                path=path, shapes=shapes
            )
        )
    return network


def _refuse_unopened(path: Path) -> str:
    """Return why a path cannot be a model of Keras's, as far as its name and kind show it."""
    if path.name == "saved_model.pb" or (path / "saved_model.pb").exists():
        return translated(
            "is a SavedModel, which Keras 3 does not load: where it was made, "
            "save it again with {save}"
        ).format(save=SAVE)
    if path.suffix == ".index" or ".data-0000" in path.name:
        return _weights_only(translated("a TensorFlow checkpoint"))
    if not path.exists():
        return translated(
            "is missing: give a .keras or .h5 file, or none for the reference network 'best'"
        )
    if path.is_dir():
        return translated("is a folder without model.keras: give a file that {save} wrote").format(
            save=SAVE
        )
    if path.suffix in FOREIGN:
        return translated("is a file of {library}: give a Keras model, as {save} writes it").format(
            library=FOREIGN[path.suffix], save=SAVE
        )
    return ""


def _reason(path: Path, error: Exception) -> str:
    """Return why Keras could not load a file, and the mend."""
    import h5py
    import keras

    version, config = "", ""
    try:
        if zipfile.is_zipfile(path):
            ending = ".keras"
            with zipfile.ZipFile(path) as archive:
                config = archive.read("config.json").decode()
                version = json.loads(archive.read("metadata.json"))["keras_version"]
        elif h5py.is_hdf5(path):
            ending = ".h5"
            with h5py.File(path) as file:
                if "model_config" not in file.attrs:
                    return _weights_only(translated("an HDF5 file"))
                config, version = file.attrs["model_config"], file.attrs.get("keras_version", "")
    except Exception:  # a damaged file raises nearly anything
        config = ""
    if not config:
        return translated("is not a readable Keras model: give a file that {save} wrote").format(
            save=SAVE
        )
    if path.suffix not in (ending, ".hdf5"):
        return translated(
            "is a Keras model under a wrong name: let the name end in {ending}"
        ).format(ending=ending)
    if _numbers(version) > _numbers(keras.__version__):
        return translated(
            "was saved by Keras {version}, which is newer than this one, {ours}: "
            "save it again with this version, or install that one"
        ).format(version=version, ours=keras.__version__)
    if '"class_name": "Lambda"' in config:
        return translated(
            "holds a Lambda layer, which is code, and code from files is not run: "
            "put a layer such as Rescaling or Activation in its place"
        )
    if own := re.search(r"(?:locate (?:class|function)|Unknown \w+:) '(\w+)'", str(error)):
        return translated(
            "needs a class or function of its author's, {name}, which is not in the file: "
            "put layers of Keras's own in its place"
        ).format(name=own[1])
    return translated("is a damaged Keras model: save it again with {save}").format(save=SAVE)


def _weights_only(what: str) -> str:
    return translated(
        "is {what} that holds weights without a model: build the model, "
        "load the weights into it, and write {save}"
    ).format(what=what, save=SAVE)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
