"""The command ``mnist-cnn``: what it prints and writes, and what it refuses."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_cnn import data, model, networks, pictures, runtime, training
from mnist_cnn.course import machine, reading, reference
from mnist_cnn.course.cli import main
from mnist_cnn.course.files import find_chapters, project_root

FIGURES = ["confusion.png", "errors.png", "history.png"]
FILES = ["history.json", "metrics.json", "model.keras"]
METRICS = ["recipe", "seed", "epochs", "train_seconds", "train_accuracy", "test_accuracy"]
METRICS += ["test_loss", "parameters", "versions"]
INTERRUPTED = "mnist-cnn: interrupted; nothing half-written is left\n"


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory, mnist):
    """A folder with a model trained on few digits, and what the command printed."""
    root = tmp_path_factory.mktemp("run")
    (x_train, y_train), (x_test, y_test) = mnist
    few = (x_train[:3000], y_train[:3000]), (x_test[:1000], y_test[:1000])
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(root)
        patch.setattr(data, "load_mnist", lambda: few)
        assert main([]) == 0
    return root / "artifacts" / "mnist-cnn", printed.getvalue()


@pytest.fixture
def untrained(monkeypatch):
    """`train` returns at once, with first weights."""

    def train(recipe, *_, **__):
        runtime.set_seed(0)
        history = {"accuracy": [0.1], "loss": [2.3]}
        return model.build_model(recipe.output_activation), history

    monkeypatch.setattr(training, "train", train)


def refused(capsys, *arguments):
    """Run a call that must be refused; return its one line on stderr."""
    try:
        code = main([*map(str, arguments)])
    except SystemExit as exit:
        code = exit.code
    error = capsys.readouterr().err
    assert code == 2
    assert (error.count("\n"), error.startswith("mnist-cnn: ")) == (1, True)
    return error


def test_the_bare_command(run):
    out, printed = run
    assert sorted(path.name for path in out.iterdir()) == sorted(FIGURES + FILES)
    metrics = json.loads((out / "metrics.json").read_text())
    assert list(metrics) == METRICS
    assert (metrics["recipe"], metrics["seed"], metrics["parameters"]) == ("fast", 0, 658_378)
    assert metrics["test_accuracy"] > 0.85
    assert metrics["versions"] == machine.versions()
    assert list(json.loads((out / "history.json").read_text())) == ["accuracy", "loss"]
    for name in FIGURES:
        assert min(Image.open(out / name).size) > 400
        assert name in printed
    assert printed.startswith("training on 3,000 digits: recipe fast")
    assert str(out) in printed
    assert "open next" in printed


def test_train_takes_recipe_epochs_seed_and_folder(untrained, little_data, tmp_path, capsys):
    call = "train --recipe article --epochs 3 --seed 7 --out deep/er"
    assert main(call.split()) == 0
    metrics = json.loads((tmp_path / "deep" / "er" / "metrics.json").read_text())
    assert [metrics[key] for key in ("recipe", "epochs", "seed")] == ["article", 3, 7]
    assert "recipe article, epochs 3, seed 7" in capsys.readouterr().out


def test_evaluate_agrees_with_training(run, little_data, capsys):
    out, _ = run
    assert main(["evaluate", str(out / "model.keras")]) == 0
    printed = capsys.readouterr().out
    accuracy = json.loads((out / "metrics.json").read_text())["test_accuracy"]
    assert printed.startswith(f"accuracy {accuracy:.4f} ")
    counts = np.array([line.split()[1:] for line in printed.splitlines()[-10:]], int)
    assert (counts.sum(), counts.trace()) == (1000, round(1000 * accuracy))


def test_predict_does_the_others_after_a_bad_file(run, capsys):
    out, _ = run
    _, (images, labels) = data.load_mnist()
    for image, label in zip(images[:4], labels[:4], strict=True):
        Image.fromarray(255 - image).resize((280, 280)).save(f"{label}.png")
    files = ["7.png", "missing.png", "2.png", "1.png", "0.png"]
    assert main(["predict", *files, "--model", str(out), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "mnist-cnn: missing.png: No such file or directory\n"
    found = json.loads(printed.out)
    assert [entry["file"] for entry in found] == files
    assert found.pop(1) == {
        "file": "missing.png",
        "error": "missing.png: No such file or directory",
    }
    digits = [digit for entry in found for digit in entry["digits"]]
    assert all(list(digit) == ["digit", "probability", "sure", "box", "line"] for digit in digits)
    assert all(0 < digit["probability"] <= 1 and digit["line"] == 1 for digit in digits)
    assert sum(e["file"] == f"{e['digits'][0]['digit']}.png" for e in found) >= 3

    assert main(["predict", "7.png", "--model", str(out)]) == 0
    doubt = "" if digits[0]["sure"] else ", not sure"
    probability = digits[0]["probability"]
    assert capsys.readouterr().out == f"7.png: 7, probability {probability:.3f}{doubt}\n"


def test_predict_reads_several_digits_from_left_to_right(capsys):
    _, (images, _) = data.load_mnist()
    single = []
    for name, image in zip(("a.png", "b.png", "c.png"), images, strict=False):
        Image.fromarray(image).resize((280, 280)).save(name)
        single.append(name)
    row = np.concatenate([np.asarray(Image.open(name)) for name in single], axis=1)
    Image.fromarray(row).save("row.png")
    assert main(["predict", *single, "row.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in found] == [*single, "row.png"]
    *alone, row = [entry["digits"] for entry in found]
    assert [digit["digit"] for digit in row] == [digits[0]["digit"] for digits in alone]
    lefts = [digit["box"][0] for digit in row]
    assert lefts[0] < 280 < lefts[1] < 560 < lefts[2] < 840

    assert main(["predict", "row.png"]) == 0
    digits = " ".join(str(digit["digit"]) for digit in row)
    lowest = min(digit["probability"] for digit in row)
    printed = capsys.readouterr().out
    assert printed.startswith(f"row.png: {digits}, lowest probability {lowest:.3f}")
    assert ("not sure" in printed) == (lowest < pictures.THRESHOLD)


def draw_strokes(name, size=(90, 60), exif=None, ground=(255, 255, 255), ink=(0, 0, 0), **options):
    """Save a picture of a 1 and a 7, 40 pixels high."""
    picture = Image.new("RGBA" if len(ground) == 4 else "RGB", size, ground)
    draw = ImageDraw.Draw(picture)
    draw.line((20, 10, 20, 50), ink, 5)
    draw.line((45, 12, 70, 12, 55, 50), ink, 5, joint="curve")
    if exif:
        picture = picture.transpose(Image.Transpose.ROTATE_90)  # lying, and its EXIF says so
        options["exif"] = picture.getexif()
        options["exif"][0x0112] = exif
    picture.save(name, **options)


def test_an_answer_below_the_threshold_is_not_sure():
    draw_strokes("17.png")
    least = pictures.THRESHOLD
    for lowest, sure in ((least + 0.005, True), (least - 0.005, False)):
        probabilities = np.full((2, 10), (1 - lowest) / 9)
        probabilities[[0, 1], [1, 7]] = 0.99, lowest
        digits = reading.read("17.png", lambda images, rows=probabilities: rows)
        assert [digit["sure"] for digit in digits] == [True, sure]
        sentence = f"17.png: 1 7, lowest probability {lowest:.3f}{'' if sure else ', not sure'}"
        assert reading.sentence("17.png", digits) == sentence


def test_boxes_are_pixels_of_the_upright_picture(capsys):
    draw_strokes("upright.png")
    draw_strokes("lying.jpg", exif=6, quality=95)
    assert main(["predict", "upright.png", "lying.jpg", "--json"]) == 0
    upright, lying = (entry["digits"] for entry in json.loads(capsys.readouterr().out))
    assert [digit["digit"] for digit in upright] == [1, 7]
    assert upright[1]["box"] == pytest.approx([45, 10, 72, 51], abs=4)
    for one, other in zip(upright, lying, strict=True):
        assert (one["digit"], one["line"]) == (other["digit"], other["line"])
        assert one["box"] == pytest.approx(other["box"], abs=2)


def test_boxes_and_answers_are_drawn_beside_the_picture(tmp_path, capsys):
    draw_strokes("a.png")
    draw_strokes("a.bmp")
    before = (tmp_path / "a.png").read_bytes()
    for _ in range(2):  # the second time replaces the first
        assert main(["predict", "a.png", "a.bmp", "--save-boxes", "."]) == 0
    assert sorted(path.name for path in tmp_path.glob("*boxes*")) == [
        "a-boxes-2.png",
        "a-boxes.png",
    ]
    assert (tmp_path / "a.png").read_bytes() == before
    drawn = Image.open("a-boxes.png").convert("RGB")
    assert drawn.size == (600, 400)  # enlarged, so that a small picture's answers can be read
    orange = np.all(np.asarray(drawn) == (0xD5, 0x5E, 0), axis=2)
    left, top, right, bottom = Image.fromarray(orange).getbbox()
    assert left < 18 / 90 * 600 < 70 / 90 * 600 < right  # around both digits, the answers above
    assert top < 60 < 50 / 60 * 400 < bottom < 380


@pytest.mark.parametrize(
    ("ground", "ink"),
    [((0, 0, 0, 0), (255, 255, 255, 255)), ((255, 255, 255, 0), (0, 0, 0, 255))],
    ids=["white on transparent", "black on transparent"],
)
def test_a_transparent_picture_is_drawn_on_what_shows_its_ink(ground, ink, tmp_path):
    draw_strokes("clear.png", ground=ground, ink=ink)
    digit = {"digit": 1, "probability": 0.9, "box": [18, 10, 23, 51], "line": 1}
    path = reading.save_boxes("clear.png", [digit], tmp_path)
    drawn = Image.open(path).convert("L")
    assert abs(drawn.getpixel((137, 200)) - drawn.getpixel((580, 380))) == 255


@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
def test_a_heic_photograph_gets_a_hint(name, tmp_path, capsys):
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    assert f"{name} is a HEIC photograph" in (error := refused(capsys, "predict", name))
    assert "as JPEG" in error


def test_predict_is_quick_and_loads_no_tensorflow():
    draw_strokes("seven.png")
    code = "import sys\nfrom mnist_cnn.course.cli import main\n"
    code += "assert main(['predict', 'seven.png', '--json', '--save-boxes', '.']) == 0\n"
    code += "assert not {'tensorflow', 'keras', 'matplotlib', 'sklearn'} & {*sys.modules}"
    started = os.times().children_user
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert os.times().children_user - started < 2  # a second, and room for a loaded machine


def test_predict_refuses_a_decompression_bomb(capsys):
    Image.new("1", (14_000, 14_000)).save("bomb.png")  # more than Pillow opens at all
    error = refused(capsys, "predict", "bomb.png")
    assert error == "mnist-cnn: bomb.png has more than 50,000,000 pixels\n"


def test_predict_tells_that_a_sigmoids_scores_are_not_probabilities(capsys):
    runtime.set_seed(0)
    model.build_model("sigmoid").save("sigmoid.keras")
    Image.fromarray(data.load_mnist()[1][0][0]).save("digit.png")
    assert main(["predict", "digit.png", "--model", "sigmoid.keras"]) == 0
    line, note = capsys.readouterr().out.splitlines()
    (share,) = re.findall(r"probability (0\.\d+), not sure$", line)
    assert 0.1 <= float(share) < 0.5  # ten nearly equal shares of 1, not scores near 0.5
    assert "sigmoid" in note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("train --recipe best-of-all", "recipe must be one of"),
        ("train --epochs 0", "epochs must be above 0, not 0"),
        ("train --epochs -3", "epochs must be above 0, not -3"),
        ("train --epochs many", "invalid int value"),
        ("train --seed -1", "seed must be an integer from 0"),
        ("train --out file/out", "file"),
        ("evaluate missing.keras", "missing.keras is missing"),
        ("evaluate file", "file is not a readable Keras model"),
        ("evaluate folder", "folder is a folder without model.keras"),
        ("predict 7.png --model missing.keras", "missing.keras is missing: give a .keras"),
        ("networks worst", "recipe must be one of"),
        ("predict", "required: IMAGE"),
        ("notebooks", "holds no chapters"),
        ("notebooks 99", "no chapter is called 99"),
        ("fly", "invalid choice"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message, tmp_path, capsys):
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    assert message in refused(capsys, *call.split())


def test_another_models_shapes_are_refused(capsys):
    runtime.set_seed(0)
    import keras

    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]).save("other.keras")
    assert "must take (28, 28, 1) and give (10,)" in refused(capsys, "evaluate", "other.keras")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder closed to us")
def test_an_unwritable_folder_is_refused(tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert "Permission denied" in refused(capsys, "train", "--out", "closed")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()

    def write(name, *sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / name)

    write("01_sum.ipynb", "print(1 + 1)", "print('two')")
    write("02_fault.ipynb", "1 / 0")
    return tmp_path


@pytest.mark.parametrize("name", ["01", "01_sum", "notebooks/01_sum.ipynb"])
def test_a_chapter_is_found_by_number_name_and_path(project, name):
    (path,) = find_chapters([name])
    assert path.samefile(project / "notebooks" / "01_sum.ipynb")


def test_notebooks_executes_into_build(project, capsys):
    before = (project / "notebooks" / "01_sum.ipynb").read_bytes()
    assert main(["notebooks", "01"]) == 0
    executed = nbformat.read(project / "build" / "notebooks" / "01_sum.ipynb", 4)
    assert [cell.outputs[0].text for cell in executed.cells] == ["2\n", "two\n"]
    assert (project / "notebooks" / "01_sum.ipynb").read_bytes() == before
    assert "2 code cells run" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["elsewhere", "project/build/student"])
def test_notebooks_finds_the_chapters_of_a_student_edition(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "project" / "notebooks").mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").touch()
    (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / folder)
    cells = [nbformat.v4.new_code_cell("print('student')")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), "05_evaluation.ipynb")
    assert main(["notebooks", "05"]) == 0
    build = project_root() / "build" / "notebooks"
    executed = nbformat.read(build / "05_evaluation.ipynb", 4)
    assert executed.cells[0].outputs[0].text == "student\n"
    assert str(build) in capsys.readouterr().out


def test_notebooks_updates_and_goes_on_after_a_fault(project, capsys):
    assert main(["notebooks", "02", "01", "--update"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "mnist-cnn: 02_fault.ipynb: ZeroDivisionError: division by zero\n"
    assert "cell 0: changed" in printed.out
    recorded = nbformat.read(project / "notebooks" / "01_sum.ipynb", 4)
    assert [cell.outputs[0].text for cell in recorded.cells] == ["2\n", "two\n"]
    assert main(["notebooks", "01", "--update"]) == 0
    assert "cell 1: unchanged" in capsys.readouterr().out


def test_info(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert data.SHA256 in printed
    assert all(version in printed for version in machine.versions().values())


def test_help_is_quick_and_loads_no_tensorflow():
    code = "import sys\nfrom mnist_cnn.course.cli import main\n"
    code += "try: main(['--help'])\nexcept SystemExit: "
    code += "assert not {'tensorflow', 'keras', 'matplotlib', 'sklearn'} & {*sys.modules}"
    started = os.times().children_user
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "notebooks" in done.stdout
    assert os.times().children_user - started < 1


def test_an_interrupt_while_saving_leaves_the_earlier_files_whole(
    untrained, little_data, earlier, monkeypatch, capsys
):
    import keras

    def half_save(self, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "save", half_save)
    assert main(["train", "--out", str(earlier)]) == 130
    assert capsys.readouterr().err == INTERRUPTED
    assert_whole(earlier)


@pytest.fixture
def earlier(tmp_path):
    (tmp_path / "out").mkdir()
    for name in FILES:
        (tmp_path / "out" / name).write_text("earlier")
    return tmp_path / "out"


def assert_whole(out):
    assert [(out / name).read_text() for name in FILES] == ["earlier"] * len(FILES)
    assert len(list(out.iterdir())) == len(FILES)


# The command as it is, which also says when it has trained on a first batch.
TRAIN = """
import runpy
from mnist_cnn import training

def fit(network, recipe, images, targets, seed, callbacks, validation_data=None):
    from keras.callbacks import LambdaCallback
    told = LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch or print("trains", flush=True)
    )
    return original(network, recipe, images, targets, seed, [*callbacks, told], validation_data)

original, training.fit = training.fit, fit
runpy.run_module("mnist_cnn", run_name="__main__")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_signal_while_training_leaves_the_earlier_files_whole(earlier):
    command = [sys.executable, "-c", TRAIN, "train", "--recipe", "article", "--epochs", "99"]
    with subprocess.Popen(
        [*command, "--out", earlier], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().startswith("training on")
        assert process.stdout.readline() == "trains\n"
        assert_whole(earlier)  # what SIGKILL would leave, after which nothing more happens
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    # Now and then Python ends by the signal itself, though it was caught: CPython remembers an
    # interrupt that came inside exec("…"), as libraries use it. A shell shows 130 for both.
    assert process.returncode in (130, -signal.SIGINT)
    assert error == INTERRUPTED
    assert_whole(earlier)


def test_networks_holds_a_new_training_against_the_card(monkeypatch, capsys):
    fast = networks.read("fast")
    accuracy = fast.card["test_accuracy"]
    accuracies = iter([accuracy, accuracy - 0.0005, 0.9])

    def train(name):
        card = fast.card | {"test_accuracy": next(accuracies)}
        return networks.Network(card | {"sha256": card["sha256"] * (len(seen) == 0)}, fast.weights)

    seen = []
    monkeypatch.setattr(reference, "train", train)
    for code, sentence in ((0, "bit for bit"), (0, ": within"), (2, ": OUTSIDE")):
        assert main(["networks", "fast"]) == code
        seen.append(capsys.readouterr().out)
        assert sentence in seen[-1]


def test_networks_updates_on_demand(monkeypatch, tmp_path, capsys):
    fast = networks.read("fast")
    monkeypatch.setattr(reference, "train", lambda name: fast)
    written = []
    monkeypatch.setattr(reference, "write", written.append)
    assert main(["networks", "fast", "--update"]) == 0
    assert written == [fast]
