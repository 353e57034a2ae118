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


def digit_from_image(image: str | os.PathLike | Image.Image | np.ndarray) -> np.ndarray:
    """Turn a picture of one digit into network input, the way MNIST was made.

    The paper's brightness is estimated from the picture's border, what differs from it is ink;
    the ink is cropped, scaled to 20 pixels along its longer side with antialiasing, and placed
    with its centre of mass on pixel (14, 14) of a 28 × 28 square.

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
    kept = np.isin(parts, 1 + np.flatnonzero(sizes > sizes.max() / 50))
    rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
    crop = np.where(kept, ink, 0)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longest = max(crop.shape)
    if longest < MIN_INK_SIDE:
        raise ValueError(
            f"the ink must be at least {MIN_INK_SIDE} pixels high or wide, not {longest}"
        )
    height, width = (max(1, round(side * 20 / longest)) for side in crop.shape)
    resampling = Image.Resampling.BOX if longest > 20 else Image.Resampling.BILINEAR
    small = Image.fromarray(crop.astype("float32")).resize((width, height), resampling)
    small = np.asarray(small) / np.max(small)
    centre = ndimage.center_of_mass(small)
    top, left = (
        min(max(0, round(14 - c)), 28 - side) for c, side in zip(centre, small.shape, strict=True)
    )
    digit = np.zeros((28, 28, 1), "float32")
    digit[top : top + height, left : left + width, 0] = small
    return digit


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


def _grey_levels(image: str | os.PathLike | Image.Image | np.ndarray) -> np.ndarray:
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
