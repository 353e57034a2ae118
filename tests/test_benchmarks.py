"""What of the benchmarks does not depend on the clock."""

import dataclasses
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mnist_cnn import preprocess, recipes

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = sorted((BENCHMARKS / "results").glob("*.json"))


@pytest.fixture
def script(monkeypatch):
    """Import a benchmark as its own folder sees it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_two_replicas_take_the_same_steps_as_one(script):
    one, two = script("fresh").call(script("growth").train_replicas, 3)
    assert (one["images_a_replica"], two["images_a_replica"]) == ([128], [64, 64])
    assert one["losses"] == pytest.approx(two["losses"], abs=1e-5)
    assert one["losses"][2] < one["losses"][0]


@pytest.fixture
def digits():
    random = np.random.default_rng(0)
    return random.integers(0, 256, (10, 28, 28), "uint8"), random.integers(0, 10, 10, "uint8")


def test_a_stream_gives_the_same_batches_as_memory(script, keras, digits, tmp_path):
    growth, (images, labels) = script("growth"), digits
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


def test_a_file_ten_times_over_repeats_the_images(script, digits, tmp_path):
    growth, (images, labels) = script("growth"), digits
    growth.write_files(tmp_path, images, labels, times=10)
    read_images, read_labels = growth.file_reader(tmp_path)(np.array([97, 3]))
    assert np.array_equal(read_images, images[[7, 3]])
    assert np.array_equal(read_labels, labels[[7, 3]])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured on Linux only")
def test_memory_counts_what_is_held(script):
    before = script("fresh").memory()
    held = np.ones(50 * 2**20, "uint8")
    after = script("fresh").memory()
    del held
    assert 45 <= after.now - before.now <= 55
    assert after.peak >= after.now > after.mapped > 0


def test_what_a_call_raises_arrives(script):
    with pytest.raises(ValueError, match="invalid literal"):
        script("fresh").call(int, "three")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_a_result_names_its_machine_and_versions(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    assert {"cpu", "threads", "onednn"} <= set(result["machine"])
    assert {"keras", "tensorflow", "numpy"} <= set(result["versions"])


def tables():
    """Return the README's tables: a list of rows for each, its header first."""
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [
        [[c.strip() for c in line.strip("|\n").split("|")] for line in block.splitlines()]
        for block in blocks
    ]


def table(header):
    """Return the rows of the table whose first header cell is `header`."""
    return next(rows[2:] for rows in tables() if rows[0][0] == header)


def result(name):
    return json.loads((BENCHMARKS / "results" / name).read_text(encoding="utf-8"))


def test_the_readme_quotes_the_small_steps():
    figures = result("costs.json")["figures"]
    quoted = {step: measured for step, _, measured in table("what")}
    assert list(quoted) == list(figures)
    for step, measured in quoted.items():
        assert float(measured.split()[0]) == round(figures[step], 2)


def test_the_readme_quotes_growth():
    runs = result("growth.json")["runs"]

    def cost(run):
        return [f"{run[key]:.1f}" for key in ("seconds_an_epoch", "cpu_seconds_an_epoch")]

    assert table("held as") == [
        [run["held"], f"{run['images']:,}", *cost(run), f"{run['memory_mb']['trained']['peak']:,}"]
        for run in runs
        if run["batch_size"] == 128
    ]
    sizes = [run for run in runs if run["held"] == "floats" and run["images"] == 60_000]
    usual = next(run["cpu_seconds_an_epoch"] for run in sizes if run["batch_size"] == 128)
    assert table("batch size") == [
        [str(run["batch_size"]), *cost(run), f"{run['cpu_seconds_an_epoch'] / usual:.2f}"]
        for run in sorted(sizes, key=lambda run: run["batch_size"])
    ]
    stages = next(run for run in sizes if run["batch_size"] == 128)["memory_mb"]
    assert [row[:3] for row in table("after")] == [
        [stage, f"{memory['now']:,}", f"{memory['mapped']:,}"] for stage, memory in stages.items()
    ]


def test_the_readme_quotes_the_replicas():
    losses = [run["losses"] for run in result("growth.json")["replicas"]]
    assert table("step") == [
        [str(step), f"{one:.7f}", f"{two:.7f}"]
        for step, (one, two) in enumerate(zip(*losses, strict=True), start=1)
    ]
    assert np.abs(np.diff(losses, axis=0)).max() < 1e-5


def test_the_pages_quote_the_contest():
    rows = {row["name"]: row for row in result("compare.json")["summary"]}
    assert table("recipe") == [
        [
            f"`{name}`" if name in ("article", "fast", "best") else name,
            f"{row['epochs']:g}",
            f"{row['accuracy']:.4f}",
            f"{row['lowest_accuracy']:.4f}",
            f"{row['seconds']:.1f}",
            f"{row['cpu_seconds']:.1f}",
            f"{row['article_over_this']:.1f}",
            f"{row['over_floor']:.1f}" if "over_floor" in row else "–",
            f"{row['peak_mb']:,.0f}",
        ]
        for name, row in rows.items()
    ]


def test_the_readme_quotes_the_foreign_digits():
    shares = result("foreign_digits.json")["shares"]
    assert table("digits") == [[name, f"{share:.4f}"] for name, share in shares.items()]
    assert shares["digit_from_image"] >= 0.95 and shares["photographs"] >= 0.93
    assert shares["enlarged MNIST unchanged"] >= 0.98


def test_best_is_what_was_asked_for():
    """The recorded contest, three seeds: 30 mistakes in 10,000, in thrice the article's time."""
    rows = {row["name"]: row for row in result("compare.json")["summary"]}
    article, best = rows["article"], rows["best"]
    assert best["runs"] == 3
    assert best["seconds"] <= 3 * article["seconds"]
    assert best["accuracy"] >= 0.9970
    assert best["lowest_accuracy"] >= 0.9965


def test_the_ablation_ends_at_best():
    path = BENCHMARKS.parent / "notebooks" / "measured" / "ablation.json"
    steps = json.loads(path.read_text(encoding="utf-8"))["steps"]
    rows = [recipes.Recipe(**step["recipe"]) for step in steps]
    assert rows[0] == dataclasses.replace(recipes.RECIPES["article"], epochs=rows[0].epochs)
    assert rows[-1] == recipes.RECIPES["best"]
    assert len({recipe.epochs for recipe in rows[:-1]}) == 1
    assert [len(step["accuracies"]) for step in steps] == [2] * (len(steps) - 1) + [1]
    for step in steps:
        assert step["accuracy"] == pytest.approx(np.mean(step["accuracies"]), abs=1e-5)
