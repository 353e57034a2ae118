"""The data set: MNIST, shipped inside the package."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PATH = Path(__file__).parent / "assets" / "mnist.npz"
SHA256 = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"

Arrays = tuple[np.ndarray, np.ndarray]


def load_mnist() -> tuple[Arrays, Arrays]:
    """Load MNIST as ``keras.datasets.mnist.load_data()`` does, from a file in this package.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x_train`` (60000, 28, 28) and ``x_test`` (10000, 28, 28): uint8, 0 (background) to 255
        (ink). ``y_train`` (60000,) and ``y_test`` (10000,): uint8, 0 to 9. Original order.

    Raises
    ------
    RuntimeError
        If the file is missing or its arrays do not have the known SHA-256.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_mnist()
    >>> x_train.shape, y_train[:3], len(x_test)
    ((60000, 28, 28), array([5, 0, 4], dtype=uint8), 10000)

    References
    ----------
    Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits"; see
    ``assets/README.md``.
    """
    with intact(f"the data set {PATH}", f"its SHA-256 is not {SHA256[:12]}…"):
        with np.load(PATH) as archive:
            names = ("x_train", "y_train", "x_test", "y_test")
            x_train, y_train, x_test, y_test = arrays = [archive[name] for name in names]
        if checksum(*arrays) != SHA256:
            raise ValueError
    return (x_train, y_train), (x_test, y_test)


def checksum(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays' bytes, one array after the other, as 64 hex digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@contextlib.contextmanager
def intact(what: str, fault: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading a file of this package into one RuntimeError.

    `what` names the file, `fault` says what is wrong if its content is.
    """
    try:
        yield
    except Exception as error:  # a damaged archive raises nearly anything
        raise RuntimeError(
            f"{what} is missing or damaged ({fault}): "
            "install the package again with 'pip install --force-reinstall --no-deps .'"
        ) from error
