"""A reference network's forward pass in NumPy: what chapter 03 does by hand, for many images.

The command `mnist-cnn predict` reads digits with it, since TensorFlow takes seconds to load. Each
function but `predict` is one layer; it takes and returns float32, and gives what Keras gives to
1e-5.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from mnist_cnn import evaluation
from mnist_cnn.networks import Network


def convolution(
    images: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | float = 0.0,
    padding: str = "valid",
) -> np.ndarray:
    """Slide a square window over the images: sum of kernel times pixels, plus bias, per filter.

    Parameters
    ----------
    images : (n, height, width, channels)
    kernel : (size, size, channels, filters)
    bias : (filters,) or 0
    padding : {"valid", "same"}
        "same" surrounds the images with zeros, so that height and width stay.

    Returns
    -------
    (n, height', width', filters)

    Examples
    --------
    >>> image, kernel = np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))
    >>> convolution(image, kernel, bias=0.5)[0, :, :, 0]
    array([[4.5, 4.5],
           [4.5, 4.5]])
    """
    size = len(kernel)
    if padding == "same":
        before = (size - 1) // 2
        border = (before, size - 1 - before)
        images = np.pad(images, ((0, 0), border, border, (0, 0)))
    height, width = (side - size + 1 for side in images.shape[1:3])
    # For each place in the window: what all windows have there, times the weights of that place.
    products = (
        images[:, row : row + height, column : column + width] @ kernel[row, column]
        for row, column in np.ndindex(size, size)
    )
    return sum(products) + bias


def max_pooling(maps: np.ndarray, size: int = 2) -> np.ndarray:
    """Keep the largest number of each block of `size` × `size`; an incomplete block is dropped.

    Examples
    --------
    >>> max_pooling(np.arange(16).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5,  7],
           [13, 15]])
    """
    n, height, width, channels = maps.shape
    rows, columns = height // size, width // size
    whole = maps[:, : rows * size, : columns * size]
    return whole.reshape(n, rows, size, columns, size, channels).max(axis=(2, 4))


def batch_normalization(
    values: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    epsilon: float = 1e-3,
) -> np.ndarray:
    """Normalise each channel by the mean and variance that were kept in training."""
    return gamma * (values - mean) / np.sqrt(variance + np.float32(epsilon)) + beta


def dense(features: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Weigh all features for each unit: (n, features) times (features, units), plus bias."""
    return features @ kernel + bias


def relu(values: np.ndarray) -> np.ndarray:
    """Set what is negative to 0."""
    return np.maximum(values, 0)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Squeeze each number into 0 to 1, by itself."""
    return 1 / (1 + np.exp(-logits))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Turn each row into shares that sum to 1.

    Examples
    --------
    >>> softmax(np.log([[1, 3, 6]])).round(3)
    array([[0.1, 0.3, 0.6]])
    """
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


ACTIVATIONS = {"relu": relu, "sigmoid": sigmoid, "softmax": softmax}


def predict(network: Network, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
    """Return the ten scores of each image, without Keras.

    Parameters
    ----------
    network : Network
        As `networks.read` returns it.
    images : (n, 28, 28, 1) float32, 0 to 1
    batch_size : int
        Images at a time.

    Returns
    -------
    (n, 10) float32
        Equal to Keras's to 1e-5.

    Raises
    ------
    ValueError
        If `images` does not have that shape or is not float32.

    Examples
    --------
    >>> from mnist_cnn import data, networks, preprocess
    >>> _, (images, labels) = data.load_mnist()
    >>> predict(networks.read("best"), preprocess.prepare(images[:5])).argmax(axis=1)
    array([7, 2, 1, 0, 4])
    """
    through_all = partial(_pass_on, network.card["layers"], network.weights)
    return evaluation.in_batches(through_all, images, batch_size)


def _pass_on(
    layers: Sequence[Mapping], weights: Sequence[np.ndarray], values: np.ndarray
) -> np.ndarray:
    """Pass values through all layers; a layer's "class" is Keras's name of it."""
    rest = iter(weights)
    for layer in layers:
        match layer["class"]:
            case "Conv2D":
                kernel, bias = next(rest), next(rest) if layer["use_bias"] else 0
                values = convolution(values, kernel, bias, layer["padding"])
            case "MaxPooling2D":
                values = max_pooling(values, layer["pool_size"][0])
            case "BatchNormalization":
                gamma, beta, mean, variance = (next(rest) for _ in range(4))
                values = batch_normalization(values, gamma, beta, mean, variance)
            case "Flatten":
                values = values.reshape(len(values), -1)
            case "Dense":
                values = dense(values, next(rest), next(rest))
        if activation := ACTIVATIONS.get(layer["activation"]):
            values = activation(values)
    return values
