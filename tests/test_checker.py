"""The notebook checker must fail: faults of every kind, each caught at its cell."""

import base64
import io
import os
import random
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageDraw

from mnist_cnn.course import notebooks
from mnist_cnn.course.check.compare import Tolerance, check_cell, figure_distance, line_distance
from mnist_cnn.course.check.faults import FAULTS as FAULT_KINDS
from mnist_cnn.course.check.faults import accepts, plant, recorded_cells, wrong_canvases

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SETUP = """\
import io, os, sys, warnings
import matplotlib
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

def draw(title="Accuracy in epoch 7", cmap="gray", size=(4, 3), alt="A ramp from 0 to 27"):
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow([range(28)] * 28, cmap=cmap)
    axes.set_title(title)
    png = io.BytesIO()
    figure.savefig(png)
    data = {"image/png": png.getvalue(), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})

def plot(y=0.5, title="Accuracy", top=1, alt="A line"):
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([0, y, y])
    axes.set(title=title, ylim=(0, top))
    svg = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "x"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    data = {"image/svg+xml": svg.getvalue(), "text/plain": alt}
    display(data, raw=True, metadata={"image/svg+xml": {"alt": alt}})

progress = display({"text/plain": ""}, raw=True, display_id=True)
progress.update({"text/plain": "epoch 3 of 10"}, raw=True)
progress.update({"text/plain": ""}, raw=True)
"""
TEXT = "print('conv2d_1: accuracy 0.9914, loss -0.0284, 60,000 images')"
FIGURE = "draw()"
VECTOR = "plot()"
BOTH = "print('before')\ndraw()\nprint('after')"
PROGRESS = "display({'text/plain': ''}, raw=True)\nprint('done')"


@dataclass
class Fault:
    """A recorded cell, what is changed in it, and words of the message that must follow."""

    source: str
    change: Callable
    message: str
    tags: tuple = ()


def text(old, new):
    """Change recorded text, wherever it stands in the cell's outputs."""

    def change(cell):
        for output in cell.outputs:
            holder, key = (output, "text") if "text" in output else (output.data, "text/plain")
            assert old in holder[key]
            holder[key] = holder[key].replace(old, new)

    return change


def source(new):
    """Change the code and leave the record as it was: the run is what differs."""
    return lambda cell: cell.update(source=new)


def alter(**fields):
    return lambda cell: cell.update(fields)


def smudge(cell):
    """Paint one white square of 8 by 8 pixels into the recorded figure."""
    data = cell.outputs[0].data
    image = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    ImageDraw.Draw(image).rectangle((200, 150, 207, 157), fill="white")
    png = io.BytesIO()
    image.save(png, "png")
    data["image/png"] = base64.b64encode(png.getvalue()).decode()


def blank(cell):
    """Take all that is drawn out of a vector figure."""
    data = cell.outputs[0].data
    data["image/svg+xml"] = data["image/svg+xml"].partition(">")[0] + "></svg>"


STDERR = new_output("stream", name="stderr", text="a warning\n")
EXTRA = new_output("display_data", data={"text/plain": "more"})
ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
PIECES = [new_output("stream", name="stdout", text=f"{line}\n") for line in (1, 2)]
APPROX, APPROX_9 = ("approx-abs=0.003",), ("approx-abs=9",)

FAULTS = {
    "a digit": Fault(TEXT, text("0.9914", "0.9915"), "text differs"),
    "a digit of an integer": Fault(TEXT, text("60,000", "60,001"), "text differs"),
    "a number beyond the tolerance": Fault(
        TEXT, text("0.9914", "0.9951"), "off by 1.2 tolerances", APPROX
    ),
    "a number beyond the relative tolerance": Fault(
        TEXT, text("60,000", "61,000"), "off by 1.6 tolerances", ("approx-rel=0.01",)
    ),
    "a sign": Fault(TEXT, text("-0.0284", "0.0284"), "off by 18.9 tolerances", APPROX),
    "a word": Fault(TEXT, text("accuracy", "Accuracy"), "text differs"),
    "a word beside a tolerance": Fault(TEXT, text("accuracy", "Accuracy"), "text differs", APPROX),
    "a digit in a name": Fault(TEXT, text("conv2d_1", "conv2d_2"), "text differs", APPROX),
    "a line dropped": Fault("print(1)\nprint(2)", text("1\n2", "1"), "got       2"),
    "NaN instead of a number": Fault(TEXT, source("print('conv2d_1: nan')"), "nan", APPROX),
    "infinity": Fault("print(9)", source("print('1e999')"), "text differs", ("approx-abs=1e300",)),
    "an output dropped": Fault(BOTH, lambda c: c.outputs.pop(), "outputs: number"),
    "an output added": Fault(TEXT, lambda c: c.outputs.append(EXTRA), "outputs: number"),
    "a line added": Fault("print(1)", text("1", "1\n2"), "expected  2"),
    "a figure that is not drawn": Fault(BOTH, source("print('before')"), "display_data “A ramp"),
    "outputs in another order": Fault(
        BOTH, lambda c: c.outputs.insert(0, c.outputs.pop(1)), "outputs: number"
    ),
    "outputs stripped": Fault(TEXT, alter(outputs=[]), "expected  none"),
    "outputs and count stripped": Fault(
        TEXT, alter(outputs=[], execution_count=None), "not executed"
    ),
    "no execution count": Fault(TEXT, alter(execution_count=None), "not executed"),
    "a silent cell never executed": Fault("x = 1", alter(execution_count=None), "not executed"),
    "an output that is no longer printed": Fault(TEXT, source("pass"), "got       none"),
    "stderr recorded": Fault(TEXT, lambda c: c.outputs.append(STDERR), "recorded output on stderr"),
    "stderr new": Fault("x = 2", source("print('oh', file=sys.stderr)"), "new output on stderr"),
    "stderr of C code": Fault("x = 3", source("os.write(2, b'oh'); x = 3"), "new output on stderr"),
    "a warning": Fault("x = 4", source("warnings.warn('oh')"), "new output on stderr"),
    "an error recorded": Fault("x = 5", alter(outputs=[ERROR]), "recorded output is an error"),
    "an error": Fault(TEXT, source("1 / 0"), "ZeroDivisionError: division by zero"),
    "a region of a figure": Fault(FIGURE, smudge, "figures differ"),
    "a figure's title": Fault(FIGURE, source("draw('Accuracy in epoch 1')"), "grey levels"),
    "a figure's colour map": Fault(FIGURE, source("draw(cmap='viridis')"), "grey levels"),
    "a figure's size": Fault(FIGURE, source("draw(size=(5, 3))"), "expected  400×300 pixels"),
    "a colour map beside a tolerance": Fault(
        FIGURE, source("draw(cmap='viridis')"), "times the tolerance 2", ("approx-abs=255",)
    ),
    "a tolerance for figures": Fault(
        FIGURE, alter(metadata={"tags": ["figure-rms=5"]}), "not allowed"
    ),
    "a title of a vector figure": Fault(VECTOR, source("plot(title='Loss')"), "words of", APPROX_9),
    "a tick label of a vector figure": Fault(VECTOR, source("plot(top=2)"), "words of", APPROX_9),
    "a point of a vector figure": Fault(VECTOR, source("plot(y=0.6)"), "shapes of", APPROX_9),
    "a vector figure that is blank": Fault(VECTOR, blank, "words of", APPROX_9),
    "a vector figure without alt text": Fault(
        VECTOR, source("plot(alt='<Figure size 400x300>')"), "has no alt", APPROX_9
    ),
    "an alt text": Fault(FIGURE, source("draw(alt='A ramp from 0 to 28')"), "text/plain, line 1"),
    "no alt text": Fault(FIGURE, text("A ramp from 0 to 27", ""), "two alt texts"),
    "a figure without alt text": Fault(
        FIGURE,
        source("draw(alt='<Figure size 400x300>')"),
        "new output 1 (display_data) has no alt",
    ),
    "an ignore comment": Fault(
        TEXT, lambda c: c.update(source="# NBVAL_IGNORE_OUTPUT\n" + c.source), "ignore marker"
    ),
    "a skip comment": Fault(
        TEXT, lambda c: c.update(source="#NBVAL_SKIP\n" + c.source), "ignore marker"
    ),
    "an ignore tag": Fault(TEXT, alter(metadata={"tags": ["nbval-ignore-output"]}), "not allowed"),
    "an exception tag": Fault(TEXT, alter(metadata={"tags": ["raises-exception"]}), "not allowed"),
    "an endless tolerance": Fault(TEXT, alter(metadata={"tags": ["approx-rel=9"]}), "not allowed"),
    "a misspelt tolerance": Fault(TEXT, alter(metadata={"tags": ["approx=9"]}), "not allowed"),
    "a progress display left behind": Fault(
        PROGRESS, source("display({'text/plain': '99 %'}, raw=True)\nprint('done')"), "99 %"
    ),
    "metadata of an output": Fault(
        FIGURE,
        lambda c: c.outputs[0].metadata.update(isolated=True),
        "metadata differ",
    ),
}

# Changes that must pass: what another processor may do to a cell with a tolerance.
ALLOWED = {
    "a number within the tolerance": Fault(TEXT, text("0.9914", "0.9931"), "", APPROX),
    "a wider number": Fault("print(f'{9.999:8.3f} s')", text("9.999", "10.001"), "", APPROX),
    "a vector figure within the tolerance": Fault(VECTOR, source("plot(y=0.52)"), "", APPROX_9),
    "a progress display": Fault(PROGRESS, lambda cell: None, ""),
    "text in two pieces": Fault("print(1)\nprint(2)", alter(outputs=PIECES), ""),
}
PLANTED = FAULTS | ALLOWED


def write_notebook(path, cells):
    setup = new_code_cell(SETUP)
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Start"), setup, *cells]), path)
    notebooks.update(path, notebooks.execute(path))


def run_pytest(folder, *arguments, package=ROOT):
    """Run pytest with the checker; return the outcome of each test and all that was printed."""
    command = [sys.executable, "-m", "pytest", "-p", "mnist_cnn.course.check.plugin", "--nbval"]
    command += ["--nbval-current-env", "--rootdir=.", "-c", os.devnull, "--junitxml=report.xml"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (package, ROOT)))}
    environment.pop("PYTEST_ADDOPTS", None)
    # A pytest that crashes writes no report: an earlier one must not speak for it.
    (folder / "report.xml").unlink(missing_ok=True)
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    cases = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        failure = case.find("failure")
        cases[case.get("name")] = "passed" if failure is None else failure.text
    return cases, done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def honest(folder):
    path = folder / "honest.ipynb"
    cells = []
    for name, fault in PLANTED.items():
        cells.append(new_markdown_cell(f"## {name}"))
        cells.append(new_code_cell(fault.source, metadata={"tags": list(fault.tags)}))
    write_notebook(path, cells)
    return path


@pytest.fixture(scope="module")
def faulty_run(honest, folder):
    notebook = nbformat.read(honest, as_version=4)
    for cell, fault in zip(notebooks.code_cells(notebook)[1:], PLANTED.values(), strict=True):
        fault.change(cell)
    nbformat.write(notebook, folder / "faulty.ipynb")
    cases, _ = run_pytest(folder, "faulty.ipynb")
    return cases


@pytest.mark.parametrize(("cell", "name"), list(enumerate(PLANTED, start=1)), ids=list(PLANTED))
def test_fault_is_caught_at_its_cell(faulty_run, cell, name):
    outcome = faulty_run[f"Cell {cell}"]
    if name in ALLOWED:
        assert outcome == "passed"
    else:
        assert PLANTED[name].message in outcome
        assert f"faulty.ipynb, cell {cell}, under “{name}”" in outcome
        assert "mnist-cnn notebooks --update faulty" in outcome
        assert len(outcome.splitlines()) <= 15


def test_failed_notebook_and_figures_are_kept(faulty_run, folder):
    kept = folder / "build" / "failed"
    cell = list(PLANTED).index("a figure's title") + 1
    for picture in ("expected", "actual", "difference"):
        assert Image.open(kept / f"faulty-cell{cell}-0-{picture}.png").size == (400, 300)
    assert "conv2d_1" in (kept / "faulty.ipynb").read_text(encoding="utf-8")


def test_honest_notebook_passes_on_two_workers(honest, folder):
    cases, printed = run_pytest(folder, "-n2", "--dist=loadscope", "honest.ipynb")
    assert set(cases.values()) == {"passed"}
    assert len(cases) == len(PLANTED) + 1
    assert "slowest cells" in printed
    assert "honest.ipynb::Cell 0" in printed


def test_one_cell_alone_runs_what_it_needs(honest, folder):
    cell = list(PLANTED).index("a region of a figure") + 1
    # Not "-k Cell and 28": that also matches a temporary folder named pytest-28.
    cases, _ = run_pytest(folder, f"honest.ipynb::Cell {cell}")
    assert cases == {f"Cell {cell}": "passed"}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_random_fault_in_every_cell_of_a_chapter_is_caught(chapter):
    draw = random.Random(0)
    for number, cell in enumerate(recorded_cells(chapter)):
        assert check_cell(cell, cell.outputs) == []
        kind, faulty, new = plant(cell, cell.outputs, list(FAULT_KINDS), draw)
        assert check_cell(faulty, new), f"cell {number}: {kind}"


def test_no_wrong_canvas_passes_for_any_figure_of_the_series():
    canvases = list(wrong_canvases(CHAPTERS))
    assert len(canvases) > 150
    assert [(name, what) for name, cell, what, bad in canvases if accepts(bad, cell)] == []


def test_a_fault_in_the_package_is_caught_by_a_chapter(tmp_path):
    """Divide by 256 instead of 255; the honest package passes in the ordinary run."""
    shutil.copytree(ROOT / "mnist_cnn", tmp_path / "mnist_cnn")
    shutil.copy(ROOT / "notebooks" / "02_one_hot_and_reshape.ipynb", tmp_path)
    source = tmp_path / "mnist_cnn" / "preprocess.py"
    text = source.read_text(encoding="utf-8")
    assert text.count("np.float32(255)") == 1
    source.write_text(text.replace("np.float32(255)", "np.float32(256)"), encoding="utf-8")
    cases, _ = run_pytest(tmp_path, "02_one_hot_and_reshape.ipynb", package=tmp_path)
    failed = [name for name, outcome in cases.items() if outcome != "passed"]
    assert 0 < len(failed) < len(cases) / 2


def test_a_kernel_that_dies_fails_its_cell_and_the_rest_at_once(tmp_path):
    sources = {"dies": ["x = 1", "import os; os._exit(1)", "print(x)"], "lives": ["print(2)"]}
    for name, cells in sources.items():
        cells = [new_code_cell(source, execution_count=1) for source in cells]
        nbformat.write(new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    notebooks.update(tmp_path / "lives.ipynb", notebooks.execute(tmp_path / "lives.ipynb"))
    started = time.monotonic()
    cases, printed = run_pytest(tmp_path, "dies.ipynb", "lives.ipynb")
    assert time.monotonic() - started < 60
    assert "2 failed, 2 passed" in printed
    assert "the kernel died while this cell ran" in cases["Cell 1"]
    assert "Kernel dead on test start" in cases["Cell 2"]


def test_broken_file_gets_one_sentence(tmp_path):
    (tmp_path / "broken.ipynb").write_text("<<<<<<< HEAD\n{}")
    _, printed = run_pytest(tmp_path, "broken.ipynb")
    assert "broken.ipynb is not a notebook" in printed
    assert "Traceback" not in printed


TENTH, RELATIVE = Tolerance(approx_abs=0.1), Tolerance(approx_rel=0.01)


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "passes"),
    [
        ("loss 1.00", "loss 1.05", TENTH, True),
        ("loss 1.00", "loss 1.15", TENTH, False),
        ("loss 1.00", "loss 1.05", Tolerance(), False),
        ("loss 1.00", "loss 1.0", Tolerance(), False),
        ("loss -0.02", "loss 0.02", TENTH, True),
        ("a -5", "a 5", TENTH, False),
        ("1e-05", "1e-07", TENTH, True),
        ("1e-05", "1e+05", TENTH, False),
        ("60,000 images", "59,500 images", RELATIVE, True),
        ("60,000 images", "59,300 images", RELATIVE, False),
        ("60,000 images", "60 000 images", RELATIVE, False),
        ("99.15%", "99.20%", TENTH, True),
        ("99.15%", "99.20", TENTH, False),
        ("[ 0.98  9.99]", "[ 1.02 10.01]", TENTH, True),
        ("[-0.01 1.]", "[ 0.01 1. ]", TENTH, True),
        ("12 3", "123", TENTH, False),
        ("conv2d_1", "conv2d_2", Tolerance(approx_abs=9), False),
        ("a 3x3 kernel", "a 5x5 kernel", Tolerance(approx_abs=9), False),
        ("version 3.15.1", "version 3.15.2", Tolerance(approx_abs=9), False),
        ("loss 0.1", "loss nan", Tolerance(approx_abs=9), False),
        ("loss 0.1", "loss inf", Tolerance(approx_abs=9), False),
        ("loss 0.1", "loss 1e999", Tolerance(approx_abs=9), False),
        ("loss 1e999", "loss 2e999", Tolerance(approx_abs=9), False),
        ("0", "0.001", RELATIVE, False),
        ("total 5", "Total 5", TENTH, False),
    ],
)
def test_numbers_and_words(expected, got, tolerance, passes):
    assert (line_distance(expected, got, tolerance) <= 1) is passes


def png_of(image):
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def test_a_small_change_does_not_drown_in_a_large_canvas():
    canvas = Image.new("RGB", (1600, 1200), "white")
    changed = canvas.copy()
    ImageDraw.Draw(changed).rectangle((805, 605, 808, 614), fill="black")
    assert figure_distance(png_of(canvas), png_of(canvas)) == 0
    assert figure_distance(png_of(canvas), png_of(changed)) > Tolerance().figure_rms
    assert figure_distance(png_of(canvas), png_of(canvas.resize((800, 600)))) == float("inf")


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.ipynb"
    tagged = new_code_cell(TEXT, metadata={"tags": list(APPROX)})
    write_notebook(path, [tagged, new_code_cell("print('word 1')"), new_code_cell("40 + 2")])
    return path


def test_update_keeps_what_is_within_the_tolerance(small):
    recorded = small.read_bytes()
    executed = nbformat.read(small, as_version=4)
    text("0.9914", "0.9920")(notebooks.code_cells(executed)[1])
    changes = notebooks.update(small, executed)
    statuses = [change.status for change in changes]
    assert statuses == ["unchanged", "within tolerance", "unchanged", "unchanged"]
    assert small.read_bytes() == recorded


def test_update_records_what_changed_and_nothing_else(small):
    recorded = small.read_text(encoding="utf-8")
    executed = nbformat.read(small, as_version=4)
    text("word 1", "word 2")(notebooks.code_cells(executed)[2])
    change = notebooks.update(small, executed)[2]
    assert (change.status, change.old, change.new) == ("changed", "word 1", "word 2")
    old, new = recorded.splitlines(), small.read_text(encoding="utf-8").splitlines()
    assert sum(a != b for a, b in zip(old, new, strict=True)) == 1


def test_recorded_file_holds_no_trace_of_the_machine(small):
    notebook = nbformat.read(small, as_version=4)
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.metadata.kernelspec.name == "python3"
    cells = notebooks.code_cells(notebook)
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert cells[0].outputs == []
    assert cells[3].outputs[0].execution_count == 4
    assert all("execution" not in cell.metadata for cell in cells)
    assert small.read_bytes().endswith(b"}\n")


def test_update_refuses_stderr_and_writes_nothing(small):
    recorded = small.read_bytes()
    executed = nbformat.read(small, as_version=4)
    notebooks.code_cells(executed)[2].outputs = [STDERR]
    with pytest.raises(ValueError, match="cell 2 wrote to stderr"):
        notebooks.update(small, executed)
    assert small.read_bytes() == recorded


def test_each_cell_is_reported_as_it_ends(tmp_path):
    path, seen = tmp_path / "reported.ipynb", []
    sources = ["import os\nprint(os.path.basename(os.getcwd()))", "print(2)"]
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    notebooks.execute(path, lambda number, cell: seen.append((number, cell.outputs[0].text)))
    assert seen == [(0, f"{tmp_path.name}\n"), (1, "2\n")]
