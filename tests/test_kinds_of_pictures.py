"""Digits are read on whatever paper they come: whole kinds of pictures, drawn small."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from mnist_cnn import networks
from mnist_cnn.course import forward
from mnist_cnn.pictures import digit_from_image, digits_from_image, line_numbers, probabilities
from tests.pictures import kinds
from tests.pictures.draw import photo, sheet

DIGITS = "0123456789"
CLEAN = {digit: np.asarray(sheet(digit), float) for digit in DIGITS}


@pytest.fixture(scope="module")
def network():
    """Return what reads (n, 28, 28, 1) images: the digits, as text."""
    best = networks.read("best")
    return lambda images: "".join(map(str, forward.predict(best, images).argmax(axis=1)))


def grey_picture(grey):
    return Image.fromarray(np.clip(grey, 0, 255).astype("uint8"))


def drawn(kind, inverted=False):
    """Return a picture of each digit."""
    rng = np.random.default_rng(list(kinds.KINDS).index(kind))
    pages = [kinds.picture(kind, digit, rng) for digit in DIGITS]
    return [ImageOps.invert(page) for page in pages] if inverted else pages


def read(network, pages):
    return network(np.stack([digit_from_image(page) for page in pages]))


@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS if kind != "two lines"])
def test_a_whole_kind_is_read(kind, network):
    assert read(network, drawn(kind)) == DIGITS


@pytest.mark.parametrize(
    "kind", ["line at an edge", "printed box", "vignette", "shadow", "ruled paper"]
)
def test_white_on_black_too(kind, network):
    assert read(network, drawn(kind, inverted=True)) == DIGITS


CHANGES = {
    "moved": lambda grey: np.roll(grey, (25, -30), axis=(0, 1)),
    "enlarged": lambda grey: np.kron(grey, np.ones((3, 3))),
    "inverted": lambda grey: 255 - grey,
    "with a border": lambda grey: np.pad(grey, 40, constant_values=255),
    "darker": lambda grey: grey * 0.5,
    "lit from one side": lambda grey: grey * np.linspace(0.6, 1, 200),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digit_stays(change):
    for digit in "258":
        grey = CLEAN[digit]
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


def test_sixty_digits_of_six_lines_are_read(network):
    line = np.asarray(sheet("1740359264", (820, 140), (10, 25), 85, 9))
    boxes, digits = digits_from_image(Image.fromarray(np.vstack([line] * 6)))
    assert line_numbers(boxes).tolist() == [n for n in range(6) for _ in range(10)]
    assert network(digits) == "1740359264" * 6


def test_lines_may_be_underlined(network):
    line = np.asarray(sheet("1740359", (600, 160), (5, 15), 85, 9)).copy()
    line[120:124, 10:580] = 0
    _, digits = digits_from_image(Image.fromarray(np.vstack([line, line])))
    assert network(digits) == "17403591740359"


def test_a_page_with_nothing_but_an_edge_is_refused():
    page = np.full((200, 200), 220, "uint8")
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
