import base64
import io

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from mnist_cnn import model, plots
from mnist_cnn.course import notebooks

HISTORY = {"accuracy": [0.5, 0.8, 0.9], "loss": [1.0, 0.5, 0.25]}


def test_a_cell_shows_the_figure_that_it_ends_with_once_and_sharp(tmp_path):
    """A helper's figure, and one of the student's own; twice the pixels, the same bytes again."""
    cells = ["import numpy as np\nfrom mnist_cnn import plots"]
    cells += ["plots.digit_grid(np.eye(28)[np.newaxis].repeat(3, axis=0), columns=3)"] * 2
    cells += ["import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"]
    nbformat.write(
        new_notebook(cells=[new_code_cell(source) for source in cells]), tmp_path / "a.ipynb"
    )
    outputs = [cell.outputs for cell in notebooks.execute(tmp_path / "a.ipynb").cells]
    assert [len(shown) for shown in outputs] == [0, 1, 1, 1]
    first, again, own = (shown[0] for shown in outputs[1:])
    assert first.data["image/png"] == again.data["image/png"]
    for output in (first, own):
        size = output.metadata["image/png"]
        image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert image.width == pytest.approx(2 * size["width"], abs=1)


def test_every_figure_makes_room_for_its_labels():
    assert Figure().get_layout_engine() is not None


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
    ("shape", "titles", "message"),
    [
        ((0, 28, 28), None, "at least one image"),
        ((2, 28, 28), ["5"], "as many as images (2), not 1"),
        ((28, 28, 1), None, "(n, 28, 28, 1), not (28, 28, 1)"),
    ],
)
def test_digit_grid_refuses(shape, titles, message):
    with pytest.raises(ValueError) as error:
        plots.digit_grid(np.zeros(shape), titles)
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


def test_confusion_heatmap_writes_every_count_but_zeros_and_shades_mistakes():
    matrix = np.random.default_rng(0).integers(0, 30, (10, 10))
    before = matrix.copy()
    [ax] = plots.confusion_heatmap(matrix).axes
    written = {text.get_position(): int(text.get_text()) for text in ax.texts}
    assert written == {(j, i): n for (i, j), n in np.ndenumerate(matrix) if n}
    assert len(written) < matrix.size
    shades = ax.images[0].get_array()
    assert np.array_equal(shades.mask, np.eye(10, dtype=bool))  # the diagonal has no shade
    assert np.array_equal(shades.filled(0), np.where(np.eye(10), 0, matrix))
    assert np.array_equal(matrix, before)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit")


def test_filter_grid_draws_every_kernel_on_one_scale_below_its_number():
    kernels = np.random.default_rng(0).normal(size=(12, 3, 3))
    *axes, bar = plots.filter_grid(kernels, range(30, 42)).axes
    for ax, kernel, number in zip(axes, kernels, range(30, 42), strict=True):
        assert np.array_equal(ax.images[0].get_array(), kernel)
        assert ax.get_title() == str(number)
    (clim,) = {ax.images[0].get_clim() for ax in axes}
    assert clim[0] == -clim[1] and clim[1] > np.abs(kernels).max()
    assert bar.get_ylabel() == "weight"


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


def written(ax):
    """Return the numbers that stand in the cells of a panel, (row, column) to text."""
    return {text.get_position()[::-1]: text.get_text() for text in ax.texts}


def test_convolution_step_writes_the_numbers_of_one_window():
    patch, kernel = np.arange(16.0).reshape(4, 4), np.array([[1.0, 0], [0, -2]])
    figure = plots.convolution_step(patch, kernel, np.full((3, 3), -7.0), row=1, column=2)
    pixels, weights, products, sums = figure.axes
    for ax, values in ((pixels, patch), (weights, kernel), (products, [[6, 0], [0, -22]])):
        assert written(ax) == {cell: f"{value:.0f}" for cell, value in np.ndenumerate(values)}
    assert set(written(sums).values()) == {"-7"}
    frames = [ax.patches[0].get_bbox().extents.tolist() for ax in (pixels, sums)]
    assert frames == [[1.5, 0.5, 3.5, 2.5], [1.5, 0.5, 2.5, 1.5]]


def test_layer_shapes_write_the_shape_of_every_output(keras):
    network = model.build_model()
    (ax,) = plots.layer_shapes(network, np.zeros((28, 28))).axes
    shapes = [text.get_text().split("\n")[1] for text in ax.texts]
    outputs = [layer.output.shape[1:] for layer in network.layers]
    assert shapes == ["×".join(map(str, shape)) for shape in [(28, 28, 1), *outputs]]
    assert len(ax.patches) == 1 + 4 * 5 + 3  # a frame, five sheets for maps, one for a vector


def test_one_hot_rows_write_each_row_beside_its_image(mnist):
    images, rows = mnist[0][0][:3], np.eye(10)[[5, 0, 4]]
    left, right = plots.one_hot_rows(images, rows).axes
    assert np.array_equal(left.images[0].get_array(), np.concatenate(images))
    assert written(right) == {cell: f"{value:.0f}" for cell, value in np.ndenumerate(rows)}


def test_error_gallery_keeps_its_size_and_leaves_out_what_does_not_fit(mnist):
    scores = np.eye(10)[[3, 4, 5]] * 0.75
    sizes = set()
    for count in (1, 3):
        images, labels = mnist[1][0][:count], mnist[1][1][:count]
        figure = plots.error_gallery(images, labels, scores[:count], rows=1, columns=2)
        titles = [ax.get_title() for ax in figure.axes if ax.images]
        assert titles == ["7→3\n0.750", "2→4\n0.750"][:count]
        sizes.add(tuple(figure.get_size_inches()))
    assert len(sizes) == 1
