import numpy as np
import pytest

from mnist_cnn import preprocess


def test_argmax_undoes_one_hot(mnist):
    for _, labels in mnist:
        rows = preprocess.one_hot(labels)
        assert rows.shape == (len(labels), 10) and rows.dtype == np.float32
        assert np.array_equal(rows.argmax(axis=1), labels)
        assert np.array_equal(np.unique(rows), [0, 1]) and (rows.sum(axis=1) == 1).all()


def test_one_hot_equals_keras(mnist, keras):
    labels = mnist[0][1]
    assert np.array_equal(preprocess.one_hot(labels), keras.utils.to_categorical(labels))


def test_one_hot_of_nothing():
    assert preprocess.one_hot(np.empty(0, int)).shape == (0, 10)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1.0, 2.0], "1-d array of integers, not float64 of shape (2,)"),
        ([[1], [2]], "1-d array of integers, not int64 of shape (2, 1)"),
        ([True], "1-d array of integers, not bool"),
        ([3, 10], "from 0 to 9, not from 3 to 10"),
        ([-1, 2], "from 0 to 9, not from -1 to 2"),
    ],
)
def test_one_hot_refuses(labels, message):
    with pytest.raises(ValueError) as error:
        preprocess.one_hot(np.array(labels))
    assert message in str(error.value)


def test_normalize_is_the_division_rounded_once():
    levels = np.arange(256, dtype=np.uint8)
    scaled = preprocess.normalize(levels)
    assert scaled.dtype == np.float32
    assert np.array_equal(scaled, (levels / 255).astype(np.float32))
    assert (scaled[0], scaled[-1]) == (0, 1)
    assert np.array_equal(np.rint(scaled * 255), levels), "no level is lost"


@pytest.mark.parametrize("dtype", [float, int, bool])
def test_normalize_refuses_what_may_be_normalised_already(dtype):
    with pytest.raises(ValueError, match=r"^images must be uint8 \(0 to 255\), not "):
        preprocess.normalize(np.zeros((2, 28, 28), dtype))


def test_prepare_normalizes_adds_the_channel_and_leaves_its_input_alone(mnist):
    images = mnist[1][0][:100]
    before = images.copy()
    prepared = preprocess.prepare(images)
    assert prepared.shape == (100, 28, 28, 1) and prepared.dtype == np.float32
    assert np.array_equal(prepared[..., 0], preprocess.normalize(images))
    assert np.array_equal(images, before)


@pytest.mark.parametrize("shape", [(28, 28), (5, 28, 28, 1)])
def test_prepare_refuses(shape):
    with pytest.raises(ValueError, match=r"^images must have shape \(n, height, width\), not \("):
        preprocess.prepare(np.zeros(shape, "uint8"))
