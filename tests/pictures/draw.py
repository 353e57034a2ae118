"""Draw the example pictures of this folder: digits as people might send them.

    python tests/pictures/draw.py

Every file is named after the digits it shows.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

FOLDER = Path(__file__).parent
# Strokes on a square of 100 × 100: lists of points, each list one stroke of the pen.
STROKES = {
    "0": [[(50, 8), (30, 18), (22, 50), (30, 82), (50, 92), (70, 82), (78, 50), (70, 18), (50, 8)]],
    "1": [[(52, 6), (50, 94)]],
    "2": [[(26, 28), (36, 12), (56, 8), (72, 20), (70, 42), (48, 66), (24, 90), (78, 88)]],
    "3": [
        [(26, 14), (50, 6), (70, 18), (66, 38), (44, 46)],
        [(44, 46), (68, 54), (76, 74), (56, 92), (28, 88)],
    ],
    "4": [[(34, 8), (24, 54), (78, 52)], [(66, 10), (60, 94)]],
    "5": [
        [(32, 20), (29, 46), (54, 42), (72, 58), (68, 80), (48, 92), (24, 84)],
        [(42, 6), (76, 4)],
    ],
    "6": [[(64, 6), (38, 32), (26, 66), (38, 90), (60, 90), (70, 72), (58, 56), (34, 62)]],
    "7": [[(24, 12), (76, 10), (44, 92)]],
    "8": [
        [(50, 48), (32, 34), (36, 14), (54, 8), (68, 18), (64, 36), (50, 48)],
        [(50, 48), (30, 66), (32, 86), (52, 94), (72, 84), (70, 64), (50, 48)],
    ],
    "9": [[(70, 30), (52, 46), (32, 36), (34, 16), (54, 8), (70, 30), (66, 92)]],
}


def draw(
    picture: Image.Image, digit: str, left: float, top: float, height: float, pen: int, ink: int
) -> None:
    """Draw one digit with a round pen into a PIL picture, in place."""
    brush = ImageDraw.Draw(picture)
    for stroke in STROKES[digit]:
        points = [(left + x * height / 100, top + y * height / 100) for x, y in stroke]
        brush.line(points, ink, pen, joint="curve")
        for x, y in (points[0], points[-1]):
            brush.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), ink)


def sheet(
    digits: str,
    size: tuple[int, int] = (200, 200),
    place: tuple[int, int] = (50, 50),
    height: int = 100,
    pen: int = 10,
    ink: int = 0,
    paper: int = 255,
    step: int = 80,
) -> Image.Image:
    """Return a grey picture of digits in a row, drawn large and reduced for smooth edges."""
    large = Image.new("L", (4 * size[0], 4 * size[1]), paper)
    for index, digit in enumerate(digits):
        left = 4 * (place[0] + index * step)
        draw(large, digit, left, 4 * place[1], 4 * height, 4 * pen, ink)
    return large.resize(size, Image.Resampling.BOX)


def photo(picture: Image.Image, seed: int = 0) -> Image.Image:
    """Return a grey picture as if photographed: soft, lit from one side, grainy."""
    grey = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), float)
    height, width = grey.shape
    light = np.linspace(0.65, 1, width) * np.linspace(1, 0.85, height)[:, np.newaxis]
    grey = (60 + grey * 0.6) * light
    grey += np.random.default_rng(seed).normal(0, 4, grey.shape)
    return Image.fromarray(grey.round().clip(0, 255).astype("uint8"))


def transparent(picture: Image.Image) -> Image.Image:
    """Return the picture's ink in blue on a transparent ground."""
    coloured = Image.new("RGBA", picture.size, (30, 60, 160, 0))
    coloured.putalpha(picture.point(lambda level: 255 - level))
    return coloured


def main() -> None:
    """Write every picture."""
    pictures = {
        "2-off-centre": sheet("2", (240, 180), (150, 6), 60, 7),
        "3-thin": sheet("3", pen=2),
        "8-thick": sheet("8", pen=20),
        "7-inverted": sheet("7", ink=255, paper=0),
        "4-rotated": sheet("4").rotate(12, Image.Resampling.BICUBIC, fillcolor=255),
        "0-tiny": sheet("0").resize((16, 16), Image.Resampling.BOX),
        "6-transparent": transparent(sheet("6")),
        "5-photo": photo(sheet("5", (180, 240), (30, 80), 110, 9)),
        "blank": photo(Image.new("L", (160, 120), 255)),
        "1740359-row": photo(sheet("1740359", (600, 140), (5, 25), 85, 9)),
    }
    for name, picture in pictures.items():
        picture.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
