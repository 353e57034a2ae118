"""The examples in the docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import mnist_cnn

MODULES = [m.name for m in pkgutil.iter_modules(mnist_cnn.__path__) if not m.ispkg]


@pytest.mark.parametrize("name", sorted({*MODULES, "course.forward"} - {"__main__"}))
def test_the_examples_of_a_module_are_true(name):
    module = importlib.import_module(f"mnist_cnn.{name}")
    assert doctest.testmod(module).failed == 0
