"""How far the seed, the batch size and the number of images move a short training.

    python -m benchmarks.seeds           about ten minutes on two cores

Every run trains the article's network from scratch on the first training images, as chapter 06's
`fit_some` does, and is measured on the 1,000 images after the first 50,000; the test set has no
part in it. What is done is kept: an interrupted call goes on where it was. Writes
``notebooks/measured/seeds.json``, which chapter 06 shows.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import result
from mnist_cnn import data, preprocess, runtime
from mnist_cnn.course import files
from mnist_cnn.model import build_model

if TYPE_CHECKING:
    import keras

RESULT = Path(__file__).parents[1] / "notebooks" / "measured" / "seeds.json"
DONE = Path(__file__).parents[1] / "build" / "seeds.json"
# Images, batch size, epochs, number of seeds. From the fourth row on all take 320 steps.
ROWS = [(2000, 32, 5, 10), (2000, 64, 5, 10), (2000, 128, 5, 10)]
ROWS += [(1000, 32, 10, 5), (500, 32, 20, 5), (250, 32, 40, 5)]


@functools.cache
def compiled(batch_size: int) -> tuple[keras.Model, list[np.ndarray]]:
    """Return a compiled network for batches of this size, and its optimiser's first state."""
    model = build_model()
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    return model, [variable.numpy() for variable in model.optimizer.variables]


def fit_some(images: int, epochs: int, seed: int, batch_size: int) -> list[float]:
    """Return the validation accuracy after each epoch.

    A network is compiled once and gets new weights for each run: that saves half of the time.
    """
    model, start = compiled(batch_size)
    runtime.set_seed(seed)
    model.set_weights(build_model().get_weights())
    for variable, value in zip(model.optimizer.variables, start, strict=True):
        variable.assign(value)
    (x_train, y_train), _ = data.load_mnist()
    history = model.fit(
        preprocess.prepare(x_train[:images]),
        preprocess.one_hot(y_train[:images]),
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(
            preprocess.prepare(x_train[50_000:51_000]),
            preprocess.one_hot(y_train[50_000:51_000]),
        ),
        validation_batch_size=1000,
        verbose=0,
    )
    return [round(float(value), 4) for value in history.history["val_accuracy"]]


def main() -> None:
    """Train what is missing, then write the result."""
    done = json.loads(DONE.read_text()) if DONE.exists() else {}
    for images, batch_size, epochs, seeds in ROWS:
        for seed in range(seeds):
            key = f"{images} images, batches of {batch_size}, seed {seed}"
            if key not in done:
                done[key] = fit_some(images, epochs, seed, batch_size)
                DONE.parent.mkdir(exist_ok=True)
                with files.replacing(DONE) as new:
                    new.write_text(json.dumps(done))
                print(key, done[key], flush=True)
    rows = []
    for images, batch_size, epochs, seeds in ROWS:
        keys = [f"{images} images, batches of {batch_size}, seed {seed}" for seed in range(seeds)]
        row = {"images": images, "batch_size": batch_size, "epochs": epochs}
        rows.append(row | {"val_accuracy": [done[key] for key in keys]})
    result.write(RESULT, {"runs": rows})


if __name__ == "__main__":
    main()
