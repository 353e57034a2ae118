"""What a training shows: a live bar that leaves nothing behind, and a table of its history."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

History = dict[str, list[float]]


def progress_bar() -> keras.callbacks.Callback:
    """Return a Keras callback that shows a live bar and leaves nothing behind.

    In a notebook the bar is one display that is emptied at the end, so that the recorded output
    does not depend on the reader's clock; in a terminal it is one line that is wiped. Where
    neither is at hand (a log file) nothing is shown.
    """
    import keras

    class ProgressBar(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict | None = None) -> None:
            self.show = _live_line()
            self.started, self.shown, self.done = time.monotonic(), 0.0, 0

        def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.done += 1
            now = time.monotonic()
            if now - self.shown < 0.25:
                return
            self.shown = now
            epochs, steps = self.params["epochs"], self.params["steps"]
            epoch = -(-self.done // steps)
            share = self.done / (epochs * steps)
            seconds = now - self.started
            bar = ("█" * round(30 * share)).ljust(30, "░")
            # The first steps also wait for the network to be compiled: they foretell nothing.
            left = f", {seconds / share - seconds:.0f} s to go" if self.done > 20 else ""
            self.show(
                f"epoch {epoch}/{epochs} {bar} {share:4.0%} · loss {logs['loss']:.4f} · "
                f"accuracy {logs['accuracy']:.4f} · {seconds:.0f} s{left}"
            )

        def on_train_end(self, logs: dict | None = None) -> None:
            self.show("")

    return ProgressBar()


def _live_line() -> Callable[[str], None]:
    """Return a function that shows a line over the last one; an empty one wipes it."""
    if "ipykernel" in sys.modules:
        from IPython.display import display

        handle = display({"text/plain": ""}, raw=True, display_id=True)
        if handle:  # there is none where ipykernel is loaded, but is not what runs us
            return lambda text: handle.update({"text/plain": text}, raw=True)
    if sys.stderr.isatty():
        return lambda text: print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    return lambda text: None


def print_history(history: History) -> None:
    """Print a training history, lists of equal length, as a table: a row an epoch.

    Examples
    --------
    >>> print_history({"accuracy": [0.5, 0.98765], "loss": [1.25, 0.03125]})
    epoch      accuracy          loss
        1        0.5000        1.2500
        2        0.9877        0.0312
    """
    names = list(history)
    print("epoch  " + "  ".join(f"{name:>12}" for name in names))
    for epoch, values in enumerate(zip(*history.values(), strict=True), start=1):
        print(f"{epoch:5d}  " + "  ".join(f"{value:12.4f}" for value in values))
