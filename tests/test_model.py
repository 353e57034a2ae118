import itertools

import numpy as np
import pytest

from mnist_cnn import model, preprocess


def test_the_articles_sizes_and_parameters(keras):
    network = model.build_model()
    shapes = [layer.output.shape[1:] for layer in network.layers]
    assert shapes == [
        (26, 26, 32),
        (13, 13, 32),
        (11, 11, 32),
        (5, 5, 32),
        (800,),
        (800,),
        (10,),
    ]
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [320, 9_248, 640_800, 8_010]
    assert network.count_params() == sum(counts) == 658_378


def test_the_better_networks_sizes_and_parameters(keras):
    network = model.build_better_model()
    sizes = [layer.output.shape[1:] for layer in network.layers if layer.weights]
    assert sizes == [
        *[(24, 24, 32), (12, 12, 32)],
        *[(10, 10, 64)] * 2,
        *[(8, 8, 64), (4, 4, 64)],
        *[(4, 4, 128)] * 2,
        *[(2, 2, 256)] * 2,
        (10,),
    ]
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [
        *[800, 128, 18_432, 256, 36_864, 256, 73_728, 512, 294_912, 1_024],
        10_250,
    ]
    assert network.count_params() == sum(counts) == 437_162


def test_parameter_formulas_equal_the_layers(keras):
    random = np.random.default_rng(0)
    for kernel, channels, filters, inputs, units in random.integers(1, 9, (10, 5)).tolist():
        conv = keras.layers.Conv2D(filters, kernel)
        conv.build((None, 9, 9, channels))
        assert conv.count_params() == model.conv_parameters(kernel, channels, filters)
        dense = keras.layers.Dense(units)
        dense.build((None, inputs))
        assert dense.count_params() == model.dense_parameters(inputs, units)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_output_activation(keras, mnist, activation):
    network = model.build_model(activation)
    scores = network(preprocess.prepare(mnist[1][0][:8])).numpy()
    assert scores.shape == (8, 10) and (scores >= 0).all() and (scores <= 1).all()
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5) is (activation == "softmax")


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"'softmax' or 'sigmoid', not 'relu'$"):
        model.build_model("relu")


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_conv_output_size_equals_the_layers(keras, padding):
    random = np.random.default_rng(1)
    for _ in range(25):
        kernel, stride = random.integers(1, 8, 2).tolist()
        size = int(random.integers(kernel, 30))
        expected = model.conv_output_size(size, kernel, stride, padding)
        image = np.zeros((1, size, size, 1), "float32")
        for layer in (
            keras.layers.Conv2D(1, kernel, stride, padding),
            keras.layers.MaxPooling2D(kernel, stride, padding),
        ):
            case = f"{layer.name}: size {size}, kernel {kernel}, stride {stride}, {padding}"
            assert layer(image).shape == (1, expected, expected, 1), case


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "at least 1, not 0, 3, 1"),
        ((28, 3, 0), "at least 1, not 28, 3, 0"),
        ((28, -3), "at least 1, not 28, -3, 1"),
        ((2, 3), "a window of 3 pixels does not fit into 2 pixels"),
        ((28, 3, 1, "full"), "'valid' or 'same', not 'full'"),
    ],
)
def test_conv_output_size_refuses(arguments, message):
    with pytest.raises(ValueError) as error:
        model.conv_output_size(*arguments)
    assert message in str(error.value)


def convolve(image, kernel, bias, stride, padding):
    """Convolve (height, width, channels) with (side, side, channels, filters), by the book."""
    side = kernel.shape[0]
    sizes = [model.conv_output_size(n, side, stride, padding) for n in image.shape[:2]]
    if padding == "same":
        # What is missing for the last window; the odd pixel goes below and to the right.
        missing = [
            max(0, (out - 1) * stride + side - n)
            for out, n in zip(sizes, image.shape, strict=False)
        ]
        image = np.pad(image, [*((m // 2, m - m // 2) for m in missing), (0, 0)])
    result = np.empty((*sizes, kernel.shape[3]))
    for row, column in np.ndindex(*sizes):
        top, left = row * stride, column * stride
        window = image[top : top + side, left : left + side]
        result[row, column] = np.tensordot(window, kernel, axes=3) + bias
    return result


CASES = list(itertools.product([1, 2, 3, 5], [1, 2, 3], ["valid", "same"]))


@pytest.mark.parametrize(("side", "stride", "padding"), CASES)
def test_a_convolution_by_hand_equals_keras(keras, mnist, side, stride, padding):
    random = np.random.default_rng([side, stride])
    # Three real digits as the channels, cut so that height and width differ.
    image = preprocess.normalize(np.stack(list(mnist[0][0][:3, :17]), axis=-1))
    layer = keras.layers.Conv2D(4, side, stride, padding, bias_initializer="random_normal")
    layer.build((None, *image.shape))
    kernel = random.normal(size=(side, side, 3, 4)).astype("float32")
    layer.set_weights([kernel, layer.get_weights()[1]])
    by_hand = convolve(image, *layer.get_weights(), stride, padding)
    np.testing.assert_allclose(layer(image[np.newaxis])[0], by_hand, atol=2e-5)
