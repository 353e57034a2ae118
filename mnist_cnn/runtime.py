"""What must be settled before anything is computed: environment and seed."""

import contextlib
import functools
import importlib
import os
from collections.abc import Iterator
from types import ModuleType

DEFAULTS = {
    "KERAS_BACKEND": "tensorflow",
    # Level 2 still lets through messages about TensorFlow's own graph rewriting, now and then, in a
    # process that trains more than once.
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # TensorFlow turns oneDNN on by itself only on CPUs with AVX-512; training is twice as fast.
    "TF_ENABLE_ONEDNN_OPTS": "1",
}


def set_environment() -> None:
    """Set the variables that TensorFlow reads while it loads; the caller's own values win."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


@functools.cache
def load_tensorflow() -> ModuleType:
    """Import TensorFlow without its start-up messages, and without the tuning of its input.

    Some of the messages are written to file descriptor 2 before TensorFlow's own log level counts
    (tensorflow issue 100442), so the descriptor points elsewhere while the library loads and
    looks for its devices.

    A thread of ``tf.data`` tunes what feeds `fit` and `predict`. It sleeps in between, twice as
    long each time, up to a minute, and in TensorFlow 2.21 the end of an epoch often waits for it:
    an epoch of 13 seconds takes 20.5. Small images in memory need no tuning.

    Returns
    -------
    module
        ``tensorflow``.
    """
    with stderr_silenced():
        tensorflow = importlib.import_module("tensorflow")
        tensorflow.config.list_logical_devices()

    class Options(tensorflow.data.Options):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.autotune.enabled = False

    tensorflow.data.Options = Options
    return tensorflow


@contextlib.contextmanager
def stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 elsewhere, for what C code writes to it."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def set_seed(seed: int) -> None:
    """Make the run that follows repeatable, bit for bit, on this machine.

    Seeds Python, NumPy and Keras, and tells TensorFlow to use deterministic operations only.

    Parameters
    ----------
    seed : int
        0 to 4294967295.

    Raises
    ------
    ValueError
        If `seed` is not an integer in that range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to {2**32 - 1}, not {seed!r}")
    tensorflow = load_tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()
