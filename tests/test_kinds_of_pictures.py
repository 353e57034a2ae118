"""Digits are read on whatever paper they come: whole kinds of pictures, drawn small."""

import numpy as np
import pytest
from PIL import Image

from mnist_cnn import networks
from mnist_cnn.course import forward
from mnist_cnn.pictures import digit_from_image, digits_from_image, line_numbers, probabilities
from tests.pictures.draw import photo, sheet

SIDE = 200
Y, X = np.mgrid[:SIDE, :SIDE]
DIGITS = "123456790"


def drawn(digit, paper=255, ink=0, **options):
    return np.asarray(sheet(digit, ink=ink, paper=paper, **options), float)


def painted(grey, *areas, level):
    for area in areas:
        grey[area] = level
    return grey


def ruled(digit):
    grey = drawn(digit, 245, 30, pen=7)
    return painted(grey, np.s_[12::28], np.s_[13::28], level=180)


def squared(digit):
    grey = drawn(digit, 250, 20, pen=7)
    return painted(grey, np.s_[9::17], np.s_[:, 9::17], level=190)


def printed_box(digit):
    grey = drawn(digit)
    sides = (
        np.s_[12:14, 12:188],
        np.s_[186:188, 12:188],
        np.s_[12:188, 12:14],
        np.s_[12:188, 186:188],
    )
    return painted(grey, *sides, level=0)


KINDS = {
    "plain": drawn,
    "line at an edge": lambda digit: painted(drawn(digit), np.s_[:2], level=30),
    "dark strip": lambda digit: drawn(digit, 200, 140, pen=5) - np.clip(50 - 4 * Y, 0, None),
    "printed box": printed_box,
    "frame": lambda digit: painted(
        drawn(digit), np.s_[:4], np.s_[-4:], np.s_[:, :4], np.s_[:, -4:], level=0
    ),
    "axes": lambda digit: painted(
        drawn(digit), np.s_[20:180, 20:22], np.s_[178:180, 20:180], level=0
    ),
    "bright edges": lambda digit: painted(
        drawn(digit, 130, 45, pen=7), np.s_[:, :2], np.s_[:, -2:], level=255
    ),
    "vignette": lambda digit: (
        drawn(digit, 200, 90, pen=5) * (1 - 0.35 * ((X - 100) ** 2 + (Y - 100) ** 2) / 20_000)
    ),
    "shadow": lambda digit: drawn(digit, 200, 80, pen=5) * np.interp(Y, [100, 160], [1, 0.45]),
    "hard shadow": lambda digit: drawn(digit, 200, 60, pen=6) * np.where(X + Y < 160, 0.6, 1),
    "object in a corner": lambda digit: painted(
        drawn(digit, 210, 40, pen=7), np.s_[:30, :35], level=50
    ),
    "neighbour": lambda digit: painted(drawn(digit, 235, 20, pen=8), np.s_[70:130, :5], level=20),
    "ruled": ruled,
    "squared": squared,
    "touching the border": lambda digit: drawn(digit, place=(50, -3)),
    "photograph": lambda digit: np.asarray(photo(sheet(digit)), float),
}


@pytest.fixture(scope="module")
def network():
    """Return what reads (n, 28, 28, 1) images: the digits, as text."""
    best = networks.read("best")
    return lambda images: "".join(map(str, forward.predict(best, images).argmax(axis=1)))


def grey_picture(grey):
    return Image.fromarray(np.clip(grey, 0, 255).astype("uint8"))


def read(network, pictures):
    return network(np.stack([digit_from_image(picture) for picture in pictures]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_kind_is_read(kind, network):
    assert read(network, [grey_picture(KINDS[kind](digit)) for digit in DIGITS]) == DIGITS


@pytest.mark.parametrize("kind", ["line at an edge", "printed box", "vignette", "shadow", "ruled"])
def test_white_on_black_too(kind, network):
    pictures = [grey_picture(255 - KINDS[kind](digit)) for digit in DIGITS]
    assert read(network, pictures) == DIGITS


def test_white_strokes_on_a_transparent_ground(network):
    pictures = []
    for digit in DIGITS:
        canvas = Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 0))
        canvas.putalpha(grey_picture(255 - drawn(digit)))
        pictures.append(canvas)
    assert read(network, pictures) == DIGITS


CHANGES = {
    "moved": lambda grey: np.roll(grey, (25, -30), axis=(0, 1)),
    "enlarged": lambda grey: np.kron(grey, np.ones((3, 3))),
    "inverted": lambda grey: 255 - grey,
    "with a border": lambda grey: np.pad(grey, 40, constant_values=255),
    "darker": lambda grey: grey * 0.5,
    "lit from one side": lambda grey: grey * np.linspace(0.6, 1, SIDE),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digit_stays(change):
    for digit in "258":
        grey = drawn(digit)
        expected = digit_from_image(grey_picture(grey))
        changed = digit_from_image(grey_picture(CHANGES[change](grey)))
        # A centre of mass between two pixels may be rounded either way.
        moved = [np.roll(changed, (y, x), axis=(0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        assert min(np.abs(image - expected).mean() for image in moved) < 0.02


def test_lines_are_read_from_top_to_bottom(network):
    lines = [sheet("1740359", (600, 140), (5, 25 + n), 85, 9) for n in (0, 12)]
    page = photo(Image.fromarray(np.vstack([np.asarray(line) for line in lines])))
    boxes, digits = digits_from_image(page.rotate(-3, Image.Resampling.BICUBIC, fillcolor=190))
    assert line_numbers(boxes).tolist() == [0] * 7 + [1] * 7
    assert network(digits) == "17403591740359"


def test_a_page_with_nothing_but_an_edge_is_refused():
    page = np.full((SIDE, SIDE), 220, "uint8")
    page[:, :3] = 20
    with pytest.raises(ValueError, match="blank"):
        digit_from_image(page)


def test_probabilities_keep_the_answers():
    scores = np.random.default_rng(0).dirichlet(np.ones(10), 50)
    for temperature in (0.5, 2):
        changed = probabilities(scores, temperature)
        assert np.array_equal(changed.argmax(axis=1), scores.argmax(axis=1))
        assert changed.sum(axis=1) == pytest.approx(1)
    assert probabilities(scores, 1) == pytest.approx(scores)
    assert (probabilities(scores, 0.5).max(axis=1) > scores.max(axis=1)).all()


@pytest.mark.parametrize("seed", range(40))
def test_anything_gives_a_digit_or_one_sentence(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 120, 2)) + [(), (1,), (3,), (4,)][rng.integers(4)]
    grey = rng.uniform(0, rng.choice([0.01, 1]), shape) ** rng.choice([0.1, 1, 9])
    if rng.random() < 0.5:  # blocks instead of noise
        grey = np.kron(grey[:9, :9], np.ones((9, 7, *[1] * (grey.ndim - 2))))
    kind = rng.choice(["bool", "uint8", "float32", "float64"])
    image = (grey * 255).astype("uint8") if kind == "uint8" else grey.round(2).astype(kind)
    try:
        digit = digit_from_image(image)
        boxes, digits = digits_from_image(image)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 120
    else:
        assert digit.shape == digits.shape[1:] == (28, 28, 1) and np.isfinite(digits).all()
        assert digits.dtype == digit.dtype == np.float32 and 0 <= digits.min() <= digits.max() <= 1
        assert len(boxes) == len(digits) and (boxes[:, :2] < boxes[:, 2:]).all()
