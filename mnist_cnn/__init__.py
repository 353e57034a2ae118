"""Helpers for the notebook series: handwritten digits with a small convolutional network.

The modules stand in the order in which the data flows: ``runtime``, ``data``, ``preprocess``,
``model``, ``training``, ``evaluation``, ``plots``. Importing the package is cheap: TensorFlow
loads when something first needs it.
"""

from mnist_cnn import runtime

__version__ = "0.1.0"

runtime.set_environment()
