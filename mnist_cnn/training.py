"""Training: a recipe is followed, batch by batch."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mnist_cnn import augmentation, model, preprocess, runtime
from mnist_cnn.progress import History, progress_bar
from mnist_cnn.recipes import Recipe

if TYPE_CHECKING:
    import keras


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
        As Keras's ``History.history``: "loss" and "accuracy", and with ``"val_"`` those of the
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
    if recipe.warmup is not None and recipe.decay == "cosine":
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
    """Train a compiled network as the recipe says, and return Keras's ``History.history``.

    Parameters: as `train`, `images` and `targets` being its arrays; callbacks as ``fit`` has them.
    """
    import keras

    # A step that makes variables would be traced twice, for one to three seconds more.
    network.optimizer.build(network.trainable_variables)
    network.compute_metrics(None, targets[:1], targets[:1])  # forgotten as the first epoch begins
    linear = recipe.warmup is not None and recipe.decay == "linear"
    if linear or recipe.max_shift or recipe.warps or recipe.epochs != int(recipe.epochs):
        tensorflow = runtime.load_tensorflow()
        spec = tensorflow.TensorSpec
        batch = [spec((None, *model.INPUT_SHAPE)), spec((None, 10))]
        step = tensorflow.function(lambda x, y: network.train_step((x, y)), input_signature=batch)
        batches = varied_batches(recipe, images, targets, seed)
        return follow(network, recipe, len(images), batches, step, callbacks, validation_data)
    if images.dtype == np.uint8:  # what `fit` need not convert it does not copy
        images = keras.ops.cast(images, "float32") / 255
    return network.fit(
        images,
        targets,
        batch_size=recipe.batch_size,
        epochs=int(recipe.epochs),
        verbose=0,
        callbacks=callbacks,
        validation_data=validation_data,
    ).history


def follow(
    network: keras.Model,
    recipe: Recipe,
    images: int,
    batches: Iterator,
    step: Callable,
    callbacks: list[keras.callbacks.Callback],
    validation_data: tuple[np.ndarray, np.ndarray] | None = None,
) -> History:
    """Take the recipe's steps on batches that change from epoch to epoch, for parts of epochs too.

    A loop of our own, since ``fit`` takes such batches through tf.data, which keeps the images in
    memory after the run; and Keras has no schedule that warms up and then falls straight.

    Parameters: as `fit`, but `images` is the training set's size, `batches` gives without end what
    `step` takes, and `step` trains on that and returns the logs so far. Returns: as `fit`.
    """
    import keras

    epochs = math.ceil(recipe.epochs)  # equal parts, so that 1.2 epochs are shown as two
    steps = math.ceil(max(1, round(recipe.epochs * images / recipe.batch_size)) / epochs)
    told = keras.callbacks.CallbackList(callbacks, True, model=network, epochs=epochs, steps=steps)
    linear = recipe.warmup is not None and recipe.decay == "linear"
    rates = linear_rates(recipe, epochs * steps) if linear else None
    told.on_train_begin()
    for epoch in range(epochs):
        told.on_epoch_begin(epoch)
        network.reset_metrics()
        for number in range(steps):
            if rates is not None:
                network.optimizer.learning_rate = rates[epoch * steps + number]
            logs = step(*next(batches))
            told.on_train_batch_end(number, logs)
        if validation_data:
            measured = network.evaluate(*validation_data, verbose=0, return_dict=True)
            logs |= {f"val_{name}": value for name, value in measured.items()}
        told.on_epoch_end(epoch, logs)
    told.on_train_end()
    return network.history.history


def linear_rates(recipe: Recipe, steps: int) -> np.ndarray:
    """Return the learning rate of each step: up from 0 in the warm-up, then straight down to 0.

    Examples
    --------
    >>> linear_rates(Recipe(learning_rate=0.1, warmup=0.5, decay="linear"), 4)
    array([0.  , 0.05, 0.1 , 0.05])
    """
    rise = (recipe.warmup or 0) * steps
    return np.interp(np.arange(steps), [0, rise, steps], [0, recipe.learning_rate, 0])


def varied_batches(
    recipe: Recipe, images: np.ndarray, targets: np.ndarray, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield shuffled batches without end, each image moved or warped as the recipe says.

    Every image comes once before any comes again. Parameters: as `train`.

    Yields
    ------
    images : (batch_size, 28, 28, 1) float32, 0 to 1
    targets : (batch_size, 10) float32

    Examples
    --------
    >>> images, targets = np.zeros((10, 28, 28, 1), "float32"), np.eye(10, dtype="float32")
    >>> x, y = next(varied_batches(Recipe(batch_size=4, max_shift=1), images, targets, seed=0))
    >>> x.shape, y.shape
    ((4, 28, 28, 1), (4, 10))
    """
    names = ("max_shift", "max_rotation", "max_zoom", "max_shear")
    limits = {name: getattr(recipe, name) for name in names}
    random = np.random.default_rng(seed)
    order = np.empty(0, int)
    while True:
        while len(order) < recipe.batch_size:
            order = np.concatenate([order, random.permutation(len(images))])
        chosen, order = np.split(order, [recipe.batch_size])
        drawn = images[chosen]
        drawn = preprocess.normalize(drawn) if drawn.dtype == np.uint8 else drawn
        if recipe.warps:
            maps = augmentation.random_maps(random, len(drawn), **limits)
            yield augmentation.warp(drawn, maps), targets[chosen]
        else:
            yield augmentation.shift(random, drawn, int(recipe.max_shift)), targets[chosen]
