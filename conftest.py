"""Loads the notebook checker, whichever notebook or folder pytest is called for."""

pytest_plugins = ["mnist_cnn.course.check.plugin"]
