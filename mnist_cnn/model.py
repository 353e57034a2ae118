"""The networks of the series, and the arithmetic of their shapes and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mnist_cnn import runtime

if TYPE_CHECKING:
    import keras

INPUT_SHAPE = (28, 28, 1)


def build_model(output_activation: Literal["softmax", "sigmoid"] = "softmax") -> keras.Sequential:
    """Build the article's network: two convolutions, each pooled, then two dense layers.

    Parameters
    ----------
    output_activation : {"softmax", "sigmoid"}
        The article uses "sigmoid"; its ten scores do not sum to 1 (chapter 04).

    Returns
    -------
    keras.Sequential
        Not compiled; input (n, 28, 28, 1) float32 in 0–1, output (n, 10); 658,378 parameters.

    Raises
    ------
    ValueError
        If `output_activation` is neither of the two.

    Examples
    --------
    >>> build_model().count_params()
    658378
    """
    if output_activation not in ("softmax", "sigmoid"):
        raise ValueError(
            f"output_activation must be 'softmax' or 'sigmoid', not {output_activation!r}"
        )
    runtime.load_tensorflow()
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input(shape=INPUT_SHAPE),
            layers.Conv2D(filters=32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(filters=32, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dense(800, activation="relu"),
            layers.Dense(10, activation=output_activation),
        ]
    )


def build_better_model(dropout: float = 0.2) -> keras.Sequential:
    """Build the network of the recipe "best": five convolutions, each batch-normalised.

    Where a convolution is pooled, the pool comes first: the normalisation then has a quarter of
    the values to work on.

    Parameters
    ----------
    dropout : float
        Share (0 to below 1) of the last features that each training step leaves out.

    Returns
    -------
    keras.Sequential
        Not compiled; input (n, 28, 28, 1) float32 in 0–1, output (n, 10); 437,162 parameters.

    Examples
    --------
    >>> build_better_model().count_params()
    437162
    """
    runtime.load_tensorflow()
    from keras import Sequential, layers

    def block(filters: int, size: int, pool: bool = False, padding: str = "valid") -> list:
        convolution = layers.Conv2D(filters, size, padding=padding, use_bias=False)
        pooling = [layers.MaxPooling2D(2)] if pool else []
        return [convolution, *pooling, layers.BatchNormalization(), layers.ReLU()]

    return Sequential(
        [
            layers.Input(shape=INPUT_SHAPE),
            *block(32, 5, pool=True),
            *block(64, 3),
            *block(64, 3, pool=True),
            *block(128, 3, padding="same"),
            *block(256, 3),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(10, activation="softmax"),
        ]
    )


def conv_output_size(
    size: int, kernel_size: int, stride: int = 1, padding: Literal["valid", "same"] = "valid"
) -> int:
    """Return how many places a window takes along an axis; holds for convolution and pooling.

    "valid" gives ⌊(size − kernel_size) / stride⌋ + 1; "same" gives ⌈size / stride⌉.

    Parameters
    ----------
    size, kernel_size, stride : int
        Pixels, each at least 1.
    padding : {"valid", "same"}

    Returns
    -------
    int
        Output size in pixels.

    Raises
    ------
    ValueError
        If a number is below 1, a "valid" window is larger than the input, or `padding` is unknown.

    Examples
    --------
    >>> conv_output_size(28, 3), conv_output_size(11, 2, stride=2)
    (26, 5)

    References
    ----------
    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
    """
    if min(size, kernel_size, stride) < 1:
        raise ValueError(
            f"size, kernel_size and stride must be at least 1, not {size}, {kernel_size}, {stride}"
        )
    if padding == "same":
        return -(-size // stride)
    if padding != "valid":
        raise ValueError(f"padding must be 'valid' or 'same', not {padding!r}")
    if kernel_size > size:
        raise ValueError(f"a window of {kernel_size} pixels does not fit into {size} pixels")
    return (size - kernel_size) // stride + 1


def conv_parameters(kernel_size: int, channels: int, filters: int) -> int:
    """Return a convolution's parameter count: a square kernel a channel and a bias, per filter."""
    return (kernel_size * kernel_size * channels + 1) * filters


def dense_parameters(inputs: int, units: int) -> int:
    """Return a dense layer's parameter count: a weight an input and a bias, per unit."""
    return (inputs + 1) * units
