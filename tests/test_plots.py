import base64
import io
import itertools

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from mnist_cnn import evaluation, model, plots
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


def test_feature_maps_stand_below_their_kernels_clipped_on_one_scale():
    rng = np.random.default_rng(0)
    kernels, maps = rng.normal(size=(16, 3, 3)), rng.random((16, 26, 26))
    maps[0, 0, 0] = 1_000
    axes = np.reshape(plots.feature_maps(maps, range(16), kernels=kernels).axes, (4, 8))
    for above, below, kernel, values, number in zip(
        axes[::2].ravel(), axes[1::2].ravel(), kernels, maps, range(16), strict=True
    ):
        assert np.array_equal(above.images[0].get_array(), kernel)
        assert above.get_title() == str(number)
        assert np.array_equal(below.images[0].get_array(), values)
        assert below.images[0].get_clim() == (0, np.percentile(maps, 98))


def test_each_number_of_a_map_stands_in_the_middle_of_what_it_sees(mnist):
    maps = np.random.default_rng(0).random((8, 11, 11))
    for ax in plots.feature_maps(maps, range(8), digit=mnist[0][0][0]).axes:
        left, right, bottom, top = ax.images[0].get_extent()
        assert (left, top) == (2.5, 2.5)  # the first sees pixels 0 to 7: its middle is 3.5
        assert (right, bottom) == (24.5, 24.5)
        assert ax.collections, "the outline of the digit"


def test_patch_rows_give_each_filter_a_row_down_the_first_column_then_the_next():
    patches = np.random.default_rng(0).random((4, 6, 8, 8))
    axes = plots.patch_rows(patches, [7, 1, 3, 9]).axes
    for ax, index in zip(axes, (0, 2, 1, 3), strict=True):
        strip = ax.images[0].get_array()
        assert strip.shape == (8, 6 * 9 - 1)
        cut = [strip[:, left : left + 8] for left in range(0, 54, 9)]
        assert np.array_equal(cut, patches[index])
        assert ax.get_ylabel() == str([7, 1, 3, 9][index])
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
        # Of each class the points, then its large digit and the white around that.
        for digit, dots in enumerate(ax.collections[::3]):
            assert np.array_equal(dots.get_offsets(), places[labels == digit])
        assert len(ax.collections) == 30


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


def test_the_loss_along_a_step_points_to_where_the_curve_leaves_the_picture():
    step_sizes = np.geomspace(0.01, 10, 4)
    (ax,) = plots.loss_along_step(step_sizes, np.array([2.2, 1.8, 2.4, 9.0]), 2.3).axes
    curve, start = ax.lines
    assert curve.get_xdata().tolist() == step_sizes.tolist()
    assert curve.get_ydata().tolist() == [2.2, 1.8, 2.4, 9.0]
    assert set(start.get_ydata()) == {2.3}
    assert [text.get_text() for text in ax.texts] == ["9.0 at a\nstep of 10"]
    assert ax.get_ylim()[1] < 9
    (ax,) = plots.loss_along_step(step_sizes, np.array([2.2, 1.8, 1.9, 2.4]), 2.3).axes
    assert not ax.texts and ax.get_ylim()[1] > 2.4


def test_time_and_accuracy_joins_the_means_and_names_each_apart_from_its_neighbours():
    names = ["as it was", "larger batches", "warm-up", "shifts", "fewer epochs"]
    seconds = [400.0, 150.0, 30.0, 29.0, 28.0]
    expected = [0.985, 0.986, 0.99, 0.9901, 0.993]
    accuracies = [[mean - 0.0005, mean + 0.0005] for mean in expected]
    figure = plots.time_and_accuracy(names, seconds, accuracies)
    (ax,) = figure.axes
    means, *seeds = ax.lines
    assert means.get_xdata().tolist() == seconds
    assert means.get_ydata().tolist() == pytest.approx(expected)
    assert [line.get_ydata().tolist() for line in seeds] == accuracies
    assert [text.get_text() for text in ax.texts] == names
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without their lines
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


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


def test_edge_maps_stand_below_their_kernels_before_and_after_relu(mnist):
    rng = np.random.default_rng(0)
    kernels = {name: rng.normal(size=(3, 3)) for name in "ab"}
    maps = {name: rng.normal(size=(26, 26)) for name in "ab"}
    axes = np.reshape(plots.edge_maps(mnist[0][0][0], kernels, maps).axes, (3, 3))
    assert np.array_equal(axes[0, 0].images[0].get_array(), mnist[0][0][0])
    for column, name in zip(axes.T[1:], "ab", strict=True):
        drawn = [ax.images[0].get_array() for ax in column]
        assert np.array_equal(drawn[0], kernels[name]) and np.array_equal(drawn[1], maps[name])
        assert np.array_equal(drawn[2], maps[name].clip(0))
        assert column[0].get_title() == name and len(column[0].texts) == 9


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


def test_a_reliability_diagram_has_bars_for_bins_of_ten_images_or_more():
    curve = evaluation.Reliability(
        np.array([0.35, 0.95]), np.array([0.4, 0.9]), np.array([5, 100]), 0.05
    )
    top, bottom = plots.reliability_diagram({"a network": curve}).axes
    line, _, (bars,) = top.containers[0]
    assert line.get_xydata().tolist() == [[0.95, 0.9]]
    ((_, low), (_, high)) = bars.get_segments()[0]
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=1e-4)  # Wilson's for 90 of 100
    assert bottom.lines[0].get_xydata().tolist() == [[0.35, 5], [0.95, 100]]
    assert [text.get_text() for text in top.get_legend().texts] == ["as sure as right", "a network"]


def test_the_dashboard_draws_the_run_its_mistakes_and_the_share_misread():
    history = HISTORY | {f"val_{name}": values[::-1] for name, values in HISTORY.items()}
    matrix = np.diag([50] * 10)
    matrix[4, 9] = matrix[4, 4] = 25
    figure = plots.dashboard(history, matrix, "A run")
    accuracy, mistakes, misread, loss = figure.axes
    for ax, name in ((accuracy, "accuracy"), (loss, "loss")):
        lines = [line.get_ydata().tolist() for line in ax.lines]
        assert lines == [history[name], history[f"val_{name}"]] and ax.get_ylabel() == name
    assert (accuracy.get_yscale(), loss.get_yscale()) == ("linear", "log")
    assert written(mistakes) == {(4, 9): "25"}
    assert [bar.get_width() for bar in misread.patches] == [0] * 4 + [50] + [0] * 5
    assert figure.get_suptitle() == "A run"
