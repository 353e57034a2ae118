"""Right answers, wrong answers with the hint that fits, junk, and a student at a live kernel."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from mnist_cnn import data
from mnist_cnn.course import notebooks
from mnist_cnn.exercises import EXERCISES, check
from mnist_cnn.preprocess import one_hot

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def read_once(mnist, monkeypatch):
    """Some answers are worked out of the data, which is checked whenever it is read."""
    monkeypatch.setattr(data, "load_mnist", lambda: mnist)


@pytest.fixture(scope="module")
def rows(mnist):
    (_, y_train), _ = mnist
    return one_hot(y_train)


def said(exercise, answer):
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        check(exercise, answer)
    text = stdout.getvalue()
    assert text.count("\n") <= 2 and text.startswith(f"{exercise}: ")
    return " ".join(text.split()).removeprefix(f"{exercise}: ")


# From the data or worked out on paper; where a training decides, what one run gave.
RIGHT = {
    "01.1": 0.962,
    "01.2": np.int64(0),
    "01.3": 1.8945,
    "01.4": np.int64(90),
    "02.2": "b",
    "02.3": "c",
    "02.4": 0.10008,
    "03.1": 832 + 25_632 + 410_400 + 8_010,
    "03.2": 25_632 / 18_496,
    "03.3": [[0, 0, 0], [1, 0, 0], [0, 0, 0]],
    "03.4": np.array([[241, 253], [0, 186]], dtype="uint8"),
    "04.1": 1_173,
    "04.2": 0.0745,
    "04.3": np.float64(0.0079),
    "04.4": np.float32(0.0059777),
    "04.5": "B",
    "05.1": 50 / 60,
    "05.2": np.float32(0.973),
    "05.3": 2.1,
    "05.4": 2,
    "06.1": 7,
    "06.2": 1.51,
    "06.3": np.float64(2.2457),
    "06.4": 3,
    "07.1": 18,
    "07.2": 0.877,
    "07.3": " B) ",
    "07.4": "b",
    "08.1": 0.004,
    "08.2": 14,
    "08.3": "c",
    "08.4": np.float64(0.00049766),
    "09.1": 5.906,
    "09.2": np.int64(9),
    "09.3": 1088,
    "09.4": 4.0,
    "09.5": "c",
    "10.1": (3, -2),
    "10.2": np.int64(0),
    "10.3": 0.0468,
    "10.4": "b",
    "10.5": 3,
}

WRONG = [
    ("01.1", 96.2, "percent"),
    ("01.1", 0.038, "gets wrong"),
    ("01.1", 962, "counts the right ones"),
    ("01.1", 0.1, "guessing"),
    ("01.1", 0.8203, "first 1,000 test labels"),
    ("01.2", 1, "least ink"),
    ("01.2", 0.0051, "share"),
    ("01.2", 7656, "count"),
    ("01.2", 8, "bincount"),
    ("01.3", 1 / 1.8945, "wrong way up"),
    ("01.3", 0.823, "nearest"),
    ("01.3", 5, "Sort the 7s"),
    ("01.4", 28, "as it stands"),
    ("01.4", 0.9, "the number of right"),
    ("01.4", 10, "mistakes"),
    ("01.4", 35, "far too few"),
    ("01.4", 88, "Change the type"),
    ("02.2", "a", "order of the numbers"),
    ("02.2", "c", "other way round"),
    ("02.2", "d", "one channel"),
    ("02.3", "a", "labels"),
    ("02.3", "b", "seven digits"),
    ("02.4", 1, "Repeat the two calls"),
    ("02.4", 1 / 60_000, "kept their partner"),
    ("02.4", 0.9, "wrong label"),
    ("02.4", 6_005, "divide"),
    ("02.4", 10.008, "percent"),
    ("02.4", 0.12, "both orders"),
    ("03.1", 658_378, "3×3"),
    ("03.1", 800 + 25_600 + 409_600 + 8_000, "bias"),
    ("03.1", 832 + 25_632 + 640_800 + 8_010, "how many features"),
    ("03.1", 832 + 25_632 + (3 * 3 * 32 + 1) * 800 + 8_010, "Off by one"),
    ("03.1", 832 + 832 + 410_400 + 8_010, "32 channels"),
    ("03.1", 512, "features"),
    ("03.2", 18_496 / 25_632, "wrong way up"),
    ("03.2", 25_600 / 18_432, "biases"),
    ("03.2", 25_632 / 9_248, "two layers of 3×3"),
    ("03.2", 25 / 9, "two layers of 3×3"),
    ("03.2", 25_632 / 36_992, "one layer of 5×5"),
    ("03.3", [[0, 0, 0], [0, 0, 1], [0, 0, 0]], "to the left"),
    ("03.3", [[0, 1, 0], [0, 0, 0], [0, 0, 0]], "down"),
    ("03.3", [[0, 0, 0], [0, 0, 0], [0, 1, 0]], "up"),
    ("03.3", [[0, 0, 0], [0, 1, 0], [0, 0, 0]], "where it is"),
    ("03.3", [[1, 0, 0], [0, 0, 0], [0, 0, 0]], "down and to the right"),
    ("03.3", np.eye(3), "three pixels"),
    ("03.3", np.zeros((3, 3)), "All weights are 0"),
    ("03.3", [[0, 0, 0], [-1, 0, 1], [0, 0, 0]], "one is 1"),
    ("03.4", [[225, 241], [240, 253]], "with the bug"),
    ("03.4", [[241, 253], [186, 16]], "of each row"),
    ("03.4", [[35, 241], [240, 253]], "of each column"),
    ("03.4", [[89.25, 219.5], [0, 61.75]], "mean of each block"),
    ("03.4", [[241, 225], [0, 186]], "draw a line"),
    ("04.1", 1_170, "smaller"),
    ("04.1", 391, "one epoch"),
    ("04.1", 1_172, "round up"),
    ("04.1", 150_000 / 128, "round up"),
    ("04.1", 1_407, "held out"),
    ("04.1", 4_689, "batches of 32"),
    ("04.2", -0.0745, "before minus after"),
    ("04.2", -0.001, "image 0 alone"),
    ("04.2", -0.976, "images 32 to 63"),
    ("04.2", 2.3655, "difference"),
    ("04.2", 0.2, "fresh"),
    ("04.3", -0.0079, "minus the honest"),
    ("04.3", 0.9965, "one of the two"),
    ("04.3", 0.79, "percent"),
    ("04.3", 0.0051, "last epoch"),
    ("04.3", 0.1, "accuracy_of"),
    ("04.4", 0.006487, "ReLU"),
    ("04.4", 32 * 0.0059777, "mean"),
    ("04.4", 32 * 0.0064865, "not the mean"),
    ("04.4", 0.017917, "bias"),
    ("04.4", 0.019542, "further back"),
    ("04.4", 0.4052, "Multiply"),
    ("04.5", "a", "weighs"),
    ("04.5", "c", "does fall"),
    ("05.1", 50 / 55, "Rows for columns"),
    ("05.1", 0.84, "accuracy"),
    ("05.1", 83.333, "percent"),
    ("05.1", 1.2, "wrong way up"),
    ("05.1", 0.8696, "F1"),
    ("05.2", 0.9969, "accuracy"),
    ("05.2", 0.992, "sigmoids"),
    ("05.2", 0.952, "another threshold"),
    ("05.2", 0.027, "refuses"),
    ("05.2", 97.32, "percent"),
    ("05.2", 9_732, "divide"),
    ("05.3", 1, "changes nothing"),
    ("05.3", 1 / 2.1, "1/T"),
    ("05.3", 2.3, "first 5,000"),
    ("05.3", 4.0, "edge"),
    ("05.4", 1, "along axis 1"),
    ("05.4", 3, "whichever way"),
    ("05.4", 4, "if the rows"),
    ("06.1", 5, "restored"),
    ("06.1", 6, "Off by one"),
    ("06.1", 8, "Off by one"),
    ("06.1", 10, "lowest"),
    ("06.2", 1.5, "more decimals"),
    ("06.2", 1 / 1.51, "wrong way up"),
    ("06.2", 1.507**2, "square root"),
    ("06.2", 1.6629, "first doubling"),
    ("06.2", 1.514, "Factors multiply"),
    ("06.2", 1.365, "second doubling"),
    ("06.2", 0.945, "accuracies"),
    ("06.2", 1.058, "accuracies"),
    ("06.2", 1.53, "last epoch"),
    ("06.3", -2.2457, "other way round"),
    ("06.3", 2.3672, "ddof=1"),
    ("06.3", 1.4416, "five seeds"),
    ("06.3", 0.7101, "number of runs"),
    ("06.3", 4.0372, "second mean"),
    ("06.3", 0.0088, "standard error"),
    ("06.4", 1, "Which images"),
    ("06.4", 2, "when to stop"),
    ("06.4", 4, "watch"),
    ("07.1", 10, "widens"),
    ("07.1", 12, "how long is a step"),
    ("07.1", 14, "two poolings"),
    ("07.1", 22, "Off by one"),
    ("07.2", 0.828, "pixels"),
    ("07.2", 0.937, "trained features"),
    ("07.2", 0.983, "dense layer"),
    ("07.2", 0.715, "1,000 are asked"),
    ("07.2", 87.7, "percent"),
    ("07.3", "a", "same ink"),
    ("07.3", "c", "in all"),
    ("07.4", "a", "its own image"),
    ("07.4", "c", "What differs"),
    ("08.1", 0.003, "starts at step 250"),
    ("08.1", 0.006, "left"),
    ("08.1", 0.028, "continued"),
    ("08.1", 0.4, "share"),
    ("08.1", 0.01, "peak"),
    ("08.1", 0.005, "How many"),
    ("08.2", 15, "over the budget"),
    ("08.2", 797_312 / 54_848, "whole"),
    ("08.2", 4, "fewer inputs"),
    ("08.2", 22, "counted"),
    ("08.2", 32, "largest F"),
    ("08.3", "a", "centred"),
    ("08.3", "b", "border"),
    ("08.3", "d", "bytes"),
    ("08.4", 0.00047212, "ddof=1"),
    ("08.4", 0.00049766**2, "square root"),
    ("08.4", 0.0015, "range"),
    ("08.4", 0.9942, "how far"),
    ("08.4", 4.9766, "images"),
    ("08.4", 0.049766, "percent"),
    ("08.4", 0.3, "np.std"),
    ("09.1", 35, "to be expected"),
    ("09.1", 34.88, "variance"),
    ("09.1", 0.00059, "share of errors"),
    ("09.1", 99.83, "n · p"),
    ("09.2", 6, "turned at all"),
    ("09.2", 0, "most frequent"),
    ("09.2", 3, "label is 6"),
    ("09.3", 2176, "γ and β"),
    ("09.3", 544, "*and* variance"),
    ("09.3", 10, "arrays"),
    ("09.3", 436_074, "*is* trained"),
    ("09.4", 2, "*and* the columns"),
    ("09.4", 0.25, "inverse"),
    ("09.4", 18_432, "divide"),
    ("09.5", "a", "nothing leaks"),
    ("09.5", "b", "The same seed for all"),
    ("09.5", "d", "which images"),
    ("10.1", (-3, 2), "signs"),
    ("10.1", [-2, 3], "Rows first"),
    ("10.1", np.array([2, -2]), "13.5"),
    ("10.1", (2, -1), "cuts off"),
    ("10.1", (2.7, -1.8), "Whole pixels"),
    ("10.1", (3, 2), "to the left"),
    ("10.1", (14, 14), "should lie"),
    ("10.1", (11, 16), "from 14"),
    ("10.2", 1, "dash"),
    ("10.2", 8, "side by side"),
    ("10.2", 0.989, "share"),
    ("10.2", 6, "highest"),
    ("10.3", 0.98, "itself"),
    ("10.3", 0.927, "misread"),
    ("10.3", 4.7, "percent"),
    ("10.3", 21, "counts the right ones"),
    ("10.3", 0.5, "compare"),
    ("10.4", "a", "how high is the highest"),
    ("10.4", "c", "second highest 0"),
    ("10.5", 1, "brightness"),
    ("10.5", 2, "margins"),
    ("10.5", 4, "centre of mass"),
    ("10.5", 5, "highest of ten"),
    ("10.5", 6, "what shape"),
]


class Hostile:
    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError("==")

    __hash__ = None
    __bool__ = __array__ = __float__ = __len__ = __repr__ = __eq__


JUNK = {
    "text": "forty-two",
    "digits as text": "0.5",
    "empty text": "",
    "bytes": b"7",
    "bool": True,
    "nan": np.nan,
    "infinity": -np.inf,
    "huge": 10**400,
    "complex": 0.5 + 1j,
    "list": [1, 2],
    "ragged": [[1, 2], [3]],
    "empty": [],
    "dict": {"a": 1},
    "class": object,
    "function": print,
    "other shape": np.zeros((3, 4, 5)),
    "nan in an array": np.full((60_000, 10), np.nan),
    "objects": np.array([None, "a"], dtype=object),
    "date": np.datetime64("2026-01-01"),
    "hostile": Hostile(),
}


def test_every_exercise_has_answers_here():
    assert [*RIGHT, "02.1"] == [*(key for key in EXERCISES if key != "02.1"), "02.1"]
    assert {exercise for exercise, *_ in WRONG} | {"02.1"} == set(EXERCISES)


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_right_answer(exercise):
    why = EXERCISES[exercise].why
    assert said(exercise, RIGHT[exercise]).startswith(f"correct. {why}")


@pytest.mark.parametrize(("exercise", "answer", "hint"), WRONG)
def test_a_wrong_answer_gets_the_hint_that_fits(exercise, answer, hint):
    text = said(exercise, answer)
    assert text.startswith("not yet. ") and hint in text


def test_one_hot_rows(rows):
    assert said("02.1", rows.astype(bool)).startswith("correct. ")
    for wrong, hint in {
        "All are 1": np.ones_like(rows),
        "All are still 0": np.zeros_like(rows),
        "Rows and columns": rows.T,
        "too far left": np.roll(rows, -1, axis=1),
        "shape (60000,)": rows.argmax(axis=1),
        "first rows": rows[::-1],
    }.items():
        assert wrong in said("02.1", hint)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_no_answer_is_no_mistake(exercise):
    assert said(exercise, ...).startswith("not answered yet")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_hint_can_be_reached(exercise):
    """No earlier hint, nor the right answer, stands in the way of a later one."""
    task = EXERCISES[exercise]
    right = task.right() if callable(task.right) else task.right
    for wrong, hint in task.hints:
        value = wrong(right) if callable(wrong) else wrong
        low, high = getattr(value, "low", value), getattr(value, "high", value)
        middle = value if isinstance(value, str) else (np.add(low, high)) / 2
        assert said(exercise, middle) == f"not yet. {hint}"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_junk_is_answered_in_a_line_or_two(exercise):
    for name, junk in JUNK.items():
        assert said(exercise, junk).startswith("not yet. "), name
    assert "None" in said(exercise, None)


def test_the_form_of_the_answer_is_explained(rows):
    assert "without quotes" in said("03.1", "444874")
    assert "yours has shape (1,)" in said("03.1", [444_874])
    assert "you gave 2. Write 1000, not 1,000." in said("03.1", (444, 874))
    assert "array of shape (60000, 10)" in said("02.1", 5)
    assert "not finite" in said("05.1", np.nan)
    assert "'a', 'b', 'c', 'd', in quotes" in said("02.2", 2)


@pytest.mark.parametrize("unknown", ["3.1", "03.9", "", None, 3.1, np.zeros((9, 9))])
def test_an_unknown_exercise_is_refused_in_one_line(unknown):
    with pytest.raises(ValueError, match=r"exercise must be one of '01\.1', .*, not ") as error:
        check(unknown, 1)
    assert "\n" not in str(error.value)


def test_checking_does_not_load_tensorflow():
    code = "import sys; from mnist_cnn.exercises import check; check('01.2', 0); "
    code += "sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_student_at_a_live_kernel(tmp_path):
    """The chapter's own cell: as it stands, then with a wrong, a careless and the right answer."""
    chapter = nbformat.read(ROOT / "notebooks" / "03_conv_pool_model.ipynb", as_version=4)
    cell = next(c.source for c in chapter.cells if 'check("03.1"' in c.source)
    attempts = ["...", "658378", "'444874'", "444_000", "444_874"]
    sources = [cell.replace("answer = ...", f"answer = {attempt}") for attempt in attempts]
    sources.insert(0, "from mnist_cnn.exercises import check")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    path = tmp_path / "student.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    outputs = [cell.outputs for cell in notebooks.execute(path).cells[1:]]
    assert all(len(output) == 1 and output[0].name == "stdout" for output in outputs)
    expected = ["not answered yet", "not yet. That", "not yet. The", "not yet. Almost", "correct"]
    for (output,), beginning in zip(outputs, expected, strict=True):
        assert output.text.startswith(f"03.1: {beginning}")
