"""Pictures from outside become input the way MNIST was made, or are refused with a reason."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw
from scipy import ndimage

from mnist_cnn import data, pictures
from mnist_cnn.pictures import digit_from_image, digits_from_image

EXAMPLES = sorted((Path(__file__).parent / "pictures").glob("[0-9]-*.png"))  # see draw.py there
ROW = Path(__file__).parent / "pictures" / "1740359-row.png"


def draw_seven(size=(600, 800), ink=30, paper=200, width=50, shade=0.0, noise=0.0):
    picture = Image.new("L", size, paper)
    ImageDraw.Draw(picture).line([(150, 150), (430, 150), (260, 600)], ink, width, joint="curve")
    grey = np.asarray(picture, float) + np.linspace(-shade, shade, size[0])
    grey += np.random.default_rng(0).normal(0, noise, grey.shape)
    return Image.fromarray(grey.clip(0, 255).astype("uint8"))


@pytest.fixture(scope="module")
def seven():
    return digit_from_image(draw_seven())


def test_it_is_made_as_mnist_was(seven):
    assert (seven.shape, seven.dtype) == ((28, 28, 1), np.float32)
    assert (seven.min(), seven.max()) == (0, 1)
    rows, columns = (np.flatnonzero(seven[..., 0].any(axis=axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert ndimage.center_of_mass(seven[..., 0]) == pytest.approx((14, 14), abs=0.51)


def test_enlarged_mnist_images_pass_nearly_unchanged():
    _, (images, _) = data.load_mnist()
    distances = [
        np.abs(digit_from_image(np.kron(image, np.ones((5, 5), "uint8")))[..., 0] - image / 255)
        for image in images[:100]
    ]
    assert sum(distance.mean() < 0.005 for distance in distances) >= 98


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"ink": 220, "paper": 20}, 0.005),
        ({"size": (1200, 900)}, 0.02),
        ({"ink": 120, "paper": 180}, 0.005),
        ({"shade": 40, "noise": 6}, 0.03),
    ],
    ids=["light on dark", "elsewhere on the page", "pale", "shaded and noisy"],
)
def test_size_polarity_and_light_do_not_matter(seven, change, limit):
    assert np.abs(digit_from_image(draw_seven(**change)) - seven).mean() < limit


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_gives_the_same_digit(mode, seven):
    picture = draw_seven(ink=0, paper=255).convert("RGB")
    picture = picture.convert("L").convert(mode) if mode in ("1", "LA") else picture.convert(mode)
    assert np.abs(digit_from_image(picture) - seven).mean() < 0.01


@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_deep_grey_levels(kind, seven):
    levels = np.asarray(draw_seven(), float) * (1 / 255 if kind == "float32" else 257)
    assert np.abs(digit_from_image(Image.fromarray(levels.astype(kind))) - seven).mean() < 0.005


@pytest.mark.parametrize("shape", [(800, 600), (800, 600, 1), (800, 600, 3), (800, 600, 4)])
@pytest.mark.parametrize("kind", ["uint8", "float32", "bool"])
def test_arrays(shape, kind, seven):
    ink = np.asarray(draw_seven()) < 100
    image = np.broadcast_to(~ink[..., None], (*ink.shape, shape[2] if shape[2:] else 1)).copy()
    image[..., 3:] = True
    image = (image * 255).astype(kind) if kind == "uint8" else image.astype(kind)
    assert np.abs(digit_from_image(image.reshape(shape)) - seven).mean() < 0.01


def test_transparent_parts_are_white(seven):
    picture = Image.new("RGBA", (600, 800), (0, 0, 0, 0))
    picture.putalpha(draw_seven(ink=255, paper=0))  # black ink, black but transparent ground
    assert np.abs(digit_from_image(picture) - seven).mean() < 0.01


def test_the_exif_orientation_is_followed(tmp_path, seven):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    path = tmp_path / "seven.jpg"
    draw_seven().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    assert np.abs(digit_from_image(path) - seven).mean() < 0.02


def test_a_speck_far_away_is_left_out(seven):
    picture = draw_seven()
    ImageDraw.Draw(picture).ellipse((560, 700, 566, 706), 30)
    np.testing.assert_allclose(digit_from_image(picture), seven, atol=0.02)


def test_a_picture_given_is_not_changed():
    picture = draw_seven((1200, 1500))
    before = picture.tobytes()
    digit_from_image(picture)
    assert (picture.size, picture.tobytes()) == ((1200, 1500), before)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "I;16"])
def test_a_large_picture_is_its_small_self_in_every_mode(mode, seven):
    large = draw_seven(ink=0, paper=255).resize((2700, 3600)).transpose(Image.Transpose.ROTATE_90)
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large, "uint16") * 257)
    large = large.convert(mode)
    large.getexif()[ExifTags.Base.Orientation] = 6  # to be turned back
    assert np.abs(digit_from_image(large) - seven).mean() < 0.02


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_pictures_become_input_like_mnist(path):
    digit = digit_from_image(path)
    rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in ((1, 2), (0, 2)))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert ndimage.center_of_mass(digit[..., 0]) == pytest.approx((14, 14), abs=0.51)
    assert digit.max() == 1 and digit.mean() < 0.25


def test_there_is_an_example_of_every_kind():
    kinds = "off-centre thin thick inverted rotated tiny transparent photo"
    assert sorted(path.stem[2:] for path in EXAMPLES) == sorted(kinds.split())


def test_a_blank_photograph_is_refused():
    with pytest.raises(ValueError, match="blank"):
        digit_from_image(ROW.with_name("blank.png"))


@pytest.mark.parametrize("width", [3, 120], ids=["thin", "thick"])
def test_the_pen_may_be_thin_or_thick(width, seven):
    digit = digit_from_image(draw_seven(width=width))
    both = [ndimage.gaussian_filter(image[..., 0], 2).ravel() for image in (digit, seven)]
    assert np.corrcoef(*both)[0, 1] > 0.85


def test_a_row_is_read_from_left_to_right():
    boxes, digits = digits_from_image(ROW)
    assert (boxes.shape, digits.shape, digits.dtype) == ((7, 4), (7, 28, 28, 1), np.float32)
    assert (np.diff(boxes[:, 0]) > 0).all() and (boxes >= 0).all() and (boxes <= 1).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    height, width = np.asarray(Image.open(ROW)).shape
    for box, digit in zip(boxes, digits, strict=True):
        left, top, right, bottom = np.round(box * [width, height, width, height]).astype(int)
        assert 70 <= max(bottom - top, right - left) <= 110
        assert digit[..., 0].sum(axis=1).max() > 1  # not empty


def test_a_single_digit_has_one_box():
    for path in EXAMPLES:
        boxes, digits = digits_from_image(path)
        assert len(boxes) == 1
        np.testing.assert_array_equal(digits[0], digit_from_image(path))


def bars(*boxes):
    """Draw black boxes (left, top, right, bottom) on a white sheet of 300 × 200."""
    sheet = np.full((200, 300), 255, "uint8")
    for left, top, right, bottom in boxes:
        sheet[top:bottom, left:right] = 0
    return sheet


def found(*boxes):
    return np.round(digits_from_image(bars(*boxes))[0] * (300, 200, 300, 200)).astype(int).tolist()


def test_a_loose_bar_belongs_to_its_digit():
    body, bar, other = (40, 60, 80, 160), (70, 40, 100, 50), (150, 50, 200, 150)
    assert found(body, bar, other) == [[40, 40, 100, 160], [150, 50, 200, 150]]


def test_a_line_below_is_no_part_of_a_digit_but_a_bar_or_a_base_is():
    body, line = (60, 40, 90, 140), (40, 160, 200, 164)
    assert found(body, line) == [[60, 40, 90, 140]]
    assert found(body, (50, 30, 100, 36)) == [[50, 30, 100, 140]]  # the bar of a 5
    assert found(body, (40, 142, 100, 147)) == [[40, 40, 100, 147]]  # the base of a 2
    assert found(line) == [list(line)]
    assert found(line, (40, 120, 199, 124)) == [[40, 120, 199, 124], list(line)]


def test_two_halves_above_each_other_are_one_digit():
    assert found((40, 40, 52, 95), (42, 105, 54, 160)) == [[40, 40, 54, 160]]


def test_slanted_neighbours_are_two_digits():
    assert len(found((40, 40, 100, 150), (90, 155, 150, 199))) == 1  # too low for a digit
    assert len(found((40, 40, 100, 100), (90, 105, 150, 165))) == 2


def test_specks_are_no_digits():
    assert found((40, 40, 60, 160), (250, 20, 255, 25)) == [[40, 40, 60, 160]]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((100, 100), 255, "uint8"), "blank"),
        (np.random.default_rng(0).normal(0.8, 0.05, (300, 300)).clip(0, 1), "blank"),
        (np.pad(np.zeros((3, 3)), 40, constant_values=1), "ink must be at least 5 pixels"),
        (np.zeros((3, 90)), "at least 5 pixels along each axis"),
        (np.zeros((0, 9)), "from 1 to 50,000,000 pixels"),
        (np.broadcast_to(np.uint8(0), (10_000, 10_000)), "from 1 to 50,000,000 pixels"),
        (np.zeros((28, 28, 2)), "shape"),
        (np.zeros((2, 28, 28, 1)), "shape"),
        (np.full((28, 28), 255.0), "from 0 to 1"),
        (np.full((28, 28), np.nan), "from 0 to 1"),
        (np.zeros((28, 28), "int64"), "uint8"),
    ],
)
def test_what_holds_no_digit_is_refused(image, message):
    with pytest.raises(ValueError, match=message):
        digit_from_image(image)


@pytest.mark.parametrize("side", [8_000, 14_000], ids=["64 megapixels", "196 megapixels"])
def test_a_huge_file_is_refused_before_it_is_loaded(tmp_path, monkeypatch, side):
    path = tmp_path / "huge.png"
    Image.new("1", (side, side)).save(path)
    monkeypatch.setattr(pictures, "_read_grey", lambda picture: pytest.fail("loaded"))
    with pytest.raises(ValueError, match="50,000,000 pixels"):
        digit_from_image(path)


def test_files_that_are_no_pictures(tmp_path):
    text, cut = tmp_path / "a.png", tmp_path / "b.png"
    text.write_text("not a picture")
    draw_seven(noise=5).save(cut)
    cut.write_bytes(cut.read_bytes()[:5000])
    for path in (text, cut):
        with pytest.raises(ValueError, match=r"[ab]\.png is not a readable picture"):
            digit_from_image(path)
    with pytest.raises(FileNotFoundError):
        digit_from_image(tmp_path / "missing.png")
    with pytest.raises(OSError, match="directory"):
        digit_from_image(tmp_path)


def test_otsu_threshold_lies_between_two_heaps():
    random = np.random.default_rng(0)
    dark, bright = random.normal(60, 8, 9_000), random.normal(180, 8, 1_000)
    assert 84 < pictures._otsu_threshold(np.concatenate([dark, bright])) < 156
