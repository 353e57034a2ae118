"""Training on several machines: TensorFlow's own engine, told by ``TF_CONFIG`` who takes part.

``TF_CONFIG`` is what `tf.distribute` expects and what Kubeflow's TFJob sets: a JSON object with the
addresses of all workers and the place of this one among them. Each worker draws the same batches
and trains on its share; the gradients are averaged over all, so that all hold the same weights.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mnist_cnn import runtime, training
from mnist_cnn.progress import History, progress_bar
from mnist_cnn.recipes import Recipe

if TYPE_CHECKING:
    import keras


class Task(NamedTuple):
    """The number of this process among the workers, from 0.

    Worker 0 is the chief, which writes the files: the task "chief" where `TF_CONFIG` names one.
    """

    number: int
    workers: int


def read_task() -> Task | None:
    """Return this process's place by ``TF_CONFIG``, or None where that is not set.

    Raises
    ------
    ValueError
        If it is not such an object.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        config = json.loads(text)
        cluster, kind = config["cluster"], config["task"]["type"]
        index, count = int(config["task"]["index"]), len(cluster[kind])
        chiefs, workers = len(cluster.get("chief", [])), len(cluster.get("worker", []))
        known = set(cluster) <= {"chief", "worker"} and chiefs <= 1
    except (ValueError, TypeError, KeyError, AttributeError):
        known = False
    if not known:
        raise ValueError(
            'TF_CONFIG must be like {"cluster": {"worker": ["host:port", …]}, "task": {"type": '
            f'"worker", "index": 0}}}}, perhaps with one "chief" before the workers, not {text}'
        )
    if not 0 <= index < count:
        raise ValueError(f"TF_CONFIG's index must be from 0 to {count - 1}, not {index}")
    return Task(index + chiefs * (kind == "worker"), chiefs + workers)


def train(
    recipe: Recipe, task: Task, x_train: np.ndarray, y_train: np.ndarray, seed: int = 0
) -> tuple[keras.Model, History]:
    """Train a recipe's network together with the other workers.

    Call it before anything else has loaded TensorFlow. With equal shares the steps are those of one
    process, but for batch normalisation, which sees a share only. Where the workers do not divide
    the batch size, an image of a smaller share counts for more: of 128 on three workers, by 1/42.

    Parameters
    ----------
    recipe : Recipe
        Its batch size is that of all workers together.
    task : Task
    x_train : (n, 28, 28, 1) float32, 0 to 1
    y_train : (n, 10) float32
    seed : int
        The same on every worker.

    Returns
    -------
    model, history
        As `training.train`; the weights are the same on every worker.

    Raises
    ------
    RuntimeError
        If another worker is gone.
    """
    with runtime.stderr_silenced():
        tensorflow = importlib.import_module("tensorflow")
        strategy = tensorflow.distribute.MultiWorkerMirroredStrategy()
    runtime.set_seed(seed)
    with strategy.scope():
        network = training.build_network(recipe)
        training.compile_model(network, recipe, len(x_train))
        network.optimizer.build(network.trainable_variables)

    share = slice(task.number, None, task.workers)
    batches = (
        (tensorflow.constant(x[share]), tensorflow.constant(y[share]))
        for x, y in training.varied_batches(recipe, x_train, y_train, seed)
    )
    shown = [progress_bar()] if task.number == 0 else []
    step = joint_step(strategy, network)
    try:
        history = training.follow(network, recipe, len(x_train), batches, step, shown)
    except tensorflow.errors.OpError as error:
        raise RuntimeError(
            f"worker {task.number} of {task.workers} stops: another worker is gone, or the network "
            "between them; nothing was written"
        ) from error
    single = training.build_network(recipe)  # of this process alone, whatever becomes of the others
    single.set_weights(network.get_weights())
    return single, {name: [float(v) for v in values] for name, values in history.items()}


def joint_step(strategy: Any, network: keras.Model) -> Callable:
    """Return a function that trains on this worker's share of a batch, in step with the others.

    Parameters
    ----------
    strategy : tf.distribute.MultiWorkerMirroredStrategy
    network : keras.Model
        Built and compiled in the strategy's scope.

    Returns
    -------
    callable
        Takes images and targets, returns the logs so far: means over the workers.
    """
    tensorflow = runtime.load_tensorflow()

    @tensorflow.function
    def step(x: Any, y: Any) -> dict:
        logs = strategy.run(network.train_step, args=((x, y),))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    return step
