"""Training: recipes, and the loop that follows them."""

from __future__ import annotations

import dataclasses
import gc
import math
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from mnist_cnn import augmentation, model, preprocess, runtime

if TYPE_CHECKING:
    import keras

History = dict[str, list[float]]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the data and the seed.

    Attributes
    ----------
    epochs : float
        Passes over the training set; 1.5 stops halfway through the second.
    batch_size : int
        Images a gradient step.
    learning_rate : float
        Adam's; the peak where `warmup` is set.
    warmup : float or None
        Share of the steps (0 to 1) in which the rate climbs from 0 to the peak; it then falls to
        0 along a cosine. None keeps the rate constant.
    label_smoothing : float
        Share of the target (0 to 1) spread evenly over the classes.
    max_shift : float
        Each image is moved at random by up to so many pixels along each axis, anew each epoch;
        whole pixels where nothing but the place is varied.
    max_rotation : float
        Each image is turned at random by up to so many degrees, either way.
    max_zoom : float
        Each image is zoomed at random by up to this share of its size (0 to below 1).
    max_shear : float
        Each image is slanted at random by up to so many pixels to the side for a pixel down.
    weight_decay : float
        Each step also takes this share (0 to below 1), times the learning rate, off every weight.
    beta_2 : float
        How long Adam remembers squared gradients, 0 to 1; a short run wants a short memory.
    output_activation : {"softmax", "sigmoid"}
        The article's network only; the better one ends in a softmax.
    network : {"article", "better"}
    """

    epochs: float = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float | None = None
    label_smoothing: float = 0.0
    max_shift: float = 0
    max_rotation: float = 0.0
    max_zoom: float = 0.0
    max_shear: float = 0.0
    weight_decay: float = 0.0
    beta_2: float = 0.999
    output_activation: Literal["softmax", "sigmoid"] = "softmax"
    network: Literal["article", "better"] = "article"

    def __post_init__(self) -> None:
        """Refuse values that no run could follow."""
        for name in ("epochs", "learning_rate"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be above 0, not {value!r}")
        if self.batch_size != int(self.batch_size) or self.batch_size < 1:
            raise ValueError(f"batch_size must be an integer above 0, not {self.batch_size!r}")
        if not 0 <= self.max_shift < 28:
            raise ValueError(f"max_shift must be from 0 to below 28, not {self.max_shift!r}")
        if self.max_shift % 1 and not self.warps:
            raise ValueError(
                f"max_shift must be an integer where images are only moved, not {self.max_shift!r}"
            )
        if not 0 <= self.max_rotation <= 180:
            raise ValueError(f"max_rotation must be from 0 to 180, not {self.max_rotation!r}")
        shares = "warmup", "label_smoothing", "max_zoom", "max_shear", "weight_decay", "beta_2"
        for name in shares:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must be from 0 to below 1, not {value!r}")

    @property
    def warps(self) -> bool:
        """Whether images are turned, zoomed or slanted, not only moved."""
        return bool(self.max_rotation or self.max_zoom or self.max_shear)


RECIPES = {
    "article": Recipe(output_activation="sigmoid"),
    "fast": Recipe(
        epochs=1.2,
        batch_size=128,
        learning_rate=8e-3,
        warmup=0.2,
        label_smoothing=0.1,
        max_shift=1,
        beta_2=0.95,
    ),
    "best": Recipe(
        epochs=13,
        batch_size=64,
        learning_rate=3e-3,
        warmup=0.15,
        label_smoothing=0.1,
        max_shift=1.5,
        max_rotation=10,
        max_zoom=0.1,
        max_shear=0.1,
        weight_decay=0.1,
        network="better",
    ),
}


def train(
    recipe: Recipe,
    x_train: np.ndarray,
    y_train: np.ndarray,
    *,
    seed: int = 0,
    validation_data: tuple[np.ndarray, np.ndarray] | None = None,
    progress: bool = True,
) -> tuple[keras.Model, History]:
    """Train a recipe's network from scratch.

    Parameters
    ----------
    recipe : Recipe
    x_train : (n, 28, 28, 1) float32, 0 to 1, or uint8, 0 to 255
        Bytes are normalised as they are used: the same numbers in a quarter of the memory.
    y_train : (n, 10) float32
        One-hot.
    seed : int
        Decides the first weights, the order of the images and their shifts.
    validation_data : ((m, 28, 28, 1), (m, 10)) or None
        Measured after each epoch; never trained on.
    progress : bool
        Whether to show a live bar.

    Returns
    -------
    model : keras.Model
    history : dict of str to list of float
        As Keras's ``History.history``: "loss" and "accuracy", and with "val_" those of the
        validation data.

    Raises
    ------
    ValueError
        If the arrays do not have these shapes.
    """
    if np.shape(x_train)[1:] != model.INPUT_SHAPE or np.shape(y_train) != (len(x_train), 10):
        raise ValueError(
            "x_train and y_train must have shapes (n, 28, 28, 1) and (n, 10), "
            f"not {np.shape(x_train)} and {np.shape(y_train)}"
        )
    runtime.set_seed(seed)
    gc.collect()  # a Keras model refers to itself: earlier ones keep their memory until now
    network = build_network(recipe)
    compile_model(network, recipe, len(x_train))
    shown = [progress_bar()] if progress else []
    history = fit(network, recipe, x_train, y_train, seed, shown, validation_data)
    return network, {name: [float(v) for v in values] for name, values in history.items()}


def build_network(recipe: Recipe) -> keras.Sequential:
    """Return the network that the recipe trains, not compiled."""
    if recipe.network == "better":
        return model.build_better_model()
    return model.build_model(recipe.output_activation)


def compile_model(network: keras.Model, recipe: Recipe, images: int) -> None:
    """Give `network` the recipe's loss and optimiser; `images` is the training set's size."""
    import keras

    rate = recipe.learning_rate
    if recipe.warmup is not None:
        steps = max(2, round(recipe.epochs * images / recipe.batch_size))
        warmup_steps = max(1, round(recipe.warmup * steps))
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=recipe.learning_rate,
            warmup_steps=warmup_steps,
            decay_steps=steps - warmup_steps,
        )
    decay = recipe.weight_decay or None
    adam = keras.optimizers.Adam(rate, beta_2=recipe.beta_2, weight_decay=decay)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    network.compile(loss=loss, optimizer=adam, metrics=["accuracy"])


def fit(
    network: keras.Model,
    recipe: Recipe,
    images: np.ndarray,
    targets: np.ndarray,
    seed: int,
    callbacks: list[keras.callbacks.Callback],
    validation_data: tuple[np.ndarray, np.ndarray] | None = None,
) -> History:
    """Train a compiled network as the recipe says, and return Keras's history."""
    import keras

    if not recipe.max_shift and not recipe.warps and recipe.epochs == int(recipe.epochs):
        if images.dtype == np.uint8:  # what `fit` need not convert it does not copy
            images = keras.ops.cast(images, "float32") / 255
        arguments = {"batch_size": recipe.batch_size, "epochs": int(recipe.epochs), "verbose": 0}
        arguments |= {"callbacks": callbacks, "validation_data": validation_data}
        return network.fit(images, targets, **arguments).history
    # What `fit` does too, but through tf.data, which takes 1.1 to 1.8 times as long on two cores.
    tensorflow = runtime.load_tensorflow()
    batch = [tensorflow.TensorSpec((None, *model.INPUT_SHAPE)), tensorflow.TensorSpec((None, 10))]
    step = tensorflow.function(lambda x, y: network.train_step((x, y)), input_signature=batch)
    batches = varied_batches(recipe, images, targets, seed)
    epochs = math.ceil(recipe.epochs)  # equal parts, so that 1.2 epochs are shown as two
    steps = math.ceil(max(1, round(recipe.epochs * len(images) / recipe.batch_size)) / epochs)
    told = keras.callbacks.CallbackList(callbacks, True, model=network, epochs=epochs, steps=steps)
    told.on_train_begin()
    for epoch in range(epochs):
        told.on_epoch_begin(epoch)
        network.reset_metrics()
        for number in range(steps):
            logs = step(*next(batches))
            told.on_train_batch_end(number, logs)
        if validation_data:
            measured = network.evaluate(*validation_data, verbose=0, return_dict=True)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        told.on_epoch_end(epoch, logs)
    told.on_train_end()
    return network.history.history


def varied_batches(
    recipe: Recipe, images: np.ndarray, targets: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield shuffled batches without end, each image moved or warped as the recipe says.

    Every image comes once before any comes again.
    """
    random = np.random.default_rng(seed)
    vary = warped if recipe.warps else shifted
    order = np.empty(0, int)
    while True:
        while len(order) < recipe.batch_size:
            order = np.concatenate([order, random.permutation(len(images))])
        chosen, order = np.split(order, [recipe.batch_size])
        drawn = images[chosen]
        drawn = preprocess.normalize(drawn) if drawn.dtype == np.uint8 else drawn
        yield vary(recipe, drawn, random), targets[chosen]


def shifted(recipe: Recipe, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the images, each moved by whole pixels: one of the windows of its padded self."""
    border = int(recipe.max_shift)
    padded = np.pad(images[..., 0], ((0, 0), (border, border), (border, border)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))
    down, right = random.integers(0, 2 * border + 1, (2, len(images)))
    return windows[np.arange(len(images)), down, right][..., np.newaxis]


def warped(recipe: Recipe, images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the images, each moved, turned, zoomed and slanted."""
    names = ("max_shift", "max_rotation", "max_zoom", "max_shear")
    limits = {name: getattr(recipe, name) for name in names}
    return augmentation.warp(images, augmentation.random_maps(random, len(images), **limits))


def progress_bar() -> keras.callbacks.Callback:
    """Return a Keras callback that shows a live bar and leaves nothing behind.

    In a notebook the bar is one display that is emptied at the end, so that the recorded output
    does not depend on the reader's clock; in a terminal it is one line that is wiped. Where
    neither is at hand (a log file) nothing is shown.
    """
    import keras

    class ProgressBar(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict | None = None) -> None:
            self.show, self.close = _live_line()
            self.started, self.shown, self.done = time.monotonic(), 0.0, 0

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            self.done += 1
            now = time.monotonic()
            if now - self.shown < 0.25:
                return
            self.shown = now
            epochs, steps = self.params["epochs"], self.params["steps"]
            share = self.done / (epochs * steps)
            seconds = now - self.started
            bar = "█" * round(30 * share) + "░" * (30 - round(30 * share))
            self.show(
                f"epoch {self.epoch + 1}/{epochs} {bar} {share:4.0%} · loss {logs['loss']:.4f} · "
                f"accuracy {logs['accuracy']:.4f} · {seconds:.0f} s, "
                f"{seconds / share - seconds:.0f} s to go"
            )

        def on_train_end(self, logs: dict | None = None) -> None:
            self.close()

    return ProgressBar()


def _live_line():
    """Return a function that shows a line over the last one, and one that wipes it."""
    handle = None
    if "ipykernel" in sys.modules:
        from IPython.display import display

        handle = display({"text/plain": ""}, raw=True, display_id=True)
    if handle:  # there is none where ipykernel is loaded, but is not what runs us

        def show(text: str) -> None:
            handle.update({"text/plain": text}, raw=True)

        return show, lambda: show("")
    if sys.stderr.isatty():

        def show(text: str) -> None:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

        return show, lambda: show("")
    return lambda text: None, lambda: None


def print_history(history: History) -> None:
    """Print a training history as a table: a row an epoch, a column a metric."""
    names = list(history)
    print("epoch  " + "  ".join(f"{name:>12}" for name in names))
    for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
        print(f"{epoch:5d}  " + "  ".join(f"{value:12.4f}" for value in values))


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name, or say which there are."""
    if name not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, not {name!r}")
    return RECIPES[name]
