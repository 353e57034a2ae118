"""Several processes train one network together, on the loopback device."""

import dataclasses
import itertools
import json
import multiprocessing
import os
import socket
import sys
import time

import numpy as np
import pytest

from mnist_cnn import data, preprocess, recipes, training
from mnist_cnn.course import cli, results, workers

FILES = ["history.json", "metrics.json", "model.keras"]
OLDER = dict.fromkeys(FILES, b"older")
RECIPE = dataclasses.replace(recipes.RECIPES["fast"], batch_size=96, learning_rate=1e-3)

# Where processes can be forked, TensorFlow is loaded once, in a process that does nothing else.
WAYS = multiprocessing.get_all_start_methods()
processes = multiprocessing.get_context("forkserver" if "forkserver" in WAYS else "spawn")
processes.set_forkserver_preload([__name__, "tensorflow", "keras"])


def work(folder, config, two_steps):
    """Be a worker: the command on few digits, and without figures, which take longer than training.

    It leaves its weights and what it says beside the folder of results. One that is to be killed
    waits after two steps.
    """
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}.{name}", os.O_WRONLY | os.O_CREAT), descriptor)
    os.environ["TF_CONFIG"] = config
    few = [(images[:384], labels[:384]) for images, labels in data.load_mnist()]
    data.load_mnist = lambda: few
    recipes.RECIPES["fast"] = RECIPE
    results.draw = lambda *given: {}
    train, batches = workers.train, training.varied_batches

    def keeping(*given, **named):
        network, history = train(*given, **named)
        np.savez(f"{folder}.npz", *network.get_weights())
        return network, history

    def two_batches(*given):
        yield from itertools.islice(batches(*given), 2)
        two_steps.set()
        time.sleep(600)

    workers.train = keeping
    if two_steps:
        training.varied_batches = two_batches
    sys.exit(cli.main(["train", "--seed", "3", "--out", str(folder)]))


@pytest.fixture
def start(tmp_path):
    """Start a worker for each kind of task; return them, and folders that hold an older result."""
    started = []

    def start(*kinds, two_steps=None):
        sockets = [socket.create_server(("localhost", 0)) for _ in kinds]
        cluster = {kind: [] for kind in kinds}
        tasks = []
        for kind, one in zip(kinds, sockets, strict=True):
            tasks.append({"type": kind, "index": len(cluster[kind])})
            cluster[kind].append(f"localhost:{one.getsockname()[1]}")
        for one in sockets:
            one.close()
        folders = [tmp_path / str(number) for number in range(len(kinds))]
        for folder, task in zip(folders, tasks, strict=True):
            folder.mkdir()
            for name, content in OLDER.items():
                (folder / name).write_bytes(content)
            config = json.dumps({"cluster": cluster, "task": task})
            waits = two_steps if folder == folders[-1] else None
            started.append(processes.Process(target=work, args=(folder, config, waits)))
            started[-1].start()
        return started, folders

    yield start
    for process in started:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def alone(mnist):
    """The weights and the history that one process comes to."""
    (images, labels), _ = mnist
    x, y = preprocess.prepare(images[:384]), preprocess.one_hot(labels[:384])
    network, history = training.train(RECIPE, x, y, seed=3, progress=False)
    return network.get_weights(), history


def found(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def said(folder):
    return folder.with_suffix(".err").read_text()


def test_workers_train_the_network_that_one_process_trains(start, alone):
    started, folders = start("chief", "worker", "worker")
    for process, folder in zip(started, folders, strict=True):
        process.join(240)
        assert (process.exitcode, said(folder)) == (0, "")
    first, *others = (np.load(f"{folder}.npz") for folder in folders)
    for other in others:
        assert all(np.array_equal(first[name], other[name]) for name in first.files)
    weights, history = alone
    for number, expected in enumerate(weights):
        assert np.abs(first[f"arr_{number}"] - expected).max() < 1e-6

    written, *kept = map(found, folders)  # only the chief writes
    assert sorted(written) == FILES and b"older" not in written.values()
    assert json.loads(written["history.json"])["loss"] == pytest.approx(history["loss"], rel=1e-6)
    assert all(files == OLDER for files in kept)


def test_a_killed_worker_ends_the_other_with_one_sentence_and_older_files_stay(start):
    two_steps = processes.Event()
    (chief, worker), folders = start("worker", "worker", two_steps=two_steps)
    assert two_steps.wait(240)
    worker.kill()
    chief.join(60)
    assert chief.exitcode == 2
    error = said(folders[0])
    assert error.startswith("mnist-cnn: worker 0 of 2 stops: another worker is gone")
    assert error.count("\n") == 1
    assert all(found(folder) == OLDER for folder in folders)


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "expected"),
    [
        ({"worker": ["a:1"]}, "worker", 0, (0, 1)),
        ({"worker": ["a:1", "b:1"]}, "worker", 1, (1, 2)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "chief", 0, (0, 3)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "worker", "1", (2, 3)),
    ],
)
def test_a_chief_comes_before_the_workers(monkeypatch, cluster, kind, index, expected):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert workers.read_task() == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG must be like"),
        ("[]", "TF_CONFIG must be like"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG must be like"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": []}, "task": {"type": "worker", "index": 0}}',
            "TF_CONFIG must be like",
        ),
        (
            '{"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}}',
            "TF_CONFIG must be like",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
            "TF_CONFIG must be like",
        ),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "from 0 to 0, not 1",
        ),
    ],
)
def test_a_wrong_tf_config_is_refused(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        workers.read_task()


def test_without_tf_config_there_is_no_task(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert workers.read_task() is None
