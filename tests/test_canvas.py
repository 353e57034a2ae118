"""The canvas of the notebooks: drawn in a browser, read in Python, recorded as a figure."""

import io

import nbformat
import numpy as np
import pytest
from PIL import Image

from mnist_cnn import canvas, networks, pictures
from mnist_cnn.course import forward, notebooks
from tests.chromium import needs_chromium, open_page

ONE = [[0.5, 0.2], [0.5, 0.8]]
FRAME = [[0.05, 0.05], [0.95, 0.05], [0.95, 0.95], [0.05, 0.95], [0.05, 0.05]]


@pytest.fixture
def drawing():
    network = networks.read("best")
    return canvas.DigitCanvas(lambda images: forward.predict(network, images))


def test_a_prepared_drawing_is_read_until_something_is_drawn(drawing):
    assert drawing.reading["text"].startswith("The prepared drawing is read as 5, probability 0.9")
    prepared = drawing.image
    drawing.strokes = [ONE]
    assert drawing.reading["text"].startswith("Your drawing is read as 1, probability 0.9")
    drawing.strokes = []
    np.testing.assert_array_equal(drawing.image, prepared)


def test_the_image_holds_the_strokes(drawing):
    drawing.strokes = [ONE, [[0.1, 0.9]]]
    assert (drawing.image.shape, drawing.image.dtype) == ((280, 280), np.uint8)
    dark = np.zeros((280, 280), bool)
    dark[46:235, 130:151] = True
    dark[241:264, 17:40] = True
    assert (drawing.image[~dark] == 255).all()
    assert (drawing.image[60:220, 132:149] == 0).all() and drawing.image[252, 28] == 0


def test_the_reading_is_that_of_the_chapter(drawing):
    drawing.strokes = [ONE, FRAME]
    digit = pictures.digit_from_image(drawing.image)
    scores = forward.predict(networks.read("best"), digit[np.newaxis])
    expected = pictures.probabilities(scores)[0]
    np.testing.assert_allclose(drawing.reading["probabilities"], expected)
    assert expected.argmax() == 1  # the frame is left out
    titles = [title for title, _ in drawing.reading["steps"]]
    assert titles == ["the drawing", "its ink", "cropped", "to the network"]


def test_what_cannot_be_read_is_said(drawing):
    drawing.strokes = [[[0, 0], [0, 1]]]
    assert drawing.reading["text"].startswith("Your drawing cannot be read: the picture is blank")
    assert drawing.reading["probabilities"] == [0] * 10
    assert len(drawing.reading["steps"]) == 1


def test_the_record_is_the_text_and_a_figure_and_stays(tmp_path):
    code = "import numpy as np\nfrom mnist_cnn.canvas import DigitCanvas\n\n"
    code += "DigitCanvas(lambda images: np.eye(10)[[7]])"
    cell = nbformat.v4.new_code_cell(code, metadata={"alt": "A 5"})
    path = tmp_path / "lesson.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    status = []
    for _ in range(2):
        status += [change.status for change in notebooks.update(path, notebooks.execute(path))]
    assert status == ["changed", "unchanged"]
    (output,) = nbformat.read(path, as_version=4).cells[0].outputs
    assert sorted(output.data) == ["image/png", "text/plain"]
    assert output.data["text/plain"] == "The prepared drawing is read as 7, probability 1.00."


PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Canvas</title>
<style>%s</style><main id="cell"></main><script type="module">
%s
const state = await python(null), actions = {};
const model = {
  get: (name) => state[name],
  set: (name, value) => ((state[name] = value), actions[`change:${name}`]?.()),
  save_changes: async () => {
    Object.assign(state, await python(state.strokes));
    actions["change:reading"]();
  },
  on: (name, action) => (actions[name] = action),
  off: (name) => delete actions[name],
};
const leave = widget.render({ model, el: document.getElementById("cell") });
Object.assign(window, { leave, actions });
</script>"""


@pytest.fixture
def page(drawing, browser, tmp_path):
    """The front end with a stand-in for Jupyter's model, whose other side is the real one."""

    def python(strokes):
        if strokes is not None:
            drawing.strokes = strokes
        return {name: getattr(drawing, name) for name in ("strokes", "example", "reading")}

    script = drawing._esm.replace("export default", "const widget =")
    file = tmp_path / "page.html"
    file.write_text(PAGE % (drawing._css, script), encoding="utf-8")
    page = open_page(browser, "about:blank")
    page.expose_function("python", python)
    page.goto(file.as_uri())
    page.wait_for_selector("p:has-text('prepared drawing is read as 5')")
    yield page
    assert page.complaints == []
    assert page.asked == {file.as_uri()}


def draw(page, path):
    box = page.locator("canvas").bounding_box()
    (start, *rest) = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
    page.mouse.move(*start)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def wait_for(page, text):
    page.wait_for_selector(f"p[aria-live]:has-text('{text}')")


def seen(page):
    """Return the shares of the paper that are black and grey on the screen."""
    grey = np.asarray(Image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("L"))
    return (grey[5:-5, 5:-5] < 50).mean(), (abs(grey[5:-5, 5:-5] - 204.0) < 20).mean()


@needs_chromium
def test_a_stroke_takes_the_place_of_the_prepared_drawing(page, drawing):
    black, grey = seen(page)
    assert black < 0.001 and grey > 0.05
    draw(page, ONE)
    wait_for(page, "Your drawing is read as 1")
    black, grey = seen(page)
    assert black == pytest.approx((drawing.image == 0).mean(), abs=0.005) and grey < 0.005
    shown = page.locator(".bars").inner_text().split()
    assert shown[2:4] == ["1", f"{drawing.reading['probabilities'][1]:.2f}"]
    assert page.locator("figcaption").all_inner_texts()[-1] == "to the network"
    sizes = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert (sizes[0], sizes[-1]) == (280, 28)


@needs_chromium
def test_undo_and_clear(page, drawing):
    for stroke in (ONE, FRAME, [[0.3, 0.3]]):
        draw(page, stroke)
    page.click("text=Undo")
    wait_for(page, "Your drawing is read as 1")
    assert len(drawing.strokes) == 2
    page.click("text=Clear")
    wait_for(page, "The prepared drawing")
    assert drawing.strokes == [] and seen(page)[1] > 0.05


@needs_chromium
def test_a_digit_is_drawn_with_the_keys(page, drawing):
    page.focus("canvas")
    for key in [*7 * ["ArrowUp"], " ", *16 * ["ArrowDown"], " "]:
        page.keyboard.press(key)
    wait_for(page, "Your drawing is read as 1")
    (stroke,) = drawing.strokes
    assert (stroke[0], stroke[-1]) == ([0.5, 0.29], [0.5, 0.77])


@needs_chromium
def test_nothing_is_wrong_for_a_screen_reader(page, axe):
    assert axe(page) == []


@needs_chromium
def test_a_closed_output_listens_no_more(page):
    page.evaluate("leave()")
    assert page.evaluate("Object.keys(actions)") == []
