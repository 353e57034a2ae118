import contextlib
import dataclasses
import gc
import io
import itertools
import math
import subprocess
import sys
import weakref
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mnist_cnn import model, preprocess, recipes, training
from mnist_cnn.progress import progress_bar

# Between them these recipes draw from every source of chance: Keras's order, and our warps.
SHORT_RUNS = """
import dataclasses, hashlib
from mnist_cnn import data, preprocess, recipes, training
(images, labels), _ = data.load_mnist()
x, y = preprocess.prepare(images[:128]), preprocess.one_hot(labels[:128])
runs = {}
for name in ("article", "best"):
    recipe = dataclasses.replace(recipes.RECIPES[name], epochs=2, batch_size=32)
    network, history = runs[name] = training.train(
        recipe, x[:64], y[:64], validation_data=(x[64:], y[64:]), progress=False
    )
    weights = b"".join(w.tobytes() for w in network.get_weights())
    print(name, hashlib.sha256(weights).hexdigest(), history)
"""


@pytest.fixture(scope="module")
def small(mnist):
    """128 real digits as the network takes them."""
    images, labels = (array[:128] for array in mnist[0])
    return preprocess.prepare(images), preprocess.one_hot(labels)


@pytest.fixture(scope="module")
def short():
    """The short runs in this process: ``runs``, each a network and its history, and ``printed``."""
    found = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(SHORT_RUNS, found)
    return SimpleNamespace(runs=found["runs"], printed=printed.getvalue())


def equal_weights(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_a_new_process_trains_the_same_weights_and_says_nothing_else(short):
    call = [sys.executable, "-c", SHORT_RUNS]
    run = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert (run.stdout, run.stderr) == (short.printed, "")
    assert [line.split()[0] for line in run.stdout.splitlines()] == ["article", "best"]


def test_train_is_the_articles_fit_bit_for_bit(short, small, keras):
    x, y = small
    network = model.build_model("sigmoid")
    network.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    held_out = x[64:], y[64:]
    fitted = network.fit(
        x[:64], y[:64], epochs=2, batch_size=32, validation_data=held_out, verbose=0
    )
    trained, history = short.runs["article"]
    assert history == fitted.history
    assert equal_weights(trained, network)


def test_bytes_train_the_same_weights_as_floats(short, small, mnist):
    bytes_, targets = mnist[0][0][:64, ..., np.newaxis], small[1][:64]
    recipe = dataclasses.replace(recipes.RECIPES["article"], epochs=2)
    network, _ = training.train(recipe, bytes_, targets, progress=False)
    assert equal_weights(short.runs["article"][0], network)


def test_bytes_are_shifted_to_the_same_batches_as_floats(small, mnist):
    recipe = recipes.Recipe(batch_size=48, max_shift=1)
    floats, bytes_ = (
        training.varied_batches(recipe, images, small[1], seed=0)
        for images in (small[0], mnist[0][0][:128, ..., np.newaxis])
    )
    for first, second in itertools.islice(zip(floats, bytes_, strict=True), 4):
        assert all(map(np.array_equal, first, second))
        assert second[0].dtype == np.float32


def test_the_seed_changes_the_weights(short, small):
    x, y = small
    recipe = dataclasses.replace(recipes.RECIPES["article"], epochs=2)
    other, _ = training.train(recipe, x[:64], y[:64], seed=1, progress=False)
    assert not equal_weights(short.runs["article"][0], other)


def test_the_articles_recipe_is_the_articles():
    assert recipes.RECIPES["article"] == recipes.Recipe(
        epochs=10, batch_size=32, learning_rate=1e-3, output_activation="sigmoid"
    )


def test_held_out_data_is_measured_each_epoch(short):
    _, history = short.runs["article"]
    assert {name: len(values) for name, values in history.items()} == dict.fromkeys(
        ("accuracy", "loss", "val_accuracy", "val_loss"), 2
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs must be above 0, not 0"),
        ("epochs", -3, "epochs must be above 0, not -3"),
        ("epochs", float("nan"), "epochs must be above 0, not nan"),
        ("epochs", float("inf"), "epochs must be above 0, not inf"),
        ("learning_rate", 0.0, "learning_rate must be above 0, not 0.0"),
        ("batch_size", 0, "batch_size must be an integer above 0, not 0"),
        ("batch_size", 1.5, "batch_size must be an integer above 0, not 1.5"),
        ("max_shift", -1, "max_shift must be from 0 to below 28, not -1"),
        ("max_shift", 0.5, "max_shift must be an integer where images are only moved, not 0.5"),
        ("max_rotation", -10, "max_rotation must be from 0 to 180, not -10"),
        ("max_zoom", 1, "max_zoom must be from 0 to below 1, not 1"),
        ("max_shear", float("nan"), "max_shear must be from 0 to below 1, not nan"),
        ("warmup", 1.0, "warmup must be from 0 to below 1, not 1.0"),
        ("decay", "exponential", "decay must be 'cosine' or 'linear', not 'exponential'"),
        ("label_smoothing", -0.1, "label_smoothing must be from 0 to below 1, not -0.1"),
        ("weight_decay", 2, "weight_decay must be from 0 to below 1, not 2"),
        ("beta_2", 1.5, "beta_2 must be from 0 to below 1, not 1.5"),
    ],
)
def test_a_recipe_that_no_run_could_follow_is_refused(field, value, message):
    with pytest.raises(ValueError) as error:
        recipes.Recipe(**{field: value})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [((4, 28, 28), (4, 10)), ((4, 28, 28, 1), (4,)), ((4, 28, 28, 1), (5, 10)), ((), ())],
)
def test_wrong_shapes_are_refused(x_shape, y_shape):
    with pytest.raises(ValueError, match=r"^x_train and y_train must have shapes"):
        training.train(recipes.Recipe(), np.zeros(x_shape), np.zeros(y_shape))


def test_shifted_batches_are_shifted_digits(small, keras):
    x, _ = small
    x = x[:64]
    recipe = recipes.Recipe(epochs=2, batch_size=10, max_shift=1)
    batches = training.varied_batches(recipe, x, np.arange(64), seed=0)
    bordered = np.pad(x[..., 0], ((0, 0), (1, 1), (1, 1)))
    seen, shifts = [], set()
    for images, sources in itertools.islice(batches, 13):
        assert images.shape == (10, 28, 28, 1) and sources.shape == (10,)
        for image, source in zip(images[..., 0], sources, strict=True):
            found = [
                (down, right)
                for down, right in np.ndindex(3, 3)
                if np.array_equal(image, bordered[source, down : down + 28, right : right + 28])
            ]
            assert found, "a batch holds an image that is no shifted digit"
            shifts.update(found)
        seen.extend(sources)
    assert len(shifts) == 9
    assert sorted(seen[:64]) == sorted(seen[64:128]) == list(range(64)), "once before any again"


def test_warped_batches_hold_every_image_once_and_none_as_it_was(small, keras):
    x, _ = small
    recipe = recipes.Recipe(epochs=2, batch_size=16, max_shift=1.5, max_rotation=10)
    batches = training.varied_batches(recipe, x[:64], np.arange(64), seed=0)
    images, sources = map(np.concatenate, zip(*itertools.islice(batches, 4), strict=True))
    assert images.shape == (64, 28, 28, 1) and images.dtype == np.float32
    assert sorted(sources) == list(range(64))
    changed = np.abs(images - x[sources]).max(axis=(1, 2, 3))
    assert np.all(changed > 0.05)
    # A moved digit's ink is all there still: bilinear weights sum to 1.
    np.testing.assert_allclose(
        images.sum(axis=(1, 2, 3)), x[sources].sum(axis=(1, 2, 3)), rtol=0.05
    )


def test_best_trains_the_better_network():
    assert training.build_network(recipes.RECIPES["best"]).count_params() == 437_162
    assert training.build_network(recipes.RECIPES["article"]).count_params() == 658_378


def test_weight_decay_takes_its_share_off(keras):
    """Where no gradient pulls, a step leaves 1 − rate · decay of a weight."""
    dense = keras.layers.Dense(10, activation="softmax", use_bias=False)
    network = keras.Sequential([keras.layers.Input((1,)), dense])
    recipe = recipes.Recipe(learning_rate=0.1, weight_decay=0.5)
    training.compile_model(network, recipe, images=1)
    before = network.get_weights()[0]
    network.train_on_batch(np.zeros((1, 1), "float32"), preprocess.one_hot(np.array([3])))
    np.testing.assert_allclose(network.get_weights()[0], before * (1 - 0.1 * 0.5), rtol=1e-6)


@pytest.mark.parametrize("epochs", [0.3, 1.2, 3])
def test_epochs_that_no_batch_size_divides(small, epochs, keras):
    """A part of an epoch, or a last batch that is not whole, costs no step and adds none."""
    recipe = recipes.Recipe(epochs=epochs, batch_size=48, max_shift=1)
    taken = []

    def step(images, targets):
        taken.append(len(images))
        return {"loss": 0.5}

    batches = training.varied_batches(recipe, *small, seed=0)
    history = training.follow(keras.Sequential(), recipe, 128, batches, step, [])
    whole = math.ceil(epochs)
    assert len(taken) == pytest.approx(epochs * 128 / 48, abs=whole) and set(taken) == {48}
    assert history == {"loss": [0.5] * whole}


def test_our_loop_is_keras_fit_bit_for_bit(short, small, keras):
    """Where batches are varied there is a loop of our own: weights and history are `fit`'s."""
    x, y = small
    recipe = dataclasses.replace(recipes.RECIPES["best"], epochs=2, batch_size=32)
    network = training.build_network(recipe)
    training.compile_model(network, recipe, 64)
    network.optimizer.build(network.trainable_variables)  # or the step would be traced twice
    network.compute_metrics(None, y[:1], y[:1])
    fitted = network.fit(
        training.varied_batches(recipe, x[:64], y[:64], seed=0),
        epochs=2,
        steps_per_epoch=2,
        shuffle=False,
        validation_data=(x[64:], y[64:]),
        verbose=0,
    )
    trained, history = short.runs["best"]
    assert history == fitted.history
    assert equal_weights(trained, network)


def test_a_linear_schedule_rises_and_falls_in_straight_lines(small):
    recipe = recipes.Recipe(epochs=2, batch_size=48, warmup=0.25, decay="linear")
    rates = training.linear_rates(recipe, 40)
    assert (rates[0], rates[10], len(rates)) == (0, recipe.learning_rate, 40)
    assert np.allclose(np.diff(rates[:11]), 1e-4) and np.allclose(np.diff(rates[10:]), -1e-3 / 30)
    network, _ = training.train(recipe, *small, progress=False)
    last = training.linear_rates(recipe, int(network.optimizer.iterations.numpy()))[-1]
    assert float(network.optimizer.learning_rate) == pytest.approx(last)


def test_a_run_lets_go_of_its_images(small):
    """A class trains many networks in one kernel: nothing may keep the images of the last."""
    x, y = small[0].copy(), small[1]
    alive = weakref.ref(x)
    network, history = training.train(
        recipes.Recipe(batch_size=48, epochs=0.8), x, y, progress=False
    )
    assert (int(network.optimizer.iterations), len(history["loss"])) == (2, 1)  # of 2.7 steps
    del x
    gc.collect()
    assert alive() is None


def test_the_bar_is_silent_where_nobody_looks_and_ends_empty_elsewhere(
    small, keras, monkeypatch, capfd
):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    recipe = recipes.Recipe(epochs=1, batch_size=64)
    network, _ = training.train(recipe, *small)
    assert capfd.readouterr() == ("", "")
    with monkeypatch.context() as terminal:
        terminal.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        training.fit(network, recipe, *small, 0, [progress_bar()])  # its step is traced already
    output = capfd.readouterr()
    assert output.out == ""
    assert "epoch 1/1" in output.err and output.err.endswith("\r\x1b[K")

    shown = []  # in a notebook it is one display

    def display(data, raw, display_id):
        shown.append(data["text/plain"])
        return SimpleNamespace(update=lambda data, raw: shown.append(data["text/plain"]))

    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr("IPython.display.display", display)
    training.fit(network, recipe, *small, 0, [progress_bar()])
    assert shown[0] == shown[-1] == "" and "epoch 1/1" in shown[1]
    assert capfd.readouterr() == ("", "")
