"""Models as people bring them are read as they were trained, or refused with reason and mend."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_cnn import preprocess
from mnist_cnn.course import models
from mnist_cnn.course.cli import main


@pytest.fixture(scope="module")
def regression(mnist):
    """Weights and biases of a linear classifier, by least squares: no training."""
    (images, labels), _ = mnist
    pixels = preprocess.normalize(images[:3000]).reshape(3000, 784)
    pixels = np.concatenate([pixels, np.ones((3000, 1), "float32")], axis=1)
    gram = pixels.T @ pixels + 10 * np.eye(785, dtype="float32")
    weights = np.linalg.solve(gram, pixels.T @ (12 * preprocess.one_hot(labels[:3000]) - 3))
    return weights[:-1].astype("float32"), weights[-1].astype("float32")


@pytest.fixture
def build(keras, regression):
    """Build the classifier between other layers; its digits are `scale` times ours plus `shift`."""

    def build(*after, before=(), scale=1.0, shift=0.0, shape=(28, 28, 1), activation=None):
        weights, biases = regression
        dense = keras.layers.Dense(10, activation=activation)
        layers = [*before, keras.layers.Flatten(), dense, *after]
        network = keras.Sequential([keras.layers.Input(shape), *layers])
        dense.set_weights([weights / scale, biases - (shift * weights / scale).sum(axis=0)])
        return network

    return build


@pytest.fixture
def expected(regression, mnist):
    images = preprocess.prepare(mnist[1][0][:1000]).reshape(1000, 784)
    return (images @ regression[0] + regression[1]).argmax(axis=1)


KINDS = {
    "softmax": (lambda k: {"activation": "softmax"}, []),
    "logits": (lambda k: {}, ["logits"]),
    "Softmax layer": (lambda k: {"after": [k.layers.Softmax()]}, []),
    "Activation layer": (lambda k: {"after": [k.layers.Activation("softmax")]}, []),
    "log-softmax": (lambda k: {"activation": "log_softmax"}, ["logits"]),
    "sigmoid": (lambda k: {"activation": "sigmoid"}, ["sigmoid"]),
    "0 to 255": (
        lambda k: {"scale": 255, "activation": "softmax"},
        ["given grey levels from 0 to 255"],
    ),
    "Rescaling layer": (
        lambda k: {"before": [k.layers.Rescaling(1 / 255)]},
        ["logits", "given grey levels from 0 to 255"],
    ),
    "-1 to 1": (
        lambda k: {"scale": 2, "shift": -1, "activation": "softmax"},
        ["given grey levels from -1 to 1"],
    ),
    "dark ink": (
        lambda k: {"scale": -1, "shift": 1, "activation": "softmax"},
        ["given dark ink on white, grey levels from 0 to 1"],
    ),
    "dark ink, 0 to 255": (
        lambda k: {"scale": -255, "shift": 255},
        ["logits", "given dark ink on white, grey levels from 0 to 255"],
    ),
    "no channel axis": (lambda k: {"shape": (28, 28), "activation": "softmax"}, []),
    "rows of pixels": (lambda k: {"shape": (784,), "activation": "softmax"}, []),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_model_is_read_as_it_was_trained(
    kind, build, keras, expected, mnist, little_data, tmp_path
):
    settings, notes = KINDS[kind]
    settings = settings(keras)
    build(*settings.pop("after", ()), **settings).save(tmp_path / "model.keras")
    reader = models.reader(models.load(tmp_path / "model.keras"))
    probabilities = reader.probabilities(preprocess.prepare(mnist[1][0][:1000]))
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.mean(probabilities.argmax(axis=1) == expected) > 0.99
    assert reader.note.count(";") == max(0, len(notes) - 1)
    assert all(part in reader.note for part in notes)
    assert bool(reader.note) == bool(notes)


@pytest.mark.parametrize("times", [0.01, 1, 1000])
def test_the_probabilities_are_calibrated(times, build, keras, mnist):
    """However sharp or flat the scores are: it is right as often as it says."""
    network = build(keras.layers.Rescaling(times))
    images, labels = mnist[1][0][1::10], mnist[1][1][1::10]  # others than those it is fitted to
    probabilities = models.reader(network).probabilities(preprocess.prepare(images))
    accuracy = np.mean(probabilities.argmax(axis=1) == labels)
    assert probabilities.max(axis=1).mean() == pytest.approx(accuracy, abs=0.04)


def test_predict_and_evaluate_tell_what_they_found(build, keras, little_data, mnist, capsys):
    build(keras.layers.Softmax(), scale=-255, shift=255).save("inverted.h5")
    Image.fromarray(mnist[1][0][0]).save("7.png")
    assert main(["predict", "7.png", "--model", "inverted.h5"]) == 0
    line, note = capsys.readouterr().out.splitlines()
    assert line.startswith("7.png: 7, probability 0.")
    assert note.startswith("inverted.h5: it is given dark ink on white")
    assert main(["predict", "7.png", "--model", "inverted.h5", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)[0]["digits"][0]["digit"] == 7
    assert printed.err == note + "\n"
    assert main(["evaluate", "inverted.h5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0][:9], lines[2]) == ("accuracy ", note)


def test_an_untrained_model_is_named_as_such(keras, little_data):
    layers = [keras.layers.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    assert "is it trained?" in models.reader(keras.Sequential(layers)).note


def test_a_diverged_model_is_refused(build, keras, little_data, capsys):
    build(keras.layers.Rescaling(float("nan"))).save("nan.keras")
    assert main(["evaluate", "nan.keras"]) == 2
    assert "its training diverged" in capsys.readouterr().err


def save_newer(network):
    """Save a model as a later Keras might, with a layer that this one does not have."""
    network.save("now.keras")
    with zipfile.ZipFile("now.keras") as old, zipfile.ZipFile("newer.keras", "w") as new:
        for name in old.namelist():
            content = old.read(name).replace(b'"Flatten"', b'"Flatter"')
            if name == "metadata.json":
                content = b'{"keras_version": "4.1.0"}'
            new.writestr(name, content)


REFUSED = {
    "newer.keras": (lambda k, n: save_newer(n()), ["Keras 4.1.0", "newer than this one, 3."]),
    "lambda.keras": (
        lambda k, n: n(k.layers.Lambda(lambda x: x)).save("lambda.keras"),
        ["Lambda layer", "Rescaling or Activation"],
    ),
    "lambda.h5": (lambda k, n: n(k.layers.Lambda(lambda x: x)).save("lambda.h5"), ["Lambda layer"]),
    "own.keras": (lambda k, n: n(own_layer(k)).save("own.keras"), ["author's, Own,"]),
    "own.h5": (lambda k, n: n(own_layer(k)).save("own.h5"), ["author's, Own,"]),
    "w.weights.h5": (
        lambda k, n: n().save_weights("w.weights.h5"),
        ["weights without a model", "build the model"],
    ),
    "ckpt.index": (
        lambda k, n: Path("ckpt.index").write_bytes(b"x"),
        ["checkpoint", "without a model"],
    ),
    "saved": (lambda k, n: n().export("saved", verbose=False), ["SavedModel", "model.save("]),
    "saved_model.pb": (lambda k, n: Path("saved_model.pb").write_bytes(b"x"), ["SavedModel"]),
    "net.pt": (lambda k, n: Path("net.pt").write_bytes(b"x"), ["PyTorch", "Keras model"]),
    "text.keras": (
        lambda k, n: Path("text.keras").write_bytes(b"x"),
        ["not a readable Keras model"],
    ),
    "nameless": (
        lambda k, n: (n().save("n.keras"), Path("n.keras").rename("nameless")),
        ["wrong name", ".keras"],
    ),
    "missing.keras": (lambda k, n: None, ["is missing", "reference network"]),
    "unbuilt.keras": (
        lambda k, n: k.Sequential([k.layers.Dense(10)]).save("unbuilt.keras"),
        ["Input((28, 28, 1))"],
    ),
    "two.keras": (lambda k, n: two_inputs(k).save("two.keras"), ["must take (28, 28, 1)"]),
}


def own_layer(keras):
    class Own(keras.layers.Layer):
        def call(self, values):
            return values

    return Own()


def two_inputs(keras):
    inputs = [keras.layers.Input((28, 28, 1)), keras.layers.Input((28, 28, 1))]
    sums = keras.layers.Flatten()(keras.layers.Add()(inputs))
    return keras.Model(inputs, keras.layers.Dense(10)(sums))


@pytest.mark.filterwarnings("ignore:You are saving a model")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_loaded_is_refused_with_reason_and_mend(name, keras, build, capfd):
    make, parts = REFUSED[name]
    make(keras, build)
    capfd.readouterr()
    assert main(["evaluate", name]) == 2
    error = capfd.readouterr().err
    assert (error.count("\n"), error.startswith(f"mnist-cnn: {name} ")) == (1, True), error
    assert all(part in error for part in parts), error


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
