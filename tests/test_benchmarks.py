"""What of the benchmarks does not depend on the clock."""

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation, fresh, growth, tables, worker
from mnist_cnn import model, preprocess, recipes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


def test_two_replicas_take_the_same_steps_as_one():
    one, two = fresh.call(growth.train_replicas, 3)
    assert (one["images_a_replica"], two["images_a_replica"]) == ([128], [64, 64])
    assert one["losses"] == pytest.approx(two["losses"], abs=1e-5)
    assert one["losses"][2] < one["losses"][0]


@pytest.fixture
def digits():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (10, 28, 28), "uint8"), random.integers(0, 10, 10, "uint8")


def test_a_stream_gives_the_same_batches_as_memory(keras, digits, tmp_path):
    images, labels = digits
    growth.write_files(tmp_path, images, labels, times=1)
    stream = growth.batches(growth.file_reader(tmp_path), 10, 4, seed=5)
    assert [len(stream[step][0]) for step in range(len(stream))] == [4, 4, 2]
    order = np.random.default_rng(5).permutation(10)
    x, y = (np.concatenate(parts) for parts in zip(*(stream[i] for i in range(3)), strict=True))
    assert x.dtype == y.dtype == np.float32
    assert np.array_equal(x, preprocess.prepare(images)[order])
    assert np.array_equal(y, preprocess.one_hot(labels)[order])
    stream.on_epoch_end()
    assert not np.array_equal(stream.order, order)


def test_a_file_ten_times_over_repeats_the_images(digits, tmp_path):
    images, labels = digits
    growth.write_files(tmp_path, images, labels, times=10)
    read_images, read_labels = growth.file_reader(tmp_path)(np.array([97, 3]))
    assert np.array_equal(read_images, images[[7, 3]])
    assert np.array_equal(read_labels, labels[[7, 3]])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured on Linux only")
def test_memory_counts_what_is_held():
    before = fresh.memory()
    held = np.ones(50 * 2**20, "uint8")
    after = fresh.memory()
    del held
    assert 45 <= after.now - before.now <= 55
    assert after.peak >= after.now > after.mapped > 0


def test_what_a_call_raises_arrives():
    with pytest.raises(ValueError, match="invalid literal"):
        fresh.call(int, "three")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_names_its_machine_and_versions(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    assert {"cpu", "threads", "onednn"} <= set(result["machine"])
    assert {"keras", "tensorflow", "numpy"} <= set(result["versions"])


def test_writing_the_tables_again_changes_nothing():
    for path, of_the_page in tables.PAGES.items():
        page = path.read_text(encoding="utf-8")
        assert tables.written(page, of_the_page) == page, "python -m benchmarks.tables"
    with pytest.raises(ValueError, match="one place for the table 'contest'"):
        tables.written("no table", tables.TABLES)


def test_the_contest_of_fast_was_of_the_recipe_as_it_is():
    rows = {row["name"]: row for row in tables.read("fast")["summary"]}
    assert rows["fast"]["epochs"] == recipes.RECIPES["fast"].epochs


def test_the_ablation_goes_from_the_article_to_best():
    names, networks, rows = zip(*ablation.steps(), strict=True)
    assert rows[0] == dataclasses.replace(recipes.Recipe(), epochs=3)
    assert rows[-1] == dataclasses.replace(recipes.RECIPES["best"], epochs=3)
    changed = [
        (before, after) for before, after in itertools.pairwise(zip(networks, rows, strict=True))
    ]
    assert all(before != after for before, after in changed)
    assert len(set(names)) == len(names)


def test_the_last_network_of_the_ablation_is_the_better_one(keras):
    ablated = worker.normalised_network(worker.WIDTHS, hidden=False)
    better = model.build_better_model()
    assert [w.shape for w in ablated.get_weights()] == [w.shape for w in better.get_weights()]
