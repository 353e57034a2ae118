import numpy as np
import pytest
from scipy import ndimage

from mnist_cnn import augmentation, preprocess

IDENTITY = np.float32([[[1, 0, 0], [0, 1, 0]]])


@pytest.fixture(scope="module")
def digits(mnist):
    """Fifty real digits as the network takes them."""
    return preprocess.prepare(mnist[0][0][:50])


def test_the_identity_gives_the_images_back_bit_for_bit(digits):
    maps = np.repeat(IDENTITY, len(digits), axis=0)
    assert np.array_equal(augmentation.warp(digits, maps), digits)


def test_no_limit_is_the_identity():
    maps = augmentation.random_maps(np.random.default_rng(0), 5)
    assert np.array_equal(maps, np.repeat(IDENTITY, 5, axis=0))


def test_a_whole_pixel_moves_the_image(digits):
    maps = np.repeat(IDENTITY, len(digits), axis=0)
    maps[:, :, 2] = [2, -1]  # a new pixel is taken two rows below, one column to the left
    moved = augmentation.warp(digits, maps)
    assert np.array_equal(moved[:, :26, 1:], digits[:, 2:, :27])
    assert not moved[:, 26:].any() and not moved[:, :, 0].any()


def test_every_pixel_is_where_scipy_puts_it(digits):
    maps = augmentation.random_maps(
        np.random.default_rng(3), 50, max_shift=3, max_rotation=30, max_zoom=0.3, max_shear=0.3
    )
    for image, new, (*_, shift), linear in zip(
        digits, augmentation.warp(digits, maps), maps.transpose(0, 2, 1), maps[..., :2], strict=True
    ):
        expected = ndimage.affine_transform(
            image[..., 0], linear, shift, order=1, mode="grid-constant"
        )
        np.testing.assert_allclose(new[..., 0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("limits", "read"),
    [
        ({"max_shift": 2.5}, lambda maps: maps[:, :, 2]),
        ({"max_rotation": 20}, lambda maps: np.degrees(np.arcsin(maps[:, 1, 0]))),
        ({"max_zoom": 0.2}, lambda maps: maps[:, 0, 0] - 1),
        ({"max_shear": 0.3}, lambda maps: maps[:, 1, 0]),
    ],
)
def test_a_map_stays_within_its_limit_and_fills_it(limits, read):
    (limit,) = limits.values()
    drawn = read(augmentation.random_maps(np.random.default_rng(0), 2000, **limits))
    assert drawn.min() >= -limit - 1e-4 and drawn.max() <= limit + 1e-4
    assert drawn.min() < -0.98 * limit and drawn.max() > 0.98 * limit


def test_the_centre_stays_where_it_is():
    maps = augmentation.random_maps(
        np.random.default_rng(0), 100, max_rotation=40, max_zoom=0.3, max_shear=0.3
    )
    np.testing.assert_allclose(maps @ np.float32([13.5, 13.5, 1]), 13.5, atol=1e-5)
