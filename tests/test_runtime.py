import importlib
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from mnist_cnn import runtime
from mnist_cnn.course import files, machine, quick_start


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_importing_the_package_is_cheap():
    code = "import sys, mnist_cnn; print({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules))"
    assert run_python(code).stdout == "set()\n"


def test_the_callers_environment_wins(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    runtime.set_environment()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == runtime.DEFAULTS["TF_CPP_MIN_LOG_LEVEL"]


def test_stderr_works_again_after_loading(capfd):
    runtime.load_tensorflow()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_the_end_of_an_epoch_waits_for_nothing(keras):
    """Keras makes its input with these options; a thread that tunes it is joined at the end."""
    import tensorflow as tf

    runtime.load_tensorflow()
    options = tf.data.Dataset.range(2).with_options(tf.data.Options()).options()
    assert options.autotune.enabled is False


def test_parallel_test_processes_share_the_processors(monkeypatch):
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "2")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "")  # so that it is as before in the end
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    importlib.reload(quick_start)
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "4"
    assert os.environ["OMP_NUM_THREADS"] == "3"  # the caller's own value wins


def test_a_seed_decides_every_source_of_chance(keras):
    def draw(seed):
        runtime.set_seed(seed)
        from_numpy = np.random.rand()  # noqa: NPY002 (Keras seeds the old global generator)
        return random.random(), from_numpy, float(keras.random.normal(()))

    assert draw(5) == draw(5)
    assert all(a != b for a, b in zip(draw(5), draw(6), strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "0", None, True])
def test_a_wrong_seed_is_refused(seed):
    with pytest.raises(ValueError, match=r"^seed must be an integer from 0 to 4294967295, not "):
        runtime.set_seed(seed)


def test_versions_and_machine_are_stable_and_fit_into_json():
    assert set(machine.versions()) == {"mnist-cnn", "keras", "tensorflow", "numpy"}
    assert json.loads(json.dumps(machine.machine())) == machine.machine()
    assert machine.machine()["threads"] == machine.usable_cpus() >= 1
    assert machine.machine()["cpu"]


def test_the_projects_root_is_found_from_within(tmp_path, monkeypatch):
    inner = tmp_path / "project" / "notebooks" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert files.project_root() == inner
    (tmp_path / "project" / "pyproject.toml").touch()
    assert files.project_root() == tmp_path / "project"


def test_replacing_writes_all_or_nothing(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    with files.replacing(path) as temporary:
        assert temporary.suffix == path.suffix
        temporary.write_text("old")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
