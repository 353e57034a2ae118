"""The networks of the series: the article's, and a better one."""

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
