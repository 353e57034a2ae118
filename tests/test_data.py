import hashlib
import shutil
import struct
import time

import numpy as np
import pytest

from mnist_cnn import data
from tests.test_runtime import run_python

# The widely published checksums of the four uncompressed originals.
IDX_MD5 = {
    ("train", "images"): "6bbc9ace898e44ae57da46a324031adb",
    ("train", "labels"): "a25bea736e30d166cdddb491f175f624",
    ("test", "images"): "2646ac647ad5339dbf082846283269ea",
    ("test", "labels"): "27ae3e4e09519cfbb04c329615203637",
}


def idx_bytes(array):
    """Write a uint8 array as the original files have it: magic number, sizes, bytes."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize(("part", "kind"), IDX_MD5)
def test_the_arrays_are_the_originals(mnist, part, kind):
    array = mnist[part == "test"][kind == "labels"]
    assert hashlib.md5(idx_bytes(array)).hexdigest() == IDX_MD5[part, kind]


def test_shapes_and_dtypes(mnist):
    (x_train, y_train), (x_test, y_test) = mnist
    assert [a.shape for a in (x_train, y_train)] == [(60000, 28, 28), (60000,)]
    assert [a.shape for a in (x_test, y_test)] == [(10000, 28, 28), (10000,)]
    assert {a.dtype for pair in mnist for a in pair} == {np.dtype("uint8")}
    assert y_train[:5].tolist() == [5, 0, 4, 1, 9]


def test_what_the_data_card_says_of_the_images(mnist):
    card = (data.PATH.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(data.PATH.read_bytes()).hexdigest() in card
    assert all(checksum in card for checksum in (data.SHA256, *IDX_MD5.values()))
    arrays = [array for pair in mnist for array in pair]
    assert all(data.checksum(array) in card for array in arrays)
    images = np.concatenate([arrays[0], arrays[2]])
    assert len({image.tobytes() for image in images}) == 70_000, "no image comes twice"
    for share in np.bincount(arrays[1]), np.bincount(arrays[3]):
        assert " | ".join(f"{count:,}" for count in share) in card


def test_loading_takes_less_than_a_second():
    times = []
    for _ in range(3):
        started = time.process_time()
        data.load_mnist()
        times.append(time.process_time() - started)
    assert min(times) < 1


def test_no_tensorflow_no_network_no_home():
    code = """
import socket, sys
def refuse(*args, **kwargs): raise OSError("no network")
socket.socket = socket.create_connection = refuse
from mnist_cnn import data
data.load_mnist()
print({"tensorflow", "keras"} & set(sys.modules))
"""
    run = run_python(code, HOME="/nowhere", XDG_CACHE_HOME="/nowhere", KERAS_HOME="/nowhere")
    assert (run.stdout, run.stderr) == ("set()\n", "")


def flipped_byte(path):
    with path.open("r+b") as file:
        file.seek(5_000_000)
        byte = file.read(1)[0]
        file.seek(5_000_000)
        file.write(bytes([byte ^ 1]))


def truncated(path):
    with path.open("r+b") as file:
        file.truncate(5_000_000)


def other_arrays(path):
    np.savez(path, x_train=np.zeros(3), y_train=[1], x_test=[2], y_test=[3])


def too_few_arrays(path):
    np.savez(path, x_train=np.zeros(3))


def a_text(path):
    path.write_text("<html>404 Not Found</html>")


def empty(path):
    path.write_bytes(b"")


def a_single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def missing(path):
    path.unlink()


DAMAGES = [
    flipped_byte,
    truncated,
    other_arrays,
    too_few_arrays,
    a_text,
    empty,
    a_single_array,
    missing,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gets_one_sentence(damage, tmp_path, monkeypatch):
    copy = tmp_path / "mnist.npz"
    shutil.copy(data.PATH, copy)
    copy.chmod(0o644)
    damage(copy)
    monkeypatch.setattr(data, "PATH", copy)
    with pytest.raises(RuntimeError, match=r"missing or damaged .* install the package again") as e:
        data.load_mnist()
    assert str(copy) in str(e.value) and "\n" not in str(e.value)
