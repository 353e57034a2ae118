"""Pictures from outside: a photograph or a drawing of a digit becomes network input."""

import os
import struct
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps
from scipy import ndimage
from scipy.special import softmax

from mnist_cnn.language import translated

MAX_PIXELS = 50_000_000  # more are refused before they are loaded
MAX_SIDE = 800  # what is larger is reduced before it is looked at
MIN_INK_SIDE = 5
MIN_CONTRAST = 24
MAX_PARTS = 150  # more pieces of ink are a printed page or a pattern
# What the logits of the network "best" are divided by, so that its scores are honest for digits
# from elsewhere: benchmarks/foreign_digits.py chooses it on one half of scikit-learn's digits.
TEMPERATURE = 0.6
# Answers below this probability are not sure: nine in ten digits of that half reach it.
THRESHOLD = 0.96
TOUCHING = np.ones((3, 3))  # pixels that touch at a corner belong together

Picture = str | os.PathLike | Image.Image | np.ndarray


def digit_from_image(image: Picture) -> np.ndarray:
    """Turn a picture of one digit into network input, the way MNIST was made.

    The paper's brightness is estimated all over the picture, what differs from it is ink. Ruled
    lines, underlines, frames, and what the border cuts off are left out. The ink is cropped, scaled
    to 20 pixels along its longer side with antialiasing, and placed with its centre of mass on
    pixel (14, 14) of a 28 × 28 square.

    Parameters
    ----------
    image : path, PIL image, or array
        Dark ink on light ground or the reverse, in any mode, of at most 50 million pixels;
        transparent parts count as white (as black under white strokes), an EXIF orientation is
        followed. Arrays: (height, width) or (height, width, 1, 3 or 4), uint8 in 0–255, bool,
        or float in 0–1.

    Returns
    -------
    (28, 28, 1) float32, 0 (background) to 1 (ink)

    Raises
    ------
    ValueError
        If it is no picture, is too large, or holds no ink, too little, or more than 150 pieces.
    OSError
        If the file cannot be opened.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86 (1998), section III-A.

    Examples
    --------
    >>> page = np.full((200, 300), 255, dtype="uint8")
    >>> page[40:160, 95:105] = 0  # a 1, black on white
    >>> rows, _, _ = np.nonzero(digit_from_image(page))
    >>> int(rows.min()), int(rows.max())
    (4, 23)
    """
    return _make_input(_find_ink(image))


def digits_from_image(image: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Turn a picture of digits into network input, line by line, from left to right.

    Connected ink is one digit. Parts close above each other belong together if they overlap by
    half of the narrower one's width; a part less than half as high as the tallest, such as the
    loose bar of a 5, belongs to the nearest digit if that is near, and else is left out. Digits
    that touch are not told apart.

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

    See Also
    --------
    line_numbers : The line that each digit stands in.

    Examples
    --------
    >>> page = np.full((100, 200), 255, dtype="uint8")
    >>> page[20:80, 50:58] = page[20:80, 140:148] = 0  # two 1s
    >>> boxes, digits = digits_from_image(page)
    >>> boxes
    array([[0.25, 0.2 , 0.29, 0.8 ],
           [0.7 , 0.2 , 0.74, 0.8 ]])
    """
    ink = _find_ink(image)
    parts, _ = ndimage.label(ink, TOUCHING)
    groups = _group_parts(parts)
    height, width = ink.shape
    boxes = np.array([box for _, box in groups]) / (width, height, width, height)
    order = np.lexsort([boxes[:, 0], line_numbers(boxes)])
    digits = []
    for numbers, (left, top, right, bottom) in (groups[n] for n in order):
        place = np.s_[top:bottom, left:right]
        digits.append(_make_input(np.where(np.isin(parts[place], numbers), ink[place], 0)))
    return boxes[order], np.stack(digits)


def line_numbers(boxes: np.ndarray) -> np.ndarray:
    """Return the number of the line that each digit stands in, from the top, starting with 0.

    From left to right, a digit continues the line whose last digit stands nearest to its own
    height, if their centres differ by less than the taller one's height; so a line may slope.

    Parameters
    ----------
    boxes : (n, 4) array
        As `digits_from_image` returns them.

    Returns
    -------
    (n,) int64

    Examples
    --------
    >>> line_numbers(np.array([[0, 0.6, 0.2, 0.9], [0.3, 0.5, 0.5, 0.8], [0.1, 0.1, 0.3, 0.4]]))
    array([1, 1, 0])
    """
    lines: list[list[int]] = []
    centres, heights = boxes[:, 1::2].mean(axis=1), boxes[:, 3] - boxes[:, 1]
    for digit in np.argsort(boxes[:, 0], kind="stable"):
        last = [line[-1] for line in lines]
        steps = np.abs(centres[last] - centres[digit]) / np.maximum(heights[last], heights[digit])
        if steps.min(initial=1) < 1:
            lines[int(np.argmin(steps))].append(digit)
        else:
            lines.append([digit])
    lines.sort(key=lambda line: centres[line].mean())
    numbers = np.empty(len(boxes), "int64")
    for number, line in enumerate(lines):
        numbers[line] = number
    return numbers


def probabilities(scores: np.ndarray, temperature: float = TEMPERATURE) -> np.ndarray:
    """Turn the scores of the network "best" into calibrated probabilities.

    Label smoothing leaves a network less sure than it is right. Its logits are divided by a
    temperature, which changes no answer; the softmax follows again.

    Parameters
    ----------
    scores : (n, 10) array
        Of a softmax: each row sums to 1.
    temperature : float
        Below 1 the scores move apart, above 1 together.

    Returns
    -------
    (n, 10) array
        Each row sums to 1.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (ICML 2017),
    https://arxiv.org/abs/1706.04599.

    Examples
    --------
    >>> probabilities(np.array([[0.9, 0.1]]), temperature=0.5).round(3)
    array([[0.988, 0.012]])
    """
    return softmax(np.log(np.maximum(scores, 1e-30)) / temperature, axis=1)


def _otsu_threshold(grey: np.ndarray) -> int:
    """Return the grey level (0 to 255) that splits pixels best into dark (at most it) and bright.

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
    """Return how far each pixel of a digit stands out from the paper, and 0 elsewhere."""
    grey = _grey_levels(image)
    if min(grey.shape) < MIN_INK_SIDE:
        refusal = translated("a digit needs at least {least} pixels along each axis, not {shape}")
        raise ValueError(refusal.format(least=MIN_INK_SIDE, shape=grey.shape))
    wide, inverse = (_paper(tones, 3 / 4) for tones in (grey, 255 - grey))
    # A narrow window takes a hand's shadow for paper; a shadow leaves half of the light, ink less.
    narrow = _paper(grey, 1 / 10)
    shaded = np.maximum(narrow, np.median(narrow) / 2)
    trials = (grey, wide, 1), (255 - grey, inverse, 1), (grey, shaded, 2 / 3)
    found = []
    for tones, paper, trust in trials:
        ink = _strokes(_without_lines(np.maximum(np.round(paper - tones), 0)))
        if ink is not None and (ink := _without_surroundings(ink)) is not None:
            found.append((trust * _likeness(ink, tones), ink))
    if not found:
        raise ValueError(translated("the picture is blank: nothing stands out from its background"))
    _, ink = max(found, key=lambda pair: pair[0])
    if (longest := max(_crop(ink).shape)) < MIN_INK_SIDE:
        refusal = translated("ink must be at least {least} pixels high or wide, not {longest}")
        raise ValueError(refusal.format(least=MIN_INK_SIDE, longest=longest))
    if (count := ndimage.label(ink, TOUCHING)[1]) > MAX_PARTS:
        refusal = translated("the picture holds {count} pieces of ink: crop it to the digits")
        raise ValueError(refusal.format(count=count))
    return ink


def _paper(grey: np.ndarray, window: float) -> np.ndarray:
    """Return how bright the paper is at each pixel, strokes painted over, shadows kept.

    A morphological closing fills each dark valley that its square does not fit into. With a
    `window` of 3/4 of the picture every stroke is filled, and each shadow that is narrower. A
    shadow that reaches the border is not, since the border's levels are continued outwards.
    """
    shrunk = min(1, 128 / max(grey.shape))  # of light, a small picture says enough
    height, width = (max(1, round(side * shrunk)) for side in grey.shape)
    small = _fill_border_strokes(_resize(grey, width, height, Image.Resampling.BOX))
    side = max(12, int(window * min(small.shape)))
    small = ndimage.grey_closing(np.pad(small, side, mode="edge"), (side, side))
    small = small[side:-side, side:-side]
    return _resize(small, grey.shape[1], grey.shape[0], Image.Resampling.BILINEAR)


def _fill_border_strokes(grey: np.ndarray) -> np.ndarray:
    """Paint over what looks like a stroke along the border: dark, and sharp at both its ends."""
    place = np.arange(grey.size).reshape(grey.shape)
    around = np.concatenate([place[0, :-1], place[:-1, -1], place[-1, :0:-1], place[:0:-1, 0]])
    around = np.roll(around, -np.argmax(grey.flat[around]))  # so that no stroke is cut in two
    border = grey.flat[around]
    depth = ndimage.grey_closing(border, max(3, round(0.3 * len(border))), mode="wrap") - border
    result = grey.copy()
    for (run,) in ndimage.find_objects(ndimage.label(depth > MIN_CONTRAST / 2)[0]):
        first, last = run.start, run.stop - 1
        outside = border[[first - 2, (last + 2) % len(border)]]
        inside = border[[min(first + 1, last), max(last - 1, first)]]
        if min(outside - inside) > depth[run].max() / 2:
            result.flat[around[run]] += depth[run]
    return result


def _without_lines(ink: np.ndarray) -> np.ndarray:
    """Remove the lines of ruled and squared paper and of printed boxes, and mend what they cross.

    Such lines run straight over more than half of the picture, there are several, and they are
    thinner than the pen's. A morphological opening with a long segment keeps nothing else.
    """
    if min(ink.shape) < 50:  # too few pixels to tell a line from a stroke
        return ink
    for along in (0, 1):
        segment, across = [1, 1], [1, 1]
        segment[along] = round(0.6 * ink.shape[along])
        lines = ndimage.grey_opening(ink, segment)
        least = max(MIN_CONTRAST / 2, _otsu_threshold(lines))
        where = lines > least
        if ndimage.label(where)[1] < 2:
            continue
        rest = ink - lines
        pen = rest > max(MIN_CONTRAST, _otsu_threshold(rest))
        # Measured in the picture, since the straight side of a 0 is part of a thick stroke.
        depth = ndimage.distance_transform_edt(np.pad(ink > least, 1))[1:-1, 1:-1]
        thickness = 4 * float(np.median(depth[where]))
        if pen.any() and thickness < 0.6 * _stroke_width(pen):
            near = ndimage.binary_dilation(where)
            across[1 - along] = round(2 * thickness) + 2
            rest = np.where(near, rest, ink)
            ink = np.where(near, ndimage.grey_closing(rest, across), rest)
    return ink


def _strokes(ink: np.ndarray) -> np.ndarray | None:
    """Return the ink without the paper's grain and without specks, or None if all is grain."""
    strong = ink > _otsu_threshold(ink)
    if not strong.any():
        return None
    level = np.median(ink[~strong])
    noise = 4.5 * np.median(np.abs(ink[~strong] - level))  # three standard deviations
    ink = np.maximum(np.round(ink - level), 0)
    contrast = ink[strong].mean()
    if contrast < max(noise, MIN_CONTRAST):
        return None
    # Strokes fade into the paper no farther than they are wide; lines would go on.
    reach = max(1, round(_stroke_width(strong)))
    near = ndimage.distance_transform_cdt(~strong, "chessboard") <= reach
    parts, count = ndimage.label(near & (ink > max(noise, contrast / 20)), TOUCHING)
    sizes = ndimage.sum_labels(strong, parts, range(1, count + 1))
    return np.where(np.r_[False, sizes > sizes.max() / 50][parts], ink, 0)


def _without_surroundings(ink: np.ndarray) -> np.ndarray | None:
    """Leave out frames, axes, dark edges, and objects that the picture's border cuts off.

    Of the parts that touch the border, those are kept that are as tall as the free ones and do
    not run along it; all but straight edges, if no part is free.
    """
    parts, count = ndimage.label(ink, TOUCHING)
    if count > MAX_PARTS:  # no digits: another trial may find them
        return ink
    found = ndimage.find_objects(parts)
    boxes, page = _boxes(found), np.array(ink.shape[::-1])
    sizes, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    border = ((boxes[:, :2] == 0) | (boxes[:, 2:] == page)).any(axis=1)
    thin = sizes[:, ::-1] < page[::-1] / 12
    edge = border & ((sizes > 0.9 * page) & thin).any(axis=1)
    if edge.all():
        return None
    cut = np.zeros(count)  # how much of a part's height lies on the left or the right border
    frame = np.zeros(count, bool)
    for n, box in enumerate(found):
        part = parts[box] == n + 1
        ends = part[:, 0] * (boxes[n, 0] == 0), part[:, -1] * (boxes[n, 2] == page[0])
        cut[n] = np.mean(ends, axis=1).max()
        inside = (np.abs(centres - centres[n]) < sizes[n] / 2) & (sizes < (0.9, 0.95) * sizes[n])
        large = sizes.max(axis=1) > sizes[n].max() / 4
        frame[n] = (inside.all(axis=1) & large).any() and part.mean() < 0.4
    keep = ~frame & ~edge
    keep &= ~_underlines(boxes, keep)
    if (free := keep & ~border).any():
        ratio = sizes[:, 1] / sizes[free, 1].max()
        keep &= ~border | ((ratio > 0.7) & (ratio < 1.5) & (cut < 0.5))
    return np.where(np.r_[False, keep][parts], ink, 0) if keep.any() else ink


def _underlines(boxes: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Say which boxes hold a line below writing: flat, wider than any digit, and not close to it.

    The nearest part must be above it; so the loose bar of a 5 is none, nor the base of a 2.
    """
    wide, tall = (boxes[:, 2:] - boxes[:, :2]).T
    flat = tall < wide / 6
    writing, widest = boxes[ink & ~flat], wide[ink & ~flat].max(initial=0)
    lines = flat & (wide > widest) & (widest > 0)
    for n in np.flatnonzero(lines):
        nearest = writing[np.argmin(np.hypot(*_gaps(boxes[n], writing).clip(0)))]
        lines[n] = nearest[3] + tall[n] < boxes[n, 1]
    return lines


def _likeness(ink: np.ndarray, grey: np.ndarray) -> float:
    """Say how much ink looks like writing, to decide whether the dark or the bright is ink.

    Writing is long and thin, covers a little of the picture, stands out strongly, and each of its
    edges is one in the picture. The paper between strokes is wide, and not all its edges are real.
    """
    strong = ink > ink.max() / 3
    contrast = ink[strong].mean()
    outline = strong & ~ndimage.binary_erosion(strong, border_value=1)
    reach = 3 + 2 * (max(grey.shape) // 80)
    step = ndimage.maximum_filter(grey, reach) - ndimage.minimum_filter(grey, reach)
    real = (step[outline] > contrast / 2).mean() if outline.any() else 0
    share, length = strong.mean(), strong.sum() / _stroke_width(strong) ** 2
    length = max(length - 1, length / 4)  # in widths of a stroke; a blob has hardly more than one
    return float(length * share**0.5 * (1 - share) ** 2 * (contrast * real) ** 2)


def _stroke_width(mask: np.ndarray) -> float:
    """Return the mean width in pixels: across a stroke, the mean depth is a quarter of it."""
    mask = np.pad(_crop(mask), 1)
    return 4 * float(ndimage.distance_transform_edt(mask)[mask].mean())


def _boxes(found: list[tuple[slice, slice]]) -> np.ndarray:
    return np.array([(x.start, y.start, x.stop, y.stop) for y, x in found])


def _group_parts(parts: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Return the parts' numbers and the box (left, top, right, bottom) of each digit."""
    boxes = _boxes(ndimage.find_objects(parts))
    heights = boxes[:, 3] - boxes[:, 1]
    tallest = heights.max()
    short = heights < tallest / 2
    groups: list[tuple[list[int], np.ndarray]] = []
    for part in np.lexsort([boxes[:, 0], short]):  # the tall parts first, each lot from the left
        numbers, box = [part + 1], boxes[part]
        others = np.array([other for _, other in groups]).reshape(-1, 4)
        distances = np.hypot(*_gaps(box, others).clip(0))
        near = distances < tallest / 2 if short[part] else _belongs(box, others, tallest)
        if near.any():
            members, other = groups.pop(int(np.argmin(np.where(near, distances, np.inf))))
            numbers = members + numbers
            box = np.r_[np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])]
        elif short[part]:  # a speck
            continue
        groups.append((numbers, box))
    return groups


def _gaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return how far boxes are apart across and down, (2, n), less than 0 where they overlap."""
    return (np.maximum(box[:2], others[:, :2]) - np.minimum(box[2:], others[:, 2:])).T


def _belongs(box: np.ndarray, others: np.ndarray, tallest: int) -> np.ndarray:
    """Say which parts are one digit with this: above or below it, close or together no taller."""
    wide, tall = (np.minimum(box[n + 2] - box[n], others[:, n + 2] - others[:, n]) for n in (0, 1))
    across, down = _gaps(box, others)
    together = np.maximum(box[3], others[:, 3]) - np.minimum(box[1], others[:, 1])
    return (-across > wide / 2) & ((down < tall / 5) | (together < 1.2 * tallest))


def _resize(grey: np.ndarray, width: int, height: int, method: Image.Resampling) -> np.ndarray:
    resized = Image.fromarray(grey.astype("float32")).resize((width, height), method)
    return np.asarray(resized, "float64")


def _make_input(ink: np.ndarray) -> np.ndarray:
    """Scale and place ink, (height, width) of any size; the result is (28, 28, 1)."""
    ink = np.pad(_crop(ink), 1)
    # MNIST's digits were reduced from larger ones, so small ink is enlarged before.
    factor = -(-100 // max(ink.shape))
    ink = _resize(ink, factor * ink.shape[1], factor * ink.shape[0], Image.Resampling.BICUBIC)
    ink = _crop((ink / np.percentile(ink[ink > ink.max() / 2], 90)).clip(0, 1), 0.05)
    height, width = (max(1, round(side * 20 / max(ink.shape))) for side in ink.shape)
    small = _resize(ink, width, height, Image.Resampling.BOX)
    small = small / small.max()
    centre = ndimage.center_of_mass(small)
    top, left = np.clip([round(14 - c) for c in centre], 0, np.subtract(28, small.shape))
    digit = np.zeros((28, 28, 1), "float32")
    digit[top : top + height, left : left + width, 0] = small
    return digit


def _crop(ink: np.ndarray, level: float = 0) -> np.ndarray:
    """Cut off the rows and columns at the borders in which nothing exceeds `level`."""
    rows, columns = (np.flatnonzero((ink > level).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _grey_levels(image: Picture) -> np.ndarray:
    """Return a picture's grey levels, (height, width) float64 in 0–255, upright, sides ≤ 800."""
    if isinstance(image, Image.Image):
        return _read_grey(image)
    if isinstance(image, np.ndarray):
        return _read_grey(_picture_from_array(image))
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            picture = Image.open(image)
        with picture:
            _check_size(picture.size)
            picture.draft("RGB", (MAX_SIDE, MAX_SIDE))
            return _read_grey(picture)
    except Image.DecompressionBombError:
        refusal = translated("{file} has more than {most:,} pixels")
        raise ValueError(refusal.format(file=os.fspath(image), most=MAX_PIXELS)) from None
    except (OSError, SyntaxError, EOFError, struct.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        refusal = translated("{file} is not a readable picture")
        raise ValueError(refusal.format(file=os.fspath(image))) from error


def _picture_from_array(array: np.ndarray) -> Image.Image:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(
            "image must have shape (height, width) or (height, width, 1, 3 or 4), "
            f"not {array.shape}"
        )
    _check_size(array.shape[1::-1])
    if array.dtype == bool or np.issubdtype(array.dtype, np.floating):
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 1):
            raise ValueError(f"a float image must be from 0 to 1, not {low:g} to {high:g}")
        # In blocks, since the product of a large array would take gigabytes.
        blocks = np.array_split(array, 1 + array.size // 2**20)
        array = np.concatenate([np.round(rows * 255.0).astype("uint8") for rows in blocks])
    elif array.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (0 to 255), bool or float, not {array.dtype}")
    return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


def _check_size(size: tuple[int, ...]) -> None:
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        refusal = translated(
            "the picture must have from 1 to {most:,} pixels, not {width} × {height}"
        )
        raise ValueError(refusal.format(most=MAX_PIXELS, width=size[0], height=size[1]))


def _read_grey(picture: Image.Image) -> np.ndarray:
    _check_size(picture.size)
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I")
    elif picture.mode in ("1", "P", "PA", "HSV") or "transparency" in picture.info:
        # The mean of two such levels says nothing.
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture = picture.reduce(max(1, max(picture.size) // (2 * MAX_SIDE)))  # before it is copied
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("I", "F"):
        levels = np.asarray(picture, dtype="float32")
        if not np.isfinite(levels).all():
            raise ValueError(translated("grey levels must be finite, not NaN or infinity"))
        full = next((top for top in (1, 255, 65535) if levels.max() <= top), levels.max())
        picture = Image.fromarray((levels.clip(0) * (255 / full)).astype("uint8"))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        levels, opacity = np.moveaxis(np.asarray(picture.convert("LA")), 2, 0)
        seen = levels[opacity > 127]  # white strokes would not show on white
        ground = "black" if seen.size and seen.min() > 127 else "white"
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, ground), picture)
    picture = picture.convert("RGB").convert("L")
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return np.asarray(picture, dtype="float64")
