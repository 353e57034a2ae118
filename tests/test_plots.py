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
    assert [int(text.get_text()) for text in ax.texts] == matrix.ravel().tolist()
    shades = ax.images[0].get_array()
    assert np.array_equal(shades, np.where(np.eye(10), 0, matrix))
    assert np.array_equal(matrix, before)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted digit", "true digit")
