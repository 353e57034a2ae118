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
# In MNIST, the edge of a stroke is about 1.2 pixels wide, and up to 2 after enlarging; a stroke
# itself is 2 to 3, at the outside 1.2 to 5.
MAX_EDGE_WIDTH = 2
STROKE_WIDTH = (1.2, 5)
# What the logits of the network "best" are divided by, so that its scores are honest for digits
# from elsewhere: benchmarks/foreign_digits.py chooses it on one half of scikit-learn's digits.
TEMPERATURE = 0.65
# Answers below this probability are not sure: nine in ten digits of that half reach it.
THRESHOLD = 0.94
TOUCHING = np.ones((3, 3))  # pixels that touch at a corner belong together

Picture = str | os.PathLike | Image.Image | np.ndarray


def digit_from_image(image: Picture) -> np.ndarray:
    """Turn a picture of one digit into network input, the way MNIST was made.

    The paper's brightness is estimated all over the picture, what differs from it is ink. Ruled
    lines, frames, and what the border cuts off are left out. The ink is cropped, its strokes are
    redrawn if they are blurred or far thinner or thicker than MNIST's, it is scaled to 20 pixels
    along its longer side with antialiasing, and placed with its centre of mass on pixel (14, 14)
    of a 28 × 28 square.

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
    """Turn a picture of digits into network input, line by line, from left to right.

    Connected ink is one digit. Parts close above each other belong together if they overlap by
    half of the narrower one's width; a part less than half as high as the tallest, such as the
    loose bar of a 5, belongs to the nearest digit if that is near, and else is left out. Digits
    that touch are not told apart. `line_numbers` says which line a box is in.

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
    ink = _find_ink(image)
    parts, _ = ndimage.label(ink, TOUCHING)
    groups = _group_parts(parts)
    height, width = ink.shape
    boxes = np.array([box for _, box in groups]) / (width, height, width, height)
    order = np.lexsort([boxes[:, 0], line_numbers(boxes)])
    digits = [_make_input(np.where(np.isin(parts, groups[n][0]), ink, 0)) for n in order]
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
    >>> import numpy as np
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
    >>> import numpy as np
    >>> probabilities(np.array([[0.9, 0.1]]), temperature=0.5).round(3)
    array([[0.988, 0.012]])
    """
    return softmax(np.log(np.maximum(scores, 1e-30)) / temperature, axis=1)


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
    left, top = (int(random.integers(0, side - n + 1)) for n in drawn.size)
    sheet.paste(drawn, (left, top))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    direction, strength = random.uniform(0, 2 * np.pi), random.uniform(10, 40)
    paper = random.uniform(170, 210) + strength * (x * np.cos(direction) + y * np.sin(direction))
    grey = paper + (random.uniform(20, 80) - paper) * np.asarray(sheet).clip(0, 1)
    grey += random.normal(0, random.uniform(2, 8), grey.shape)
    return grey.round().clip(0, 255).astype("uint8")


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
        raise ValueError(
            translated("a digit needs at least {least} pixels along each axis, not {shape}").format(
                least=MIN_INK_SIDE, shape=grey.shape
            )
        )
    found = [(ink, grey) for grey in (grey, 255 - grey) if (ink := _dark_ink(grey)) is not None]
    if not found:
        raise ValueError(translated("the picture is blank: nothing stands out from its background"))
    ink, _ = max(found, key=lambda pair: _likeness(*pair))
    longest = max(_crop(ink).shape)
    if longest < MIN_INK_SIDE:
        raise ValueError(
            translated("ink must be at least {least} pixels high or wide, not {longest}").format(
                least=MIN_INK_SIDE, longest=longest
            )
        )
    return ink


def _dark_ink(grey: np.ndarray) -> np.ndarray | None:
    """Return what is written if the ink is darker than the paper, or None if nothing is."""
    ink = np.maximum(np.round(_paper(grey) - grey), 0)
    strokes = _strokes(_without_lines(ink))
    return None if strokes is None else _without_surroundings(strokes)


def _paper(grey: np.ndarray) -> np.ndarray:
    """Return how bright the paper is at each pixel, strokes painted over, shadows kept.

    A morphological closing fills each dark valley that its square does not fit into. The square
    is three quarters as wide as the picture, so every stroke is filled. A shadow that reaches the
    border is not, since the border's levels are continued outwards.
    """
    shrunk = min(1, 128 / max(grey.shape))  # of light, a small picture says enough
    height, width = (max(1, round(side * shrunk)) for side in grey.shape)
    small = _fill_border_strokes(_resize(grey, width, height, Image.Resampling.BOX))
    window = max(20, min(small.shape) * 3 // 4)
    small = ndimage.grey_closing(np.pad(small, window, mode="edge"), (window, window))
    small = small[window:-window, window:-window]
    return _resize(small, grey.shape[1], grey.shape[0], Image.Resampling.BILINEAR)


def _fill_border_strokes(grey: np.ndarray) -> np.ndarray:
    """Paint over what looks like a stroke along the border: dark, and sharp at both its ends."""
    place = np.arange(grey.size).reshape(grey.shape)
    around = np.concatenate([place[0, :-1], place[:-1, -1], place[-1, :0:-1], place[:0:-1, 0]])
    around = np.roll(around, -np.argmax(grey.flat[around]))  # so that no stroke is cut in two
    border = grey.flat[around]
    depth = ndimage.grey_closing(border, max(3, round(0.3 * len(border))), mode="wrap") - border
    filled = border.copy()
    for (run,) in ndimage.find_objects(ndimage.label(depth > MIN_CONTRAST / 2)[0]):
        first, last = run.start, run.stop - 1
        outside = border[[first - 2, (last + 2) % len(border)]]
        inside = border[[min(first + 1, last), max(last - 1, first)]]
        if min(outside - inside) > depth[run].max() / 2:
            filled[run] += depth[run]
    result = grey.copy()
    result.flat[around] = filled
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
    return np.where(np.isin(parts, 1 + np.flatnonzero(sizes > sizes.max() / 50)), ink, 0)


def _without_surroundings(ink: np.ndarray) -> np.ndarray | None:
    """Leave out frames, axes, dark edges, and objects that the picture's border cuts off.

    Of the parts that touch the border, those are kept that are as tall as the free ones and do
    not run along it; all but straight edges, if no part is free.
    """
    parts, count = ndimage.label(ink, TOUCHING)
    found = ndimage.find_objects(parts)
    left, top, right, bottom = _boxes(found).T
    wide, tall = right - left, bottom - top
    height, width = ink.shape
    border = (left == 0) | (top == 0) | (right == width) | (bottom == height)
    edge = border & (
        ((wide > 0.9 * width) & (tall < height / 12))
        | ((tall > 0.9 * height) & (wide < width / 12))
    )
    if edge.all():
        return None
    cut = np.zeros(count)  # how much of a part's height lies on the left or the right border
    frame = np.zeros(count, bool)
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    for n, box in enumerate(found):
        part = parts[box] == n + 1
        ends = part[:, 0].sum() * (left[n] == 0), part[:, -1].sum() * (right[n] == width)
        cut[n] = max(ends) / tall[n]
        inside = (left[n] < centre_x) & (centre_x < right[n])
        inside &= (top[n] < centre_y) & (centre_y < bottom[n])
        inside &= (wide < 0.9 * wide[n]) & (tall < 0.95 * tall[n])
        inside &= np.maximum(wide, tall) > max(wide[n], tall[n]) / 4
        frame[n] = inside.any() and part.mean() < 0.4
    keep = ~frame & ~edge
    if (free := keep & ~border).any():
        ratio = tall / tall[free].max()
        keep &= ~border | ((ratio > 0.7) & (ratio < 1.5) & (cut < 0.5))
    return np.where(np.isin(parts, 1 + np.flatnonzero(keep)), ink, 0) if keep.any() else ink


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
    length = strong.sum() / _stroke_width(strong) ** 2  # in widths of a stroke
    share = strong.mean()
    return float(length * share**0.5 * (1 - share) ** 2 * (contrast * real) ** 2)


def _stroke_width(mask: np.ndarray) -> float:
    """Return the mean width in pixels: across a stroke, the mean depth is a quarter of it."""
    return 4 * float(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask].mean())


def _boxes(found: list[tuple[slice, slice]]) -> np.ndarray:
    return np.array([(x.start, y.start, x.stop, y.stop) for y, x in found])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of the narrower box's width that both have in common."""
    common = min(one[2], other[2]) - max(one[0], other[0])
    return common / min(one[2] - one[0], other[2] - other[0])


def _group_parts(parts: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Return the parts' numbers and the box (left, top, right, bottom) of each digit."""
    boxes = _boxes(ndimage.find_objects(parts))
    heights = boxes[:, 3] - boxes[:, 1]
    tallest = heights.max()
    short = heights < tallest / 2
    groups: list[tuple[list[int], np.ndarray]] = []
    for part in np.lexsort([boxes[:, 0], short]):  # the tall parts first, each lot from the left
        numbers, box = [part + 1], boxes[part]
        distances = [_distance(box, other) for _, other in groups]
        if short[part]:
            joined = [n for n, distance in enumerate(distances) if distance < tallest / 2]
            if not joined:  # a speck
                continue
        else:
            joined = [
                n
                for n, (_, other) in enumerate(groups)
                if _overlap(box, other) > 0.5 and _belongs(box, other, tallest)
            ]
        if joined:
            members, other = groups.pop(min(joined, key=distances.__getitem__))
            numbers = members + numbers
            box = np.r_[np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])]
        groups.append((numbers, box))
    return groups


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    gaps = np.maximum(one[:2], other[:2]) - np.minimum(one[2:], other[2:])
    return float(np.hypot(*gaps.clip(0)))


def _belongs(one: np.ndarray, other: np.ndarray, tallest: int) -> bool:
    """Say whether two parts above each other are one digit: close, or no taller than another."""
    together = max(one[3], other[3]) - min(one[1], other[1])
    gap = max(one[1], other[1]) - min(one[3], other[3])
    return gap < min(one[3] - one[1], other[3] - other[1]) / 5 or together < 1.2 * tallest


def _resize(grey: np.ndarray, width: int, height: int, method: Image.Resampling) -> np.ndarray:
    resized = Image.fromarray(grey.astype("float32")).resize((width, height), method)
    return np.asarray(resized, "float64")


def _make_input(ink: np.ndarray) -> np.ndarray:
    """Scale and place ink, (height, width) of any size; the result is (28, 28, 1)."""
    ink = _crop(_clarify(_crop(ink)), 0.05)
    height, width = (max(1, round(side * 20 / max(ink.shape))) for side in ink.shape)
    small = _resize(ink, width, height, Image.Resampling.BOX)
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
    longest = max(ink.shape)
    factor = -(-100 // longest)
    pixel = factor * longest / 20  # of the final digit
    ink = np.pad(ink, 1 + longest // 20)  # room to thicken a stroke
    size = factor * ink.shape[1], factor * ink.shape[0]
    ink = _resize(ink, *size, Image.Resampling.BICUBIC)
    ink = (ink / np.percentile(ink[ink > ink.max() / 2], 90)).clip(0, 1)
    slope = np.hypot(*np.gradient(ndimage.gaussian_filter(ink, pixel / 5)))
    edge_width = slope.sum() / (slope**2).sum() / pixel
    # Blurring has filled narrow gaps and loops; against the neighbourhood's mean they show again.
    inside = ink + 1.5 * (ink - ndimage.gaussian_filter(ink, 1.5 * pixel)) > 0.5
    depth, away = (ndimage.distance_transform_edt(mask) for mask in (inside, ~inside))
    distance = (depth - away) / pixel
    stroke_width = 4 * distance[inside].mean()
    thinnest, thickest = STROKE_WIDTH
    if edge_width <= MAX_EDGE_WIDTH and thinnest <= stroke_width <= thickest:
        return ink
    missing = np.clip(stroke_width, 2, 3) - stroke_width
    return (distance + missing / 2 + 0.5).clip(0, 1)


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(image)
        with picture:
            _check_size(picture.size)
            picture.draft("RGB", (MAX_SIDE, MAX_SIDE))
            return _read_grey(picture)
    except Image.DecompressionBombError:
        raise ValueError(
            translated("{file} has more than {most:,} pixels").format(
                file=os.fspath(image), most=MAX_PIXELS
            )
        ) from None
    except (OSError, SyntaxError, EOFError, struct.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise ValueError(
            translated("{file} is not a readable picture").format(file=os.fspath(image))
        ) from error


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
        # In blocks, since the product of a large array would take gigabytes.
        blocks = np.array_split(array, 1 + array.size // 2**20)
        array = np.concatenate([np.round(rows * 255.0).astype("uint8") for rows in blocks])
    elif array.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (0 to 255), bool or float, not {array.dtype}")
    return Image.fromarray(array[..., 0] if array.shape[2:] == (1,) else array)


def _check_size(size: tuple[int, ...]) -> None:
    if not 0 < size[0] * size[1] <= MAX_PIXELS:
        raise ValueError(
            translated(
                "the picture must have from 1 to {most:,} pixels, not {width} × {height}"
            ).format(most=MAX_PIXELS, width=size[0], height=size[1])
        )
    if min(size) < MIN_INK_SIDE:
        raise ValueError(
            translated("a digit needs at least {least} pixels along each axis, not {shape}").format(
                least=MIN_INK_SIDE, shape=size
            )
        )


def _read_grey(picture: Image.Image) -> np.ndarray:
    _check_size(picture.size)
    picture = ImageOps.exif_transpose(_reduce(picture))
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
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


def _reduce(picture: Image.Image) -> Image.Image:
    """Return the picture with sides of about twice `MAX_SIDE`, before larger ones are copied."""
    factor = max(picture.size) // (2 * MAX_SIDE)
    if factor < 2:
        return picture
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I")
    elif picture.mode in ("1", "P", "PA", "HSV") or "transparency" in picture.info:
        # The mean of two such levels says nothing.
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture = picture.reduce(factor)
    picture.getexif()[ExifTags.Base.Orientation] = orientation
    return picture
