"""Draw digits in the surroundings that people bring them in: a function for each kind."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.pictures.draw import photo, sheet

SIDE = 200
Y, X = np.mgrid[:SIDE, :SIDE]
Area = slice | tuple[slice, ...]
Kind = Callable[[str, np.random.Generator], np.ndarray | Image.Image]


def draw(digit: str, rng: np.random.Generator, paper: int = 255, ink: int = 0) -> np.ndarray:
    """Return grey levels, (200, 200) float64: a digit near the middle."""
    left, top = 50 + rng.integers(-12, 13, 2)
    pen, height = int(rng.integers(6, 13)), int(rng.integers(85, 111))
    drawn = sheet(digit, (SIDE, SIDE), (left, top), height, pen, ink, paper)
    return np.asarray(drawn, "float64")


def _paint(grey: np.ndarray, level: float, *areas: Area) -> np.ndarray:
    """Paint areas over, in place."""
    for area in areas:
        grey[area] = level
    return grey


def _turned(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the picture turned by a multiple of 90°, so that each side has its turn."""
    return np.rot90(grey, int(rng.integers(4)))


def _beside(digit: str, rng: np.random.Generator, *areas: Area) -> np.ndarray:
    """Draw dark areas on any side of a digit."""
    drawn = draw(digit, rng, 230, 30)
    dark = _turned(_paint(np.zeros((SIDE, SIDE)), 1, *areas), rng)
    return np.where(dark, rng.integers(0, 70), drawn)


def _edge_line(digit: str, rng: np.random.Generator) -> np.ndarray:
    return _beside(digit, rng, np.s_[: rng.integers(1, 5)])


def _corner_object(digit: str, rng: np.random.Generator) -> np.ndarray:
    return _beside(digit, rng, np.s_[: rng.integers(15, 35), : rng.integers(15, 35)])


def _neighbour(digit: str, rng: np.random.Generator) -> np.ndarray:
    top = int(rng.integers(40, 80))
    return _beside(digit, rng, np.s_[top : top + 60, : rng.integers(3, 8)])


def _dark_strip(digit: str, rng: np.random.Generator) -> np.ndarray:
    depth = np.clip(rng.uniform(40, 70) - 4 * Y, 0, None)
    return draw(digit, rng, 200, 120) - _turned(depth, rng)


def _printed_box(digit: str, rng: np.random.Generator) -> np.ndarray:
    grey, near, width = draw(digit, rng), int(rng.integers(3, 16)), int(rng.integers(1, 5))
    inside = np.s_[near + width : SIDE - near - width]
    box = _paint(np.zeros((SIDE, SIDE)), 1, (np.s_[near : SIDE - near],) * 2)
    return np.where(_paint(box, 0, (inside, inside)), 0, grey)


def _frame(digit: str, rng: np.random.Generator) -> np.ndarray:
    inside = np.s_[(width := int(rng.integers(1, 6))) : SIDE - width]
    dark = _paint(np.ones((SIDE, SIDE)), 0, (inside, inside))
    return np.where(dark, rng.integers(0, 60), draw(digit, rng))


def _axes(digit: str, rng: np.random.Generator) -> np.ndarray:
    first, last = int(rng.integers(5, 20)), int(rng.integers(180, 195))
    upright, level = np.s_[first:last, first : first + 2], np.s_[last - 2 : last, first:last]
    return _paint(draw(digit, rng), 0, upright, level)


def _sudoku(digit: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a cell with a small note in its corner, between lines of two strengths that run on."""
    thick, thin, near = int(rng.integers(5, 9)), int(rng.integers(1, 4)), int(rng.integers(4, 14))
    ends = np.s_[near : near + thick], np.s_[SIDE - near - thin : SIDE - near]
    lines = _paint(np.zeros((SIDE, SIDE)), 1, *ends, *(np.s_[:, end] for end in ends))
    note = np.asarray(sheet(str(rng.integers(10)), (SIDE, SIDE), (30, 28), 28, 3), "float64")
    return np.where(_turned(lines, rng), 20, np.minimum(draw(digit, rng), note))


def _bright_strips(digit: str, rng: np.random.Generator) -> np.ndarray:
    width = int(rng.integers(1, 5))
    return _paint(draw(digit, rng, 130, 45), 255, np.s_[:, :width], np.s_[:, -width:])


def _vignette(digit: str, rng: np.random.Generator) -> np.ndarray:
    distance = ((X - 100) ** 2 + (Y - 100) ** 2) / 20_000
    return draw(digit, rng, 200, 80) * (1 - rng.uniform(0.25, 0.45) * distance)


def _shadow(digit: str, rng: np.random.Generator) -> np.ndarray:
    fall = np.interp(Y, [90, rng.uniform(130, 180)], [1, rng.uniform(0.45, 0.7)])
    return draw(digit, rng, 200, 70) * _turned(fall, rng)


def _hand_shadow(digit: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a fist and an arm between the lamp and the paper."""
    x, y, radius = rng.uniform(60, 140), rng.uniform(80, 120), rng.uniform(30, 60)
    hand = (np.hypot(X - x, Y - y) < radius) | ((abs(X - x) < radius / 1.6) & (y < Y))
    shade = gaussian_filter(_turned(hand, rng).astype(float), rng.uniform(3, 6))
    return draw(digit, rng, 200, 60) * (1 - rng.uniform(0.3, 0.45) * shade)


def _ruled(digit: str, rng: np.random.Generator) -> np.ndarray:
    first, step = int(rng.integers(4, 20)), int(rng.integers(24, 33))
    lines: list[Area] = [np.s_[y : y + 2] for y in range(first, SIDE, step)]
    return _paint(draw(digit, rng, 245, 30), int(rng.integers(160, 200)), *lines)


def _squared(digit: str, rng: np.random.Generator) -> np.ndarray:
    first, step = int(rng.integers(4, 15)), int(rng.integers(17, 25))
    lines = np.s_[first::step], np.s_[:, first::step]
    return _paint(draw(digit, rng, 250, 20), int(rng.integers(175, 200)), *lines)


def _underlined(digit: str, rng: np.random.Generator) -> np.ndarray:
    y, x = int(rng.integers(175, 190)), int(rng.integers(5, 35))
    return _paint(draw(digit, rng), 0, np.s_[y : y + rng.integers(2, 6), x : SIDE - x])


def _touching(digit: str, rng: np.random.Generator) -> np.ndarray:
    """Cut the picture where the digit begins and ends, but for the sides of a narrow 1."""
    grey = draw(digit, rng, 200, 70)
    rows, columns = (np.flatnonzero((grey < 100).any(axis=axis)) for axis in (1, 0))
    sides = columns[[0, -1]] if len(columns) > 30 else (0, SIDE - 1)
    return grey[rows[0] : rows[-1] + 1, sides[0] : sides[1] + 1]


def _white_on_nothing(digit: str, rng: np.random.Generator) -> Image.Image:
    canvas = Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 0))
    canvas.putalpha(Image.fromarray(255 - draw(digit, rng).astype("uint8")))
    return canvas


def _photograph(digit: str, rng: np.random.Generator) -> np.ndarray:
    grey = Image.fromarray(draw(digit, rng).astype("uint8"))
    return np.asarray(photo(grey, int(rng.integers(1000))), "float64")


def _two_lines(digits: str, rng: np.random.Generator) -> Image.Image:
    """Draw six digits, three in a line."""
    rows = (digits[:3], digits[3:])
    lines = [sheet(row, (270, 120), (15, int(rng.integers(8, 30))), 80, 8) for row in rows]
    page = Image.fromarray(np.vstack([np.asarray(line) for line in lines]))
    return page.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=255)


KINDS: dict[str, Kind] = {
    "plain": draw,
    "photograph": _photograph,
    "shadow": _shadow,
    "shadow of a hand": _hand_shadow,
    "vignette": _vignette,
    "ruled paper": _ruled,
    "squared paper": _squared,
    "underlined": _underlined,
    "printed box": _printed_box,
    "frame": _frame,
    "axes of a plot": _axes,
    "cell of a sudoku": _sudoku,
    "line at an edge": _edge_line,
    "dark strip": _dark_strip,
    "bright strips": _bright_strips,
    "object in a corner": _corner_object,
    "cut-off neighbour": _neighbour,
    "touching the border": _touching,
    "white on nothing": _white_on_nothing,
    "two lines": _two_lines,
}


def picture(kind: str, digits: str, rng: np.random.Generator) -> Image.Image:
    """Return one picture of a kind, in grey or RGBA."""
    drawn = KINDS[kind](digits, rng)
    if isinstance(drawn, Image.Image):
        return drawn
    return Image.fromarray(drawn.round().clip(0, 255).astype("uint8"))
