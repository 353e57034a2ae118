"""How the cost of training grows with the number of images and with the batch size.

    python -m benchmarks.growth             five minutes, 7 GB of memory, 0.5 GB of disk

Trains the article's network with plain steps (Adam, no shifts) on 1,000 to 600,000 images. They are
held in memory as a chapter holds them (prepared: 3,136 bytes an image), in memory as bytes (784) or
in a file; the latter two are prepared batch by batch. The 600,000 are the training set ten times.
Then shows that two replicas, on two virtual processors, take the same steps as one, and measures
what two processes spend on the exchange of gradients over the loopback device.

Prints tables and writes ``growth.json``, ``growth.png`` and ``exchange.json`` in
``benchmarks/results``.
"""

from __future__ import annotations

import json
import math
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import fresh, result
from mnist_cnn import data, model, preprocess, recipes, runtime, training
from mnist_cnn.course import files, workers

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
HELD_AS = {
    "floats": "in memory, prepared",
    "bytes": "in memory, as bytes",
    "file": "in a file, as bytes",
}
# How the images are held, how many of them, images a step. A run takes at most 1,000 steps, a
# run that is there for its batch size 20,480 images; its seconds are scaled to the whole epoch.
RUNS = [
    *(("floats", images, 128, 1_000) for images in (1_000, 3_000, 10_000, 30_000, 60_000, 600_000)),
    *((held, images, 128, 1_000) for held in ("bytes", "file") for images in (10_000, 60_000)),
    *((held, 600_000, 128, 1_000) for held in ("bytes", "file")),
    *(("floats", 60_000, size, 20_480 // size) for size in (16, 32, 64, 256, 512, 1024)),
]

Read = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def write_files(folder: Path, images: np.ndarray, labels: np.ndarray, times: int) -> None:
    """Write ``images.raw`` and ``labels.raw``, bytes only, with everything `times` times over."""
    for name, array in (("images.raw", images), ("labels.raw", labels)):
        with open(folder / name, "wb") as file:
            for _ in range(times):
                array.tofile(file)


def file_reader(folder: Path) -> Read:
    """Return a function that reads the chosen images and labels from the two files."""
    # Not np.memmap: its pages count as memory, and Linux maps their neighbours along with them;
    # 128 images scattered over 470 MB brought in up to 186 MB.
    labels = np.fromfile(folder / "labels.raw", np.uint8)

    def read(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = np.empty((len(chosen), 28, 28), np.uint8)
        with open(folder / "images.raw", "rb", buffering=0) as file:
            for image, place in zip(images, chosen, strict=True):
                file.seek(place * image.size)
                file.readinto(image.data)
        return images, labels[chosen]

    return read


def batches(read: Read, count: int, batch_size: int, seed: int) -> keras.utils.PyDataset:
    """Return shuffled batches, read as bytes and prepared when they are asked for.

    Only the order is kept in memory, eight bytes an image, and from a file the labels, one.
    """
    import keras

    class Batches(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self.random = np.random.default_rng(seed)
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-count // batch_size)

        def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
            images, labels = read(self.order[step * batch_size : (step + 1) * batch_size])
            return preprocess.prepare(images), preprocess.one_hot(labels)

        def on_epoch_end(self) -> None:
            self.order = self.random.permutation(count)

    return Batches()


def train(held: str, count: int, batch_size: int, most_steps: int, folder: Path) -> dict:
    """Train for an epoch, or for `most_steps` of it, and return what it cost.

    The first step, which builds the graph, is not part of the seconds.
    """
    runtime.set_seed(0)
    import keras

    memory = {"TensorFlow loaded": fresh.memory()}
    if held == "file":
        read = file_reader(folder)
    else:
        (images, labels), _ = data.load_mnist()
        if count > len(images):
            images, labels = (np.concatenate([a] * (count // len(a))) for a in (images, labels))
        images, labels = images[:count], labels[:count]
        memory["data loaded"] = fresh.memory()

        def read(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return images[chosen], labels[chosen]

    if held == "floats":
        x, y = preprocess.prepare(images), preprocess.one_hot(labels)
        inputs = {"x": x, "y": y, "batch_size": batch_size}
        memory["data prepared"] = fresh.memory()
    else:
        inputs = {"x": batches(read, count, batch_size, seed=0)}
    network = model.build_model()
    training.compile_model(network, recipes.Recipe(batch_size=batch_size), count)
    epoch, ticks = -(-count // batch_size), []
    network.fit(
        **inputs,
        steps_per_epoch=min(most_steps, epoch),
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: ticks.append(
                    (time.perf_counter(), time.process_time())
                )
            )
        ],
    )
    memory["trained"] = fresh.memory()
    seconds, cpu_seconds = (np.subtract(ticks[-1], ticks[0]) / (len(ticks) - 1) * epoch).tolist()
    return {
        "held": held,
        "images": count,
        "batch_size": batch_size,
        "steps": len(ticks),
        "steps_an_epoch": epoch,
        "seconds_an_epoch": round(seconds, 3),
        "cpu_seconds_an_epoch": round(cpu_seconds, 3),
        "memory_mb": {stage: found and found._asdict() for stage, found in memory.items()},
    }


def train_replicas(steps: int, batch_size: int = 128) -> list[dict]:
    """Train on one processor and on two virtual ones; return the loss of each step of both.

    Each replica takes its share of every batch, and their gradients are added up before the step.
    """
    import tensorflow as tf

    # Before anything asks for the devices; runtime.set_seed does.
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    (images, labels), _ = data.load_mnist()
    count = steps * batch_size
    x, y = preprocess.prepare(images[:count]), preprocess.one_hot(labels[:count])
    stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    runs = []
    for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
        runtime.set_seed(0)
        strategy = tf.distribute.MirroredStrategy(devices)
        with strategy.scope():
            network = model.build_model()
            training.compile_model(network, recipes.Recipe(batch_size=batch_size), count)
        # An "epoch" of one step, so that the history holds each step's own loss.
        fitted = network.fit(stream, epochs=steps, steps_per_epoch=1, shuffle=False, verbose=0)
        first = next(iter(strategy.experimental_distribute_dataset(stream)))[0]
        shares = [len(share) for share in strategy.experimental_local_results(first)]
        runs.append({"images_a_replica": shares, "losses": fitted.history["loss"]})
    return runs


def train_in_turns(number: int, addresses: list[str], shares: list[tuple[int, int]]) -> list[dict]:
    """Be one of two workers on a processor of its own; take steps alone and with the other.

    They take turns of seven steps each, so that what else the machine does meets both.

    Parameters
    ----------
    number : {0, 1}
    addresses : list of str
        "host:port" of both.
    shares : list of (int, int)
        This worker's images of a batch, and how many turns to take with them.

    Returns
    -------
    list of dict
        Of each share: "images_a_worker", and under "alone" and "together" the CPU milliseconds
        of the steps.
    """
    task = {"type": "worker", "index": number}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    if hasattr(os, "sched_setaffinity"):  # before TensorFlow counts the processors
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[number % len(processors)]})
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    runtime.set_seed(0)
    (images, labels), _ = data.load_mnist()

    def new_network() -> keras.Model:
        network = model.build_model()
        training.compile_model(network, recipes.Recipe(), len(images))
        network.optimizer.build(network.trainable_variables)
        return network

    with strategy.scope():
        together = workers.joint_step(strategy, new_network())
    alone = tf.function(new_network().train_step)
    steps = {"alone": lambda x, y: alone((x, y)), "together": together}
    measured = []
    for share, turns in shares:
        x = tf.constant(preprocess.prepare(images[:share]))
        y = tf.constant(preprocess.one_hot(labels[:share]))
        spent: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(turns + 1):
            for name, step in steps.items():
                for count in range(7):
                    started = time.process_time()
                    step(x, y)["loss"].numpy()
                    # The first turn builds the graphs; a first step may bear the last one's rest.
                    if turn and count:
                        spent[name].append((time.process_time() - started) * 1e3)
        measured.append({"images_a_worker": share} | spent)
    return measured


def measure_exchange(shares: list[tuple[int, int]]) -> dict:
    """Return the median CPU time of two workers' steps, who exchange over the loopback device.

    CPU time, since other work on the machine hardly changes it. It holds what each worker does for
    an exchange; the time on a wire comes on top.
    """
    load = os.getloadavg()[0]
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(fresh.call, train_in_turns, number, addresses, shares)
            for number in range(2)
        ]
        both = [future.result() for future in futures]
    rows = []
    for one, other in zip(*both, strict=True):
        row = {"images_a_worker": one["images_a_worker"], "steps": len(one["alone"])}
        for name in ("alone", "together"):
            row[f"{name}_cpu_ms"] = round(statistics.median(one[name] + other[name]), 1)
        rows.append(row)
    return {"device": "loopback", "load_before": round(load, 1), "rows": rows}


def print_tables(runs: list[dict], replicas: list[dict], exchange: dict) -> None:
    """Print each run's cost, what held the memory, the replicas' losses, and the exchange."""
    print(
        "held as   images  batch  steps taken  seconds an epoch  CPU seconds  µs an image  peak MB"
    )
    for run in runs:
        taken = f"{run['steps']} of {run['steps_an_epoch']}"
        print(
            f"{run['held']:7} {run['images']:8,} {run['batch_size']:6} {taken:>12} "
            f"{run['seconds_an_epoch']:17.2f} {run['cpu_seconds_an_epoch']:12.2f} "
            f"{run['seconds_an_epoch'] / run['images'] * 1e6:12.0f} "
            f"{peak_mb(run):>8}"
        )
    print(
        "\nwhat holds the memory, 60,000 images prepared: MB now, of it mapped files, peak so far"
    )
    for stage, memory in find(runs, "floats", 60_000)["memory_mb"].items():
        if memory:
            print(f"  {stage:20} {memory['now']:6} {memory['mapped']:6} {memory['peak']:6}")
    print("\nstep  loss, one replica  loss, two replicas  difference")
    for step, (one, two) in enumerate(zip(*(run["losses"] for run in replicas), strict=True)):
        print(f"{step + 1:4} {one:18.7f} {two:19.7f} {two - one:11.1e}")
    print(f"\ntwo workers, device {exchange['device']}, load before {exchange['load_before']}")
    print("images a worker  CPU ms a step alone  together  difference")
    for row in exchange["rows"]:
        alone, together = row["alone_cpu_ms"], row["together_cpu_ms"]
        print(f"{row['images_a_worker']:15} {alone:20.1f} {together:9.1f} {together - alone:11.1f}")


def find(runs: list[dict], held: str, images: int, batch_size: int = 128) -> dict:
    """Return the first run of that kind."""
    kind = (held, images, batch_size)
    return next(run for run in runs if (run["held"], run["images"], run["batch_size"]) == kind)


def peak_mb(run: dict) -> float:
    """Return a run's peak memory; NaN where it could not be measured."""
    memory = run["memory_mb"]["trained"]
    return memory["peak"] if memory else math.nan


def draw(runs: list[dict]) -> Figure:
    """Draw CPU seconds, steadier than a clock, and memory against the number of images."""
    from matplotlib.figure import Figure

    from mnist_cnn import plots

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (held, label), color, marker in zip(HELD_AS.items(), plots.COLORS, "os^", strict=False):
        own = [run for run in runs if (run["held"], run["batch_size"]) == (held, 128)]
        images = [run["images"] for run in own]
        style = {"color": color, "marker": marker, "label": label}
        left.plot(images, [run["cpu_seconds_an_epoch"] for run in own], **style)
        right.plot(images, [peak_mb(run) for run in own], **style)
    left.set(title="Time grows with the images", ylabel="CPU seconds an epoch")
    right.set(title="Memory grows only if they are kept in it", ylabel="peak memory in MB")
    for ax in (left, right):
        ax.set(xlabel="training images", xscale="log", yscale="log")
        ax.grid(alpha=0.3)
    # On a short logarithmic axis Matplotlib would name powers of ten only, or crowd it.
    ticks = [500, 1_000, 2_000, 4_000, 8_000]
    right.set_yticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    right.minorticks_off()
    left.legend()
    return figure


def main() -> None:
    """Measure everything, print it and write it."""
    (images, labels), _ = data.load_mnist()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), images, labels, times=10)
        del images, labels
        for job in RUNS:
            runs.append(fresh.call(train, *job, Path(folder)))
            print(*job, f"{runs[-1]['seconds_an_epoch']:.2f} s an epoch", file=sys.stderr)
    replicas = fresh.call(train_replicas, 10)
    exchange = measure_exchange([(64, 16), (512, 4)])
    print_tables(runs, replicas, exchange)
    with files.replacing(RESULTS / "growth.png") as path:
        draw(runs).savefig(path, dpi=100, metadata={"Software": None})
    result.write(RESULTS / "growth.json", {"runs": runs, "replicas": replicas})
    result.write(RESULTS / "exchange.json", exchange)


if __name__ == "__main__":
    main()
