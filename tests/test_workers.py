"""Several processes train one network together, on the loopback device."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from mnist_cnn import training
from mnist_cnn.course import workers

SETTING = """
from mnist_cnn import data, preprocess, recipes, training
(images, labels), _ = data.load_mnist()
x, y = preprocess.prepare(images[:768]), preprocess.one_hot(labels[:768])
recipe = recipes.Recipe(
    epochs=1.5, batch_size=96, max_shift=1, warmup=0.2, decay="linear", label_smoothing=0.1
)
"""
RUN = f"""
import os, sys
import numpy as np
from mnist_cnn.course import workers
{SETTING}
task = workers.read_task()
if os.environ.get("DIES") == str(task.number):
    training.linear_rates = lambda recipe, steps: os._exit(1)
try:
    network, history = workers.train(recipe, task, x, y, seed=3)
except RuntimeError as error:
    sys.exit(str(error))
np.savez(sys.argv[1], *network.get_weights(), loss=history["loss"])
"""


def start(folder, count, **environment):
    """Start so many workers; return them and the files that they write."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    cluster = {"worker": [f"localhost:{one.getsockname()[1]}" for one in sockets]}
    for one in sockets:
        one.close()
    processes, files = [], [folder / f"{number}.npz" for number in range(count)]
    for number, file in enumerate(files):
        config = {"cluster": cluster, "task": {"type": "worker", "index": number}}
        given = {"TF_CONFIG": json.dumps(config)}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", RUN, str(file)],
                env=os.environ | given | environment,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes, files


@pytest.mark.parametrize("count", [2, 3])
def test_workers_train_the_network_that_one_process_trains(count, tmp_path):
    processes, files = start(tmp_path, count)
    setting = {}
    exec(SETTING, setting)
    x, y, recipe = (setting[name] for name in ("x", "y", "recipe"))
    network, history = training.train(recipe, x, y, seed=3, progress=False)
    for process in processes:
        _, error = process.communicate(timeout=240)
        assert (process.returncode, error) == (0, "")
    first, *others = map(np.load, files)
    for other in others:
        assert all(np.array_equal(first[name], other[name]) for name in first.files)
    assert first["loss"] == pytest.approx(history["loss"], abs=1e-5)
    for number, weights in enumerate(network.get_weights()):
        assert np.abs(first[f"arr_{number}"] - weights).max() < 1e-4


def test_a_worker_that_dies_ends_the_others_with_one_sentence(tmp_path):
    processes, files = start(tmp_path, 2, DIES="1")
    assert processes[1].wait(timeout=120) == 1
    _, error = processes[0].communicate(timeout=60)
    assert processes[0].returncode == 1 and not files[0].exists()
    assert error.startswith("worker 0 of 2 stops: another worker is gone")
    assert error.count("\n") == 1


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
