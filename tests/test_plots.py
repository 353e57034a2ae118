import base64
import io

import IPython.display
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from mnist_cnn import plots

HISTORY = {"accuracy": [0.5, 0.8, 0.9], "loss": [1.0, 0.5, 0.25]}


@pytest.fixture
def shown(monkeypatch):
    """Collect what `show` displays."""
    displayed = []
    monkeypatch.setattr(
        IPython.display, "display", lambda data, **options: displayed.append((data, options))
    )
    return displayed


def test_show_displays_a_png_and_its_alt_text(mnist, shown):
    plots.show(plots.digit_grid(mnist[0][0][:3], [5, 0, 4], columns=3), alt="Three digits")
    [(data, options)] = shown
    assert data["text/plain"] == "Three digits"
    assert options == {"metadata": {"image/png": {"alt": "Three digits"}}, "raw": True}
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert (image.format, image.size) == ("PNG", (285, 120))
    assert "Software" not in image.info, "a record must not change with Matplotlib's version"


def test_the_same_figure_gives_the_same_bytes(mnist, shown):
    for _ in range(2):
        plots.show(plots.digit_grid(mnist[0][0][:10], title="Digits"), alt="Ten digits")
    assert shown[0] == shown[1]


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_figure_without_alt_text_is_refused(alt, shown):
    with pytest.raises(ValueError, match=r"^alt must say what the figure shows"):
        plots.show(Figure(), alt=alt)
    assert shown == []


@pytest.mark.parametrize("channel", [False, True])
def test_digit_grid_shows_each_image_once(mnist, channel):
    images = mnist[0][0][:12]
    figure = plots.digit_grid(
        images[..., np.newaxis] if channel else images, range(12), columns=5, title="Twelve"
    )
    drawn = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 15 and len(drawn) == 12
    for ax, image, title in zip(drawn, images, range(12), strict=True):
        assert np.array_equal(ax.images[0].get_array(), image)
        assert ax.get_title() == str(title)
    assert figure.get_suptitle() == "Twelve"


@pytest.mark.parametrize(
    ("count", "titles", "message"),
    [(0, None, "at least one image"), (2, ["5"], "as many as images (2), not 1")],
)
def test_digit_grid_refuses(count, titles, message):
    with pytest.raises(ValueError) as error:
        plots.digit_grid(np.zeros((count, 28, 28)), titles)
    assert message in str(error.value)


@pytest.mark.parametrize("validated", [False, True])
def test_history_panels_draw_every_value(validated):
    history = HISTORY | ({f"val_{k}": v[::-1] for k, v in HISTORY.items()} if validated else {})
    figure = plots.history_panels(history, "Ten epochs")
    assert figure.get_suptitle() == "Ten epochs"
    for ax, name in zip(figure.axes, ("accuracy", "loss"), strict=True):
        lines = [line.get_xydata().T.tolist() for line in ax.lines]
        names = (name, f"val_{name}")[: 1 + validated]
        assert lines == [[[1, 2, 3], history[key]] for key in names]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", name)
        assert (ax.get_legend() is not None) is validated


def test_confusion_heatmap_writes_every_count_and_shades_mistakes():
    matrix = np.random.default_rng(0).integers(0, 900, (10, 10))
    before = matrix.copy()
    [ax] = plots.confusion_heatmap(matrix).axes
    written = {text.get_position(): int(text.get_text()) for text in ax.texts}
    assert written == {(j, i): matrix[i, j] for i, j in np.ndindex(10, 10)}
    shades = ax.images[0].get_array()
    assert np.array_equal(shades, np.where(np.eye(10), 0, matrix))
    assert np.array_equal(matrix, before)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit")


def tiles(ax, columns, size):
    """Cut what `_tile` drew into its pictures again, row after row."""
    sheet = ax.images[0].get_array().filled(np.nan)
    step = size + -(-size // 5)
    cut = [
        sheet[top : top + size, left : left + size]
        for top in range(0, sheet.shape[0], step)
        for left in range(0, sheet.shape[1], step)
    ]
    assert sheet.shape[1] == columns * step - (step - size)
    return np.array(cut)


def test_filter_grid_draws_every_kernel_on_one_scale():
    kernels = np.random.default_rng(0).normal(size=(16, 3, 3))
    ax, bar = plots.filter_grid(kernels).axes
    assert np.array_equal(tiles(ax, 8, 3), kernels)
    low, high = ax.images[0].get_clim()
    assert low == -high and high > np.abs(kernels).max()
    assert bar.get_ylabel() == "weight"


def test_feature_maps_draw_the_digit_and_every_map(mnist):
    maps = {name: np.random.default_rng(0).random((16, n, n)) for name, n in [("a", 26), ("b", 11)]}
    figure = plots.feature_maps(mnist[0][0][0], maps)
    digit, first, empty, second = figure.axes
    assert np.array_equal(digit.images[0].get_array(), mnist[0][0][0]) and not empty.images
    for ax, (title, values) in zip((first, second), maps.items(), strict=True):
        assert ax.get_title() == title
        assert np.array_equal(tiles(ax, 8, values.shape[1]), values)
        assert ax.images[0].get_clim() == (0, values.max())


def test_patch_rows_give_each_filter_a_row_down_the_first_column_then_the_next():
    patches = np.random.default_rng(0).random((4, 6, 8, 8))
    axes = plots.patch_rows(patches).axes
    for ax, filter_index in zip(axes, (0, 2, 1, 3), strict=True):
        assert np.array_equal(tiles(ax, 6, 8), patches[filter_index])
    assert len({ax.images[0].get_clim() for ax in axes}) == 1


def test_relevance_draws_each_map_beside_its_digit_with_zero_in_the_middle(mnist):
    digits = mnist[0][0][:2]
    maps = {name: np.random.default_rng(i).normal(size=(2, 28, 28)) for i, name in enumerate("ab")}
    figure = plots.relevance(digits, maps)
    rows = np.array(figure.axes).reshape(2, 3)
    assert [ax.get_title() for ax in rows[0]] == ["", "a", "b"]
    for row, digit, *values in zip(rows, digits, *maps.values(), strict=True):
        for ax, picture in zip(row, (digit, *values), strict=True):
            assert np.array_equal(ax.images[0].get_array(), picture)
        assert all(sum(ax.images[0].get_clim()) == 0 for ax in row[1:])


def test_projections_draw_every_point_with_its_class():
    labels = np.arange(30) % 10
    points = {name: np.random.default_rng(i).normal(size=(30, 2)) for i, name in enumerate("ab")}
    figure = plots.projections(points, labels)
    for ax, (title, places) in zip(figure.axes, points.items(), strict=True):
        assert ax.get_title() == title
        for digit, dots in enumerate(ax.collections):
            assert np.array_equal(dots.get_offsets(), places[labels == digit])


def test_before_and_after_pairs_each_picture_with_its_digit():
    pictures = [np.full((40 + n, 50), 200, "uint8") for n in range(3)]
    figure = plots.before_and_after(pictures, np.zeros((3, 28, 28, 1)))
    assert [ax.images[0].get_array().shape for ax in figure.axes] == [
        *[(40, 50), (41, 50), (42, 50)],
        *[(28, 28)] * 3,
    ]
    with pytest.raises(ValueError):
        plots.before_and_after(pictures, np.zeros((2, 28, 28, 1)))


def test_boxes_are_drawn_where_they_are_and_numbered():
    boxes = np.array([[0.1, 0.2, 0.3, 0.8], [0.5, 0.0, 1.0, 1.0]])
    (ax,) = plots.boxed_digits(np.zeros((50, 100), "uint8"), boxes).axes
    assert [patch.get_bbox().extents.tolist() for patch in ax.patches] == [
        pytest.approx([10, 10, 30, 40]),
        pytest.approx([50, 0, 100, 50]),
    ]
    assert [text.get_text() for text in ax.texts] == ["1", "2"]


def test_risk_coverage_leaves_out_the_noise_of_few_answers():
    coverage = np.arange(1, 101) / 100
    (ax,) = plots.risk_coverage({"one": (coverage, coverage / 10)}).axes
    x, y = ax.lines[0].get_data()
    assert x.min() == pytest.approx(0.34) and x.max() == 1
    assert y.tolist() == pytest.approx((x / 10).tolist())
    assert ax.get_title() and ax.get_xlabel() and ax.get_ylabel()
