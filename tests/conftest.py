"""Fixtures: the real data set, read once, and a TensorFlow that is loaded and seeded."""

import pytest

from mnist_cnn import data, runtime
from tests import chromium


@pytest.fixture(scope="session")
def mnist():
    return data.load_mnist()


@pytest.fixture
def little_data(mnist, monkeypatch):
    """What trains or measures in this test does so on the first 600 and 1,000 digits."""
    (x_train, y_train), (x_test, y_test) = mnist
    few = (x_train[:600], y_train[:600]), (x_test[:1000], y_test[:1000])
    monkeypatch.setattr(data, "load_mnist", lambda: few)


@pytest.fixture
def keras():
    runtime.set_seed(0)
    import keras

    return keras


@pytest.fixture(scope="module")  # no longer: its event loop must not meet that of a kernel
def browser():
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def axe():
    """Return what gives a page's serious and critical faults of access, by axe-core."""
    script = chromium.axe_core()

    def faults(page):
        page.evaluate(script)
        options = "{ preload: false, resultTypes: ['violations'] }"
        found = page.evaluate(f"axe.run({options}).then(({{ violations }}) => violations)")
        return [
            f"{fault['id']}: {fault['nodes'][0]['html'][:200]} ({len(fault['nodes'])} in all)"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]

    return faults
