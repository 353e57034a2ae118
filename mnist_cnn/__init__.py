"""Helpers for the notebook series: handwritten digits with a small convolutional network.

Read the modules in the order in which the data flows:

``runtime``      the environment and the seed, before anything is computed
``language``     what `check` and the command speak
``data``         MNIST, from a file in this package
``preprocess``   one-hot labels, the channel axis, grey levels from 0 to 1
``augmentation`` digits moved, turned, zoomed and slanted
``model``        the article's network and a better one
``recipes``      all that decides a training run
``progress``     what a training shows
``training``     a recipe followed, batch by batch
``evaluation``   predictions and mistakes
``networks``     the reference networks: the same for every reader
``pictures``     photographs and drawings become network input
``plots``        the figures
``canvas``       a paper in the notebook, to draw a digit on
``exercises``    `check`, and ``answers``, what it knows

The workshop, ``course``, makes, checks and hands out the chapters; no lesson imports it. Importing
the package is cheap: TensorFlow loads when something first needs it.
"""

from mnist_cnn import runtime

__version__ = "0.1.0"

runtime.set_environment()
