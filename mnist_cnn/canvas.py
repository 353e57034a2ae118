"""A canvas in the notebook: draw a digit, see what becomes of it and what the network answers."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from IPython import get_ipython
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from mnist_cnn import pictures, plots

SIDE, PEN = 280, 20  # of the paper and of the pen's tip, in pixels; canvas.js has the same
EXAMPLE = [  # a 5, and a stroke that the border cuts off: (x, y) in hundredths of the paper
    [(27, 21), (24, 38), (34, 36), (44, 39), (50, 49), (47, 59), (41, 64), (33, 65), (23, 61)],
    [(27, 21), (50, 19)],
    [(82, 100), (87, 86), (100, 84)],
]


class DigitCanvas(anywidget.AnyWidget):
    """A paper to draw a digit on with mouse, finger, pen or keys, and its reading beside it.

    The browser sends the strokes, Python draws and reads them. Where no browser takes part, as on
    a printed page, a figure of the same reading is shown.

    Parameters
    ----------
    read : callable
        Takes (1, 28, 28, 1) float32, 0 (background) to 1 (ink), and returns (1, 10) scores of the
        network "best".

    Attributes
    ----------
    strokes : list of lists of [x, y]
        From 0 to 1, counted from the upper left corner; empty until something is drawn.
    """

    _esm = Path(__file__).parent / "assets" / "canvas.js"
    _css = Path(__file__).parent / "assets" / "canvas.css"
    strokes: traitlets.List = traitlets.List().tag(sync=True)
    example = traitlets.List([[[x / 100, y / 100] for x, y in s] for s in EXAMPLE]).tag(sync=True)
    reading: traitlets.Dict = traitlets.Dict().tag(sync=True)

    def __init__(self, read: Callable[[np.ndarray], np.ndarray]) -> None:
        self._read = read
        super().__init__()
        self._update()

    @property
    def image(self) -> np.ndarray:
        """The drawing, (280, 280) uint8, 0 (ink) or 255 (paper); without strokes a prepared 5."""
        paper = Image.new("L", (SIDE, SIDE), 255)
        draw = ImageDraw.Draw(paper)
        for stroke in self.strokes or self.example:
            points = [(SIDE * x, SIDE * y) for x, y in stroke]
            draw.line(points, 0, PEN, joint="curve")
            for point in points[0], points[-1]:
                draw.circle(point, PEN / 2, 0)
        return np.asarray(paper)

    @traitlets.observe("strokes")
    def _update(self, change: object = None) -> None:
        self._steps: dict[str, np.ndarray] = {"the drawing": self.image / 255}
        self._probabilities = np.zeros(10)
        whose = "Your drawing" if self.strokes else "The prepared drawing"
        try:
            ink = pictures._find_ink(self.image)
            digit = pictures.digit_from_image(self.image)
        except ValueError as error:
            text = f"{whose} cannot be read: {error}."
        else:
            self._steps["its ink"] = 1 - ink / ink.max()
            self._steps["cropped"] = 1 - pictures._crop(ink) / ink.max()
            self._steps["to the network"] = 1 - digit[..., 0]
            self._probabilities = pictures.probabilities(self._read(digit[np.newaxis]))[0]
            answer = self._probabilities.argmax()
            text = f"{whose} is read as {answer}, probability {self._probabilities[answer]:.2f}."
        self.reading = {
            "text": text,
            "probabilities": self._probabilities.tolist(),
            "steps": [[title, _address(grey)] for title, grey in self._steps.items()],
        }

    def _figure(self) -> Figure:
        figure = Figure(figsize=(9.5, 2.6))
        *panels, bars = figure.subplots(1, len(self._steps) + 1)
        for ax, (title, grey) in zip(panels, self._steps.items(), strict=True):
            ax.imshow(grey, cmap="gray", vmin=0, vmax=1)
            ax.set_title(title, fontsize=12)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(True)
        bars.barh(range(10), self._probabilities, color=plots.COLORS[0])
        bars.set(yticks=range(10), xticks=[0, 1], xlim=(0, 1), ylim=(9.6, -0.6))
        bars.set_title("probability", fontsize=12)
        return figure

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        shown, sizes = get_ipython().display_formatter.format(self._figure(), ["image/png"])
        return data | shown | {"text/plain": self.reading["text"]}, metadata | sizes


def _address(grey: np.ndarray) -> str:
    """Return grey levels, 0 (black) to 1 (white), as the address of a PNG."""
    file = io.BytesIO()
    Image.fromarray(np.round(255 * grey).astype("uint8")).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
