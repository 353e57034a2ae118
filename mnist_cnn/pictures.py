"""Pictures from outside: a photograph or a drawing of a digit becomes network input."""

import os
import struct
import warnings

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 50_000_000  # more are refused before they are loaded
MAX_SIDE = 1_000  # what is larger is reduced before it is looked at
MIN_INK_SIDE = 5
MIN_CONTRAST = 24
# In MNIST, the edge of a stroke is about 1.2 pixels wide, and up to 2 after enlarging; a stroke
# itself is 2 to 3, at the outside 1.2 to 5.
MAX_EDGE_WIDTH = 2
STROKE_WIDTH = (1.2, 5)

Picture = str | os.PathLike | Image.Image | np.ndarray


def digit_from_image(image: Picture) -> np.ndarray:
    """Turn a picture of one digit into network input, the way MNIST was made.

    The paper's brightness is estimated from the picture's border, what differs from it is ink.
    The ink is cropped, its strokes are redrawn if they are blurred or far thinner or thicker than
    MNIST's, it is scaled to 20 pixels along its longer side with antialiasing, and placed with
    its centre of mass on pixel (14, 14) of a 28 × 28 square.

    Parameters
    ----------
    image : path, PIL image, or array
        Dark ink on light ground or the reverse, in any mode, of at most 50 million pixels;
        transparent parts count as white, an EXIF orientation is followed. Arrays: (height, width)
        or (height, width, 1, 3 or 4), uint8 in 0–255, bool, or float in 0–1.

    Returns
    -------
    (28, 28, 1) float32, 0 (background) to 1 (ink)

    Raises
    ------
    ValueError
        If it is no picture, is too large, or holds no ink or too little to read.
    OSError
        If the file cannot be opened.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86 (1998), section III-A.
    """
    return _make_input(_find_ink(image))


def digits_from_image(image: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Turn a picture of digits in a row into network input, from left to right.

    Connected ink is one digit. Parts that overlap by half of the narrower one's width, one above
    the other, belong together; a part less than half as high as the tallest, such as the loose
    bar of a 5, belongs to the digit nearest to it. Digits that touch are not told apart.

    Parameters
    ----------
    image : path, PIL image, or array
        As `digit_from_image` takes it.

    Returns
    -------
    boxes : (n, 4) float64
        Left, top, right and bottom of each digit, from 0 to 1: shares of the width and the height
        of the upright picture.
    digits : (n, 28, 28, 1) float32, 0 (background) to 1 (ink)

    Raises
    ------
    ValueError, OSError
        As `digit_from_image` does.
    """
    from scipy import ndimage

    ink = _find_ink(image)
    parts, _ = ndimage.label(ink, structure=np.ones((3, 3)))
    groups = _group_parts(parts)
    height, width = ink.shape
    boxes = np.array([box for _, box in groups]) / (width, height, width, height)
    return boxes, np.stack([_make_input(np.where(np.isin(parts, n), ink, 0)) for n, _ in groups])


def photograph(digit: np.ndarray, seed: int) -> np.ndarray:
    """Render a digit as a photograph might show it: dark ink on unevenly lit, grainy paper.

    Parameters
    ----------
    digit : (height, width) array, 0 (background) to 1 (ink)
    seed : int
        Decides the size (90 to 260 pixels), the place, the angle (up to 8° either way), the paper,
        the ink, the light and the noise.

    Returns
    -------
    (height, width) uint8, as high as it is wide
    """
    random = np.random.default_rng(seed)
    side = int(random.integers(90, 261))
    scale = random.uniform(0.45, 0.75) * side / max(digit.shape)
    drawn = Image.fromarray(np.asarray(digit, "float32"))
    drawn = drawn.resize([round(n * scale) for n in drawn.size], Image.Resampling.BICUBIC)
    drawn = drawn.rotate(random.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True)
    sheet = Image.new("F", (side, side))
    sheet.paste(drawn, tuple(int(random.integers(0, side - n + 1)) for n in drawn.size))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    direction, strength = random.uniform(0, 2 * np.pi), random.uniform(10, 40)
    paper = random.uniform(170, 210) + strength * (x * np.cos(direction) + y * np.sin(direction))
    grey = paper + (random.uniform(20, 80) - paper) * np.clip(sheet, 0, 1)
    grey += random.normal(0, random.uniform(2, 8), grey.shape)
    return grey.round().clip(0, 255).astype("uint8")


def otsu_threshold(grey: np.ndarray) -> int:
    """Return the grey level that splits pixels best into dark (at most it) and bright.

    Parameters
    ----------
    grey : array of any shape, 0 to 255

    References
    ----------
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Transactions on
    Systems, Man, and Cybernetics 9 (1979): the variance between the two classes is greatest.
    """
    counts = np.bincount(np.asarray(grey).astype("uint8").ravel(), minlength=256) / np.size(grey)
    share = counts.cumsum()
    level_sum = (counts * np.arange(256)).cumsum()
    between = (level_sum[-1] * share - level_sum) ** 2
    spread = share * (1 - share)
    return int(np.argmax(np.divide(between, spread, out=np.zeros(256), where=spread > 1e-12)))


def _find_ink(image: Picture) -> np.ndarray:
    """Return how far each pixel of a stroke stands out from the background, and 0 elsewhere."""
    from scipy import ndimage

    grey = _grey_levels(image)
    if min(grey.shape) < MIN_INK_SIDE:
        raise ValueError(
            f"a digit needs at least {MIN_INK_SIDE} pixels along each axis, not {grey.shape}"
        )
    background, noise = _background(grey)
    ink = grey - background
    # The cubes let the ink outweigh wide and faint errors of the estimated background.
    ink = np.maximum(np.round(ink * np.sign((ink**3).sum())), 0)
    threshold = otsu_threshold(ink)
    strong = ink > threshold
    if not strong.any() or ink[strong].mean() < max(noise, MIN_CONTRAST):
        raise ValueError("the picture is blank: nothing stands out from its background")
    # Strokes end where they fade into the paper, specks are no strokes.
    faint = ink > max(noise, ink[strong].mean() / 20)
    parts, count = ndimage.label(faint, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(strong, parts, range(1, count + 1))
    ink[~np.isin(parts, 1 + np.flatnonzero(sizes > sizes.max() / 50))] = 0
    longest = max(_crop(ink).shape)
    if longest < MIN_INK_SIDE:
        raise ValueError(f"ink must be at least {MIN_INK_SIDE} pixels high or wide, not {longest}")
    return ink


def _group_parts(parts: np.ndarray) -> list[tuple[list[int], tuple[int, ...]]]:
    """Return the parts' numbers and the box (left, top, right, bottom) of each digit."""
    from scipy import ndimage

    found = ndimage.find_objects(parts)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in found])
    heights = boxes[:, 3] - boxes[:, 1]
    short = heights < heights.max() / 2
    groups: list[tuple[list[int], tuple[int, ...]]] = []
    for part in np.lexsort([boxes[:, 0], short]):  # the tall parts first, each lot from the left
        numbers, box = [part + 1], tuple(boxes[part])
        overlaps = [min(box[2], other[2]) - max(box[0], other[0]) for _, other in groups]
        if groups:
            nearest = int(np.argmax(overlaps))
            members, other = groups[nearest]
            narrower = min(box[2] - box[0], other[2] - other[0])
            if short[part] or overlaps[nearest] > narrower / 2:
                numbers = members + numbers
                box = (*np.minimum(box[:2], other[:2]), *np.maximum(box[2:], other[2:]))
                del groups[nearest]
        groups.append((numbers, box))
    return sorted(groups, key=lambda group: group[1])


def _make_input(ink: np.ndarray) -> np.ndarray:
    """Scale and place ink, (height, width) of any size; the result is (28, 28, 1)."""
    from scipy import ndimage

    ink = _crop(_clarify(_crop(ink)), 0.05)
    height, width = (max(1, round(side * 20 / max(ink.shape))) for side in ink.shape)
    small = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX))
    small = small / small.max()
    centre = ndimage.center_of_mass(small)
    top, left = (
        min(max(0, round(14 - c)), 28 - side) for c, side in zip(centre, small.shape, strict=True)
    )
    digit = np.zeros((28, 28, 1), "float32")
    digit[top : top + height, left : left + width, 0] = small
    return digit


def _clarify(ink: np.ndarray) -> np.ndarray:
    """Scale ink to 0–1, enlarge it if it is small, and redraw strokes that MNIST would not have.

    Strokes with blurred edges, or far thinner or thicker than MNIST's, are drawn anew along their
    outline, two to three pixels of the final digit wide. Across an edge of height 1 the slopes sum
    to 1 and their squares to 1 / width; across a stroke the mean distance to the outline is a
    quarter of the width.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    longest = max(ink.shape)
    factor = -(-100 // longest)
    pixel = factor * longest / 20  # of the final digit
    ink = np.pad(ink, 1 + longest // 20)  # room to thicken a stroke
    size = factor * ink.shape[1], factor * ink.shape[0]
    ink = np.asarray(Image.fromarray(ink.astype("float32")).resize(size, Image.Resampling.BICUBIC))
    ink = (ink / np.percentile(ink[ink > ink.max() / 2], 90)).clip(0, 1)
    slope = np.hypot(*np.gradient(gaussian_filter(ink, pixel / 5)))
    edge_width = slope.sum() / (slope**2).sum() / pixel
    # Blurring has filled narrow gaps and loops; against the neighbourhood's mean they show again.
    inside = ink + 1.5 * (ink - gaussian_filter(ink, 1.5 * pixel)) > 0.5
    distance = (distance_transform_edt(inside) - distance_transform_edt(~inside)) / pixel
    stroke_width = 4 * distance[inside].mean()
    thinnest, thickest = STROKE_WIDTH
    if edge_width <= MAX_EDGE_WIDTH and thinnest <= stroke_width <= thickest:
        return ink
    missing = np.clip(stroke_width, 2, 3) - stroke_width
    return (distance + missing / 2 + 0.5).clip(0, 1).astype("float32")


def _crop(ink: np.ndarray, level: float = 0) -> np.ndarray:
    """Cut off the rows and columns at the borders in which nothing exceeds `level`."""
    rows, columns = (np.flatnonzero((ink > level).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _background(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the plane through the border's grey levels, and how far they stray from it."""
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    ring = max(1, round(min(height, width) / 40))
    border = np.ones(grey.shape, bool)
    border[ring:-ring, ring:-ring] = False
    points = np.stack([np.ones(border.sum()), y[border], x[border]], axis=1)
    levels = grey[border]
    distance = np.abs(levels - np.median(levels))
    paper = distance <= max(10, 3 * np.median(distance))  # where no stroke runs off the picture
    weights = np.linalg.lstsq(points[paper], levels[paper], rcond=None)[0]
    noise = 3 * float(np.std(levels[paper] - points[paper] @ weights))
    return weights[0] + weights[1] * y + weights[2] * x, noise


def _grey_levels(image: Picture) -> np.ndarray:
    """Return a picture's grey levels, (height, width) float64 in 0–255, upright, sides ≤ 1000."""
    if isinstance(image, Image.Image):
        return _read_grey(image)
    if isinstance(image, np.ndarray):
        return _read_grey(_picture_from_array(image))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(image)
        with picture:
            _check_size(picture.size)
            picture.draft("RGB", (MAX_SIDE, MAX_SIDE))
            return _read_grey(picture)
    except Image.DecompressionBombError:
        raise ValueError(f"{os.fspath(image)} has more than {MAX_PIXELS:,} pixels") from None
    except (OSError, SyntaxError, EOFError, struct.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise ValueError(f"{os.fspath(image)} is not a readable picture") from error


def _picture_from_array(array: np.ndarray) -> Image.Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            "image must have shape (height, width) or (height, width, 1, 3 or 4), "
            f"not {array.shape}"
        )
    _check_size(array.shape[:2])
    if array.dtype == bool or np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(
                f"a float image must be from 0 to 1, not {array.min():g} to {array.max():g}"
            )
        array = np.round(array * 255.0).astype("uint8")
    elif array.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (0 to 255), bool or float, not {array.dtype}")
    return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


def _check_size(size: tuple[int, ...]) -> None:
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError(
            f"the picture must have from 1 to {MAX_PIXELS:,} pixels, not {size[0]} × {size[1]}"
        )


def _read_grey(picture: Image.Image) -> np.ndarray:
    _check_size(picture.size)
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        levels = np.asarray(picture, dtype="float32")
        full = next((top for top in (1, 255, 65535) if levels.max() <= top), levels.max())
        picture = Image.fromarray((levels.clip(0) * (255 / full)).astype("uint8"))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB").convert("L")
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return np.asarray(picture, dtype="float64")
