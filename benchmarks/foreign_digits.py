"""How well a trained network reads handwriting that MNIST never saw.

    python -m benchmarks.foreign_digits            the reference network "best", a minute
    python -m benchmarks.foreign_digits fast       another one, or a saved model's path

The digits that scikit-learn ships, 8 × 8 pixels each: the even ones choose (steps and temperature),
the odd ones report, after a plain resize and after `digit_from_image`; some of them as photographs;
and 500 of MNIST's own test images, enlarged ten times. Chooses the temperature that
`pictures.probabilities` divides the logits of `best` by. Prints a table and writes
``benchmarks/results/foreign_digits.json``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from benchmarks import result
from mnist_cnn import data, evaluation, networks, pictures, preprocess, runtime
from mnist_cnn.pictures import probabilities

if TYPE_CHECKING:
    import keras

RESULT = Path(__file__).parent / "results" / "foreign_digits.json"
TARGETS = {"digit_from_image": 0.95, "photographs": 0.93, "enlarged MNIST unchanged": 0.98}
# By how much an image may differ on average, where 1 is full ink, and still count as unchanged.
UNCHANGED = 0.005


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", nargs="?", default="best", help="its name or a model's path")
    name = parser.parse_args().network
    network = load(name)
    digits = load_digits()
    ink, labels = digits.images / 16, digits.target
    tune, report = slice(0, None, 2), slice(1, None, 2)
    some = slice(1, None, 6)  # photographs are large
    drawn = [Image.fromarray(image.astype("float32")).resize((28, 28)) for image in ink]
    plain = np.stack([np.asarray(image) for image in drawn]).clip(0, 1)[..., np.newaxis]
    careful = np.stack([pictures.digit_from_image(image) for image in ink])
    photos = [photograph(image, seed) for seed, image in enumerate(ink[some])]
    photographed = np.stack([pictures.digit_from_image(photo) for photo in photos])
    scores = evaluation.predict_scores(network, careful)
    temperatures = np.arange(0.4, 1.3, 0.05).round(2)
    losses = [log_loss(labels[tune], probabilities(scores[tune], t)) for t in temperatures]
    temperature = float(temperatures[np.argmin(losses)])
    sure = probabilities(scores[report], temperature)
    wrong = sure.argmax(axis=1) != labels[report]

    _, (images, truth) = data.load_mnist()
    images, truth = images[:500], truth[:500]
    enlarged = np.stack(
        [pictures.digit_from_image(np.kron(i, np.ones((10, 10), "u1"))) for i in images]
    )
    original = preprocess.prepare(images)
    distance = np.abs(enlarged - original).mean(axis=(1, 2, 3))
    rows = {
        "plain resize": accuracy(network, plain[report], labels[report]),
        "digit_from_image": accuracy(network, careful[report], labels[report]),
        "the half that chose": accuracy(network, careful[tune], labels[tune]),
        "photographs": accuracy(network, photographed, labels[some]),
        "MNIST as it is": accuracy(network, original, truth),
        "enlarged MNIST": accuracy(network, enlarged, truth),
        "enlarged MNIST unchanged": float(np.mean(distance < UNCHANGED)),
    }
    for row, value in rows.items():
        print(f"{row:26}{value:.4f}" + (f"  target {TARGETS[row]}" if row in TARGETS else ""))
    print(f"temperature {temperature}, in the package {pictures.TEMPERATURE}")
    calibration = {
        "temperature": temperature,
        "mean probability": float(sure.max(axis=1).mean()),
        "read rightly": float(1 - wrong.mean()),
        "wrong above 0.9": float(np.mean(wrong & (sure.max(axis=1) > 0.9))),
    }
    found = {"network": Path(name).name, "calibration": calibration, "shares": rows}
    result.write(RESULT, found)


def photograph(digit: np.ndarray, seed: int) -> np.ndarray:
    """Render a digit as a photograph might show it: dark ink on unevenly lit, grainy paper.

    Parameters
    ----------
    digit : (height, width) array, 0 (background) to 1 (ink)
    seed : int
        Decides the size (90 to 260 pixels), the place, the angle (up to 8° either way), the paper,
        the ink, the light and the noise.

    Returns
    -------
    (height, width) uint8, as high as it is wide
    """
    random = np.random.default_rng(seed)
    side = int(random.integers(90, 261))
    scale = random.uniform(0.45, 0.75) * side / max(digit.shape)
    drawn = Image.fromarray(np.asarray(digit, "float32"))
    drawn = drawn.resize([round(n * scale) for n in drawn.size], Image.Resampling.BICUBIC)
    drawn = drawn.rotate(random.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True)
    sheet = Image.new("F", (side, side))
    left, top = (int(random.integers(0, side - n + 1)) for n in drawn.size)
    sheet.paste(drawn, (left, top))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    direction, strength = random.uniform(0, 2 * np.pi), random.uniform(10, 40)
    paper = random.uniform(170, 210) + strength * (x * np.cos(direction) + y * np.sin(direction))
    grey = paper + (random.uniform(20, 80) - paper) * np.asarray(sheet).clip(0, 1)
    grey += random.normal(0, random.uniform(2, 8), grey.shape)
    return grey.round().clip(0, 255).astype("uint8")


def load(name: str) -> keras.Model:
    """Return a reference network, or that of a file."""
    if not name.endswith(".keras"):
        return networks.load(name)[0]
    runtime.load_tensorflow()
    import keras

    return keras.saving.load_model(name, compile=False)


def accuracy(network: keras.Model, inputs: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of the inputs that the network reads as their labels."""
    scores = evaluation.predict_scores(network, np.asarray(inputs, "float32"))
    return float(np.mean(scores.argmax(axis=1) == labels))


if __name__ == "__main__":
    main()
