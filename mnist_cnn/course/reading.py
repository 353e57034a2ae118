"""Pictures read: the digits in a file, how sure each is, and the picture with the answers drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from mnist_cnn import networks, pictures
from mnist_cnn.course import forward
from mnist_cnn.course.files import replacing
from mnist_cnn.language import translated

Probabilities = Callable[[np.ndarray], np.ndarray]

HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
SIDE = 600, 1600  # a picture with boxes is enlarged and reduced to sides between these, in pixels
COLOUR = "#D55E00"


class Digit(TypedDict):
    """One digit of a picture.

    `sure`: its probability is at least `pictures.THRESHOLD`; `box`: left, top, right and bottom in
    pixels of the upright picture; `line`: from 1, downwards.
    """

    digit: int
    probability: float
    sure: bool
    box: list[int]
    line: int


def best() -> Probabilities:
    """Return what the reference network 'best' reads with: NumPy, since TensorFlow loads slowly."""
    network = networks.read("best")
    return lambda images: pictures.probabilities(forward.predict(network, images))


def read(file: str, probabilities: Probabilities) -> list[Digit]:
    """Return the digits of a picture, line by line, from left to right.

    Parameters
    ----------
    file : str
        Path of the picture.
    probabilities : callable
        Takes (n, 28, 28, 1) float32, 0 to 1, and returns (n, 10) that sum to 1.

    Raises
    ------
    ValueError, OSError
        As `digits_from_image` does; a photograph as HEIC with a hint.
    """
    try:
        boxes, images = pictures.digits_from_image(file)
    except ValueError:
        if _is_heif(file):
            raise ValueError(
                translated(
                    "{file} is a HEIC photograph, which cannot be read here: export it as JPEG"
                ).format(file=file)
            ) from None
        raise
    width, height = _upright_size(file)
    corners = np.round(boxes * (width, height, width, height)).astype(int)
    lines = (pictures.line_numbers(boxes) + 1).tolist()
    return [
        Digit(
            digit=int(row.argmax()),
            probability=float(row.max()),
            sure=bool(row.max() >= pictures.THRESHOLD),
            box=box.tolist(),
            line=line,
        )
        for row, box, line in zip(probabilities(images), corners, lines, strict=True)
    ]


def _is_heif(file: str) -> bool:
    with open(file, "rb") as opened:
        start = opened.read(12)
    return start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS


def _upright_size(file: str) -> tuple[int, int]:
    with Image.open(file) as picture:
        lying = picture.getexif().get(0x0112, 1) >= 5  # turned by a quarter
        return picture.size[::-1] if lying else picture.size


def sentence(file: str, digits: list[Digit]) -> str:
    """Return what was read, for a person: lines apart by a slash, and how sure that is."""
    lines = itertools.groupby(digits, key=lambda digit: digit["line"])
    text = " / ".join(" ".join(str(digit["digit"]) for digit in line) for _, line in lines)
    sentence = (
        translated("{file}: {digits}, lowest probability {probability:.3f}")
        if len(digits) > 1
        else translated("{file}: {digits}, probability {probability:.3f}")
    )
    lowest = min(digit["probability"] for digit in digits)
    doubt = "" if all(digit["sure"] for digit in digits) else translated(", not sure")
    return sentence.format(file=file, digits=text, probability=lowest) + doubt


def save_boxes(
    file: str, digits: Iterable[Digit], folder: Path, taken: Collection[Path] = ()
) -> Path:
    """Save a picture with a box around each digit, the answer above it and its probability below.

    Parameters
    ----------
    file : str
        Path of the picture.
    digits : iterable of Digit
        What `read` returned for it.
    folder : Path
        Where to; it is made when missing.
    taken : collection of Path
        Files of this run, not to be replaced.

    Returns
    -------
    Path
        NAME-boxes.png, or NAME-boxes-2.png and so on, in that folder.
    """
    names = (f"{Path(file).stem}-boxes{number}.png" for number in ("", *range(-2, -10_000, -1)))
    path = next(folder / name for name in names if folder / name not in taken)
    with Image.open(file) as opened:
        picture = _on_plain_ground(ImageOps.exif_transpose(opened))
    longest = max(picture.size)
    scale = min(max(longest, SIDE[0]), SIDE[1]) / longest
    width, height = (max(1, round(side * scale)) for side in picture.size)
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    picture = picture.resize((width, height), how)
    draw = ImageDraw.Draw(picture)
    line = max(2, max(width, height) // 300)
    large, small = (ImageFont.load_default(size * line) for size in (12, 7))
    for digit in digits:
        left, top, right, bottom = (round(corner * scale) for corner in digit["box"])
        draw.rectangle((left - line, top - line, right + line, bottom + line), None, COLOUR, line)
        middle = (left + right) / 2
        for text, font, anchor, y in (
            (str(digit["digit"]), large, "mb", max(top - 3 * line, 12 * line)),
            (f"{digit['probability']:.2f}", small, "mt", min(bottom + 4 * line, height - 8 * line)),
        ):
            outline = draw.textbbox((middle, y), text, font, anchor)
            draw.rectangle((outline[0] - 2, outline[1] - 2, outline[2] + 2, outline[3] + 2), COLOUR)
            draw.text((middle, y), text, "white", font, anchor)
    with replacing(path) as temporary:
        picture.save(temporary)
    return path


def _on_plain_ground(picture: Image.Image) -> Image.Image:
    """Return the picture in RGB; behind a transparent one lies what its ink stands out from."""
    if picture.mode[0] in "IF":  # grey levels without a fixed range
        levels = np.asarray(picture, "float32").clip(0)
        picture = Image.fromarray((levels * (255 / max(levels.max(), 1))).astype("uint8"))
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    grey, alpha = np.asarray(picture.convert("RGB").convert("L")), np.asarray(picture)[..., 3]
    bright = alpha.any() and np.average(grey, weights=alpha) > 127
    ground = Image.new("RGBA", picture.size, "black" if bright else "white")
    return Image.alpha_composite(ground, picture).convert("RGB")
