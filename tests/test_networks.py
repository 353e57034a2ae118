"""The reference networks: what their cards say is true, and NumPy computes what Keras does."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnist_cnn import data, evaluation, networks, preprocess, recipes
from mnist_cnn.course import forward, reference

PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture(scope="module", params=networks.NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def loaded(name, mnist):
    """A network as Keras runs it, its history, and its scores of the test images."""
    _, (images, _) = mnist
    model, history = networks.load(name)
    return model, history, evaluation.predict_scores(model, preprocess.prepare(images))


def test_numpy_gives_what_keras_gives(name, loaded, mnist):
    _, (images, _) = mnist
    scores = forward.predict(networks.read(name), preprocess.prepare(images[::10]))
    assert (scores.dtype, scores.shape) == (np.float32, (1000, 10))
    assert np.abs(scores - loaded[2][::10]).max() < 1e-5


def test_the_card_tells_the_truth(name, loaded, mnist):
    model, history, scores = loaded
    card, (_, (_, labels)) = networks.read(name).card, mnist
    assert np.mean(scores.argmax(axis=1) == labels) == card["test_accuracy"]
    assert card["recipe"] == vars(recipes.RECIPES[name])
    assert card["parameters"] == model.count_params()
    assert card["seed"] == reference.SEED
    assert card["command"] == f"mnist-cnn networks {name} --update"
    assert history == card["history"]
    assert {"cpu", "cpu_features", "threads"} <= set(card["machine"])
    assert {"keras", "tensorflow", "numpy"} <= set(card["versions"])


def test_the_held_out_run_of_the_article():
    history, matrix = networks.load_held_out()
    assert {len(values) for values in history.values()} == {10}
    assert matrix.sum() == 10_000
    assert np.trace(matrix) / 10_000 == pytest.approx(history["val_accuracy"][-1], abs=1e-6)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    folder = tmp_path / "networks"
    shutil.copytree(networks.FOLDER, folder)
    monkeypatch.setattr(networks, "FOLDER", folder)
    return folder


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("ending", ["npz", "json"])
@pytest.mark.parametrize("how", [Path.unlink, damage, lambda path: path.write_bytes(b"")])
def test_a_damaged_network_gets_one_sentence(copied, how, ending):
    how(copied / f"fast.{ending}")
    with pytest.raises(RuntimeError, match=r"fast\.npz is missing or damaged .*'pip install"):
        networks.read("fast")
    networks.read("best")


def test_weights_of_another_card_are_refused(copied):
    shutil.copy(copied / "fast.npz", copied / "article.npz")
    with pytest.raises(RuntimeError, match="its weights are not those of its card"):
        networks.read("article")


@pytest.mark.parametrize("unknown", ["Best", "", None, 3])
def test_an_unknown_network_is_refused(unknown):
    with pytest.raises(ValueError, match="the reference networks are article, fast, best, not "):
        networks.load(unknown)


def test_what_is_written_is_what_is_read(copied, name):
    before = networks.read(name)
    reference.write(before, copied)
    again = networks.read(name)
    assert again.card == before.card
    assert all(map(np.array_equal, again.weights, before.weights))
    assert len(list(copied.iterdir())) == 2 * len(networks.NAMES)


def test_an_interrupted_write_leaves_the_earlier_network(copied, monkeypatch):
    network = networks.read("fast")
    before = {path: path.read_bytes() for path in copied.iterdir()}

    def half(path, **arrays):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(KeyboardInterrupt):
        reference.write(network, copied)
    assert {path: path.read_bytes() for path in copied.iterdir()} == before


def test_training_gives_a_network_that_can_be_written(little_data, copied, monkeypatch):
    short = dataclasses.replace(recipes.RECIPES["article"], epochs=1)
    monkeypatch.setitem(recipes.RECIPES, "article", short)
    network = reference.train("article", progress=False)
    reference.write(network, copied)
    again = networks.read("article")
    assert json.dumps(again.card) == json.dumps(network.card)
    assert again.card["sha256"] == data.checksum(*again.weights)
    assert networks.load_held_out()[1].sum() == 100
    agrees, sentence = reference.verdict(again.card, network.card)
    assert (agrees, sentence) == (True, "the same weights, bit for bit")


def test_the_verdict_names_what_differs():
    card = networks.read("fast").card
    other = card | {"sha256": "0" * 64, "machine": card["machine"] | {"threads": 64}}
    agrees, sentence = reference.verdict(card, other)
    assert agrees and f"threads ({card['machine']['threads']}, now 64)" in sentence
    agrees, sentence = reference.verdict(card, other | {"test_accuracy": 0.9})
    assert not agrees and "0.9000" in sentence and "OUTSIDE" in sentence


def test_an_image_of_another_shape_or_type_is_refused():
    network = networks.read("fast")
    for images in (np.zeros((1, 28, 28), "float32"), np.zeros((1, 28, 28, 1))):
        with pytest.raises(ValueError, match=r"images must be float32 of shape \(n, 28, 28, 1\)"):
            forward.predict(network, images)
    assert forward.predict(network, np.zeros((0, 28, 28, 1), "float32")).shape == (0, 10)


def test_a_convolution_by_hand():
    image = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    kernel = np.float32([[1, 0], [0, -2]]).reshape(2, 2, 1, 1)
    assert forward.convolution(image, kernel, 5.0)[0, :, :, 0].tolist() == [[-3, -4], [-6, -7]]
    same = forward.convolution(image, kernel, padding="same")
    assert same[0, :, :, 0].tolist() == [[-8, -9, 2], [-11, -12, 5], [6, 7, 8]]


def test_an_incomplete_block_is_not_pooled():
    maps = np.arange(25, dtype="float32").reshape(1, 5, 5, 1)
    assert forward.max_pooling(maps)[0, :, :, 0].tolist() == [[6, 8], [16, 18]]


def test_a_digit_is_read_at_once_without_tensorflow():
    """From a cold start, in CPU seconds: half of them is NumPy's and SciPy's import."""
    code = "import sys\nfrom mnist_cnn.course.cli import main\n"
    code += f"code = main(['predict', {str(PICTURES / '7-inverted.png')!r}])\n"
    code += "assert not {'tensorflow', 'keras', 'h5py'} & {*sys.modules}\nsys.exit(code)"
    command = [sys.executable, "-c", code]
    # Threads that only wait for work would count as work.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, capture_output=True, check=True)
    started = os.times()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    ended = os.times()
    assert done.stdout.split(": ")[1].startswith("7, probability 0.")
    used = ended.children_user + ended.children_system
    assert used - started.children_user - started.children_system < 1


def test_every_picture_is_read_as_keras_reads_it(capsys):
    from mnist_cnn.pictures import digits_from_image

    model, _ = networks.load("best")
    for path in sorted(PICTURES.glob("[0-9]*.png")):
        _, inputs = digits_from_image(path)
        expected = evaluation.predict_scores(model, inputs)
        scores = forward.predict(networks.read("best"), inputs)
        assert np.abs(scores - expected).max() < 1e-5
        assert "".join(map(str, scores.argmax(axis=1))) == path.stem.partition("-")[0]
