"""Fixtures: the real data set, read once, and a TensorFlow that is loaded and seeded."""

import pytest

from mnist_cnn import data, runtime


@pytest.fixture(scope="session")
def mnist():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MNIST_CNN_QUICK", raising=False)
        return data.load_mnist()


@pytest.fixture
def keras():
    runtime.set_seed(0)
    import keras

    return keras
