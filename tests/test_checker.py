"""The notebook checker must fail: faults of every kind, each caught at its cell."""

import ast
import base64
import importlib.metadata
import io
import os
import random
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageDraw, ImageFont

from mnist_cnn.course import notebooks
from mnist_cnn.course.check import compare
from mnist_cnn.course.check.compare import Rules, Tolerance, check_cell, line_distance
from mnist_cnn.course.faults import (
    CODE_FAULTS,
    RULES,
    accepts,
    plant,
    recorded_cells,
    wrong_canvases,
)

ROOT = Path(__file__).parents[1]
CHECK = ROOT / "mnist_cnn" / "course" / "check"
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))


# --- the rules, without a kernel: a fault in the record, or in the outputs of the run -------------


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(text="", **data):
    """Return a display; ``html``, ``svg``, ``png`` or ``widget`` say what else it holds."""
    names = {"svg": compare.SVG, "png": "image/png", "html": "text/html"}
    names["widget"] = "application/vnd.jupyter.widget-view+json"
    return new_output(
        "display_data", data={"text/plain": text} | {names[n]: v for n, v in data.items()}
    )


def raised(name="ValueError", text="no"):
    return new_output("error", ename=name, evalue=text, traceback=["\x1b[31mTraceback\n", text])


@cache
def picture(title="Accuracy in epoch 7", colour="black", size=(400, 300)):
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.text((100, 10), title, "black", ImageFont.load_default(14))
    draw.rectangle((100, 50, 300, 250), fill=colour)
    return base64.b64encode(png_of(image)).decode()


def png_of(image):
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def vector(y=0.5, title="Accuracy", name="p1", date=""):
    path = f'<path id="{name}" d="M 0 {y}"/><use href="#{name}"/>'
    return f"<svg>{date}{path}<text x='3'>{title}</text></svg>"


def record(outputs, tags=(), source="code", strict=True):
    """Return a cell with its record; its figures have the alt text "A line"."""
    cell = new_code_cell(source, execution_count=1, outputs=list(outputs))
    found = compare.figures(cell.outputs)
    cell.metadata = {"tags": list(tags)} | ({"alt": ["A line"] * len(found)} if strict else {})
    for output, mime in found if strict else ():
        output.metadata[mime] = {"alt": "A line"}
    return nbformat.from_dict(cell)


@dataclass
class Fault:
    """Recorded outputs, what goes wrong in the cell or in the run, and words of the message."""

    outputs: tuple
    change: Callable
    message: str = ""
    tags: tuple = ()


def text(old, new):
    """Change recorded text."""

    def change(cell, run):
        assert old in cell.outputs[0].text
        cell.outputs[0].text = cell.outputs[0].text.replace(old, new)

    return change


def runs(*outputs):
    """Let the run give other outputs."""
    return lambda cell, run: run.__setitem__(slice(None), outputs)


def alter(**fields):
    return lambda cell, run: cell.update(fields)


def tagged(tag):
    return lambda cell, run: cell.metadata.update(tags=[tag])


def smudge(cell, run):
    """Paint one white square of 8 by 8 pixels into the recorded figure."""
    image = Image.open(io.BytesIO(base64.b64decode(picture())))
    ImageDraw.Draw(image).rectangle((200, 150, 207, 157), fill="white")
    cell.outputs[0].data["image/png"] = base64.b64encode(png_of(image)).decode()


def recorded_alt(value):
    return lambda cell, run: cell.outputs[0].metadata["image/png"].update(alt=value)


TEXT = (stream("conv2d_1: accuracy 0.9914, loss -0.0284, 60,000 images\n"),)
LINES = (stream("1\n2\n"),)
FIGURE, VECTOR = (shown(png=picture()),), (shown(svg=vector()),)
BOTH = (stream("before\n"), shown(png=picture()), stream("after\n"))
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
    "a line dropped": Fault(LINES, text("1\n2\n", "1\n"), "text differs"),
    "a line added": Fault(LINES, text("2\n", "2\n3\n"), "text differs"),
    "an output dropped": Fault(BOTH, lambda c, run: c.outputs.pop(), "outputs: number"),
    "an output added": Fault(TEXT, lambda c, run: c.outputs.append(shown("1")), "outputs: number"),
    "a figure that is not drawn": Fault(BOTH, runs(stream("before\nafter\n")), "outputs: number"),
    "outputs in another order": Fault(
        BOTH, lambda c, run: c.outputs.insert(0, c.outputs.pop(1)), "outputs: number"
    ),
    "outputs stripped": Fault(TEXT, alter(outputs=[]), "outputs: number"),
    "no execution count": Fault(TEXT, alter(execution_count=None), "not executed"),
    "a silent cell never executed": Fault((), alter(execution_count=None), "not executed"),
    "an output that is no longer printed": Fault(TEXT, runs(), "outputs: number"),
    "stderr recorded": Fault(
        TEXT, lambda c, run: c.outputs.append(stream("oh", "stderr")), "recorded output on stderr"
    ),
    "stderr new": Fault((), runs(stream("oh", "stderr")), "new output on stderr"),
    "stderr in both": Fault((stream("oh", "stderr"),), lambda c, run: None, "output on stderr"),
    "an error recorded": Fault((), alter(outputs=[raised()]), "recorded output is an error"),
    "an error": Fault(TEXT, runs(raised()), "the cell raises ValueError: no\nTraceback"),
    "an error in both": Fault((raised(),), lambda c, run: None, "recorded output is an error"),
    "another error than the deliberate one": Fault(
        (raised(),), runs(raised(text="yes")), "text differs", ("raises-exception",)
    ),
    "a deliberate error that is not raised": Fault(
        (raised(),), runs(), "outputs: number", ("raises-exception",)
    ),
    "a tag for an error that is not there": Fault(TEXT, tagged("raises-exception"), "no error is"),
    "a region of a figure": Fault(FIGURE, smudge, "figures differ"),
    "a figure's title": Fault(
        FIGURE, runs(shown(png=picture("Accuracy in epoch 1"))), "grey levels"
    ),
    "a figure's colour beside a tolerance": Fault(
        FIGURE,
        runs(shown(png=picture(colour="navy"))),
        "times the tolerance 2",
        ("approx-abs=255",),
    ),
    "a figure's size": Fault(FIGURE, runs(shown(png=picture(size=(500, 300)))), "figures differ"),
    "another kind of figure": Fault(FIGURE, runs(shown(svg=vector())), "other MIME types"),
    "a title of a vector figure": Fault(
        VECTOR, runs(shown(svg=vector(title="Loss"))), "words of", APPROX_9
    ),
    "a point of a vector figure": Fault(VECTOR, runs(shown(svg=vector(y=0.6))), "shapes of"),
    "a vector figure that is blank": Fault(VECTOR, runs(shown(svg="<svg/>")), "words of", APPROX_9),
    "no alt text": Fault(FIGURE, lambda c, run: c.metadata.pop("alt"), "1 figures and 0 alt texts"),
    "an empty alt text": Fault(FIGURE, lambda c, run: c.metadata.update(alt=""), "alt texts"),
    "one alt text for two figures": Fault(
        FIGURE * 2, lambda c, run: c.metadata.update(alt="A line"), "2 figures and 1 alt texts"
    ),
    "another alt text in the record": Fault(FIGURE, recorded_alt("Two lines"), "alt text: the"),
    "no alt text in the record": Fault(FIGURE, recorded_alt(""), "alt text: the cell's metadata"),
    "metadata of an output": Fault(
        FIGURE, lambda c, run: c.outputs[0].metadata.update(isolated=True), "metadata differ"
    ),
    "an ignore comment": Fault(TEXT, alter(source="# NBVAL_IGNORE_OUTPUT\n1"), "no marker here"),
    "a skip comment": Fault(TEXT, alter(source="1\n#NBVAL_SKIP"), "no marker here"),
    "an ignore tag": Fault(TEXT, tagged("nbval-ignore-output"), "no marker here"),
    "a skip tag": Fault(TEXT, tagged("skip-execution"), "not allowed"),
    "an endless tolerance": Fault(TEXT, tagged("approx-rel=9"), "not allowed"),
    "an infinite tolerance": Fault(TEXT, tagged("approx-abs=inf"), "not allowed"),
    "a misspelt tolerance": Fault(TEXT, tagged("approx=9"), "not allowed"),
    "a tolerance for figures": Fault(FIGURE, tagged("figure-rms=5"), "not allowed"),
    "a pattern that matches nothing": Fault(TEXT, tagged("varies=0x"), "nothing in the record"),
    "a pattern that matches everywhere": Fault(TEXT, tagged("varies=x*"), "not allowed"),
    "a broken pattern": Fault(TEXT, tagged("varies=("), "not allowed"),
    "a change beside what may vary": Fault(
        TEXT, runs(stream("conv2d_2: 1.2")), "text differs", (r"varies=\d\.\d+",)
    ),
    "a progress display left behind": Fault((stream("1"),), runs(shown("99 %"), stream("1")), "99"),
}
NEW_NAME = "T_0f1e2", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "d41d8cd98f00b204e9800998ecf8427e"
OLD_NAME = "T_abcde", "6ba7b811-9dad-11d1-80b4-00c04fd430c8", "e41d8cd98f00b204e9800998ecf8427e"
TABLE = "<style>#{0}_row0 {{color: red}}</style><p id='{0}_row0'>5</p><div id=\"{1}\"/>"


def bar(milliseconds, colour="\x1b[32m"):
    """Return what Keras prints while it trains: each new bar goes back over the one before."""
    first, last = (
        f"1/9 {colour}━\x1b[0m 3s {milliseconds}ms/step",
        f"9/9 ━━ 0s {milliseconds}ms/step",
    )
    return stream(first + "\b" * 40 + "\r" + last + "\n")


# Changes that must pass.
ALLOWED = {
    "a number within the tolerance": Fault(TEXT, text("0.9914", "0.9931"), tags=APPROX),
    "a wider number": Fault((stream("a    9.9 s"),), runs(stream("a   10.1 s")), tags=APPROX_9),
    "a vector figure within the tolerance": Fault(
        VECTOR, runs(shown(svg=vector(0.52, name="p2"))), tags=APPROX_9
    ),
    "a progress display that was emptied": Fault(TEXT, runs(shown(), *TEXT)),
    "text in two pieces": Fault(LINES, runs(stream("1\n"), stream("2\n"))),
    "a deliberate error": Fault((raised(),), lambda c, run: None, tags=("raises-exception",)),
    "a bar that went back over itself": Fault((bar(206),), runs(stream("9/9 ━━ 0s 206ms/step\n"))),
    "a bar's times and colours": Fault((bar(206),), runs(bar(207, "")), tags=APPROX_9),
    "an address": Fault(
        (stream("<A at 0x7f1e>"),), runs(stream("<A at 0x55>")), tags=("varies=0x[0-9a-f]+",)
    ),
    "the order of a set": Fault(
        (stream("{'a', 'b'} 2"),), runs(stream("{'b', 'a'} 2")), tags=(r"varies=\{.*?\}",)
    ),
    "a date in a vector figure": Fault(
        (shown(svg=vector(date="<metadata>\n2026</metadata>")),),
        runs(shown(svg=vector(date="<metadata>\n2027</metadata>"))),
    ),
    "a comment in a vector figure": Fault(
        (shown(svg=vector(date="<!-- 2026 -->")),),
        runs(shown(svg=vector(date="<!-- 2027 -->"))),
        tags=("varies=<!--.*?-->",),
    ),
    "the model of a widget": Fault(
        (shown("HBox()", widget={"model_id": OLD_NAME[2]}),),
        runs(shown("HBox()", widget={"model_id": NEW_NAME[2]})),
    ),
    "a widget that brings a figure along": Fault(
        FIGURE, runs(shown(png=picture(), widget={"model_id": NEW_NAME[2]}))
    ),
    "random names in HTML": Fault(
        (shown("<Styler at 0x5>", html=TABLE.format(*OLD_NAME)),),
        runs(shown("<Styler at 0x6>", html=TABLE.format(*NEW_NAME))),
    ),
}


def differences(fault, rules=RULES):
    cell = record(nbformat.from_dict(list(fault.outputs)), fault.tags, strict=rules.strict)
    run = [
        nbformat.from_dict(dict(output, metadata={})) if "data" in output else output
        for output in record(fault.outputs, strict=False).outputs
    ]
    fault.change(cell, run)
    return check_cell(cell, run, rules)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_noticed(name):
    messages = "\n".join(f"{d.what} {d.expected} {d.got}" for d in differences(FAULTS[name]))
    assert FAULTS[name].message in messages
    assert messages


@pytest.mark.parametrize("name", ALLOWED)
def test_what_may_differ_passes(name):
    assert differences(ALLOWED[name]) == []


def warning(process, line=1, name="stderr"):
    return stream(f"/tmp/ipykernel_{process}/{process}.py:{line}: UserWarning: oh\n", name)


OUT, ERR = stream("1\n"), stream("2\n", "stderr")


@pytest.mark.parametrize(
    ("old", "new", "tags", "passes"),
    [
        (shown(png=picture()), shown(png=picture()), (), True),
        (OUT, OUT, ("hide-input", "parameters"), True),
        (OUT, OUT, ("nbval-skip",), False),
        (ERR, ERR, (), True),
        (ERR, stream("3\n", "stderr"), (), False),
        (ERR, OUT, (), False),
        (warning(1), warning(2), (), True),
        (warning(1), warning(2, line=3), (), False),
        (raised(), raised(), (), False),
    ],
)
def test_a_course_that_demands_less(old, new, tags, passes):
    cell = record([old], tags, strict=False)
    assert (check_cell(cell, [new], Rules()) == []) is passes


def test_both_streams_in_any_order_of_their_pieces():
    cell = record([stream("1\n1\n"), ERR], strict=False)
    assert check_cell(cell, [OUT, ERR, OUT], Rules()) == []


TENTH, RELATIVE, NINE = Tolerance(approx_abs=0.1), Tolerance(approx_rel=0.01), Tolerance(9)


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
        ("(60,000 images)", "(59,500 images)", RELATIVE, True),
        ("(1,100)", "(1,101)", RELATIVE, True),
        ("(1,100)", "(1,118)", Tolerance(approx_rel=0.02), False),
        ("(8,64,128,3)", "(8,64,129,3)", Tolerance(approx_rel=0.001), False),
        ("[-1,100]", "[-1,118]", Tolerance(approx_rel=0.02), False),
        ("99.15%", "99.20%", TENTH, True),
        ("99.15%", "99.20", TENTH, False),
        ("99.13", "99.14", Tolerance(approx_abs=0.01), True),
        ("99.13", "99.1401", Tolerance(approx_abs=0.01), False),
        ("60000.13", "60000.14", Tolerance(approx_abs=0.01), True),
        ("0.7", "0.8", TENTH, True),
        ("206ms/step", "211ms/step", NINE, True),
        ("206ms/step", "216ms/step", NINE, False),
        ("206ms/step", "206us/step", NINE, False),
        ("5s 1.5it/s", "7s 2.5it/s", NINE, True),
        ("[ 0.98  9.99]", "[ 1.02 10.01]", TENTH, True),
        ("[-0.01 1.]", "[ 0.01 1. ]", TENTH, True),
        ("12 3", "123", TENTH, False),
        ("conv2d_1", "conv2d_2", NINE, False),
        ("a 3x3 kernel", "a 5x5 kernel", NINE, False),
        ("version 3.15.1", "version 3.15.2", NINE, False),
        ("loss 0.1", "loss nan", NINE, False),
        ("loss 0.1", "loss inf", NINE, False),
        ("loss 0.1", "loss 1e999", NINE, False),
        ("loss 1e999", "loss 2e999", NINE, False),
        ("0", "0.001", RELATIVE, False),
        ("total 5", "Total 5", TENTH, False),
    ],
)
def test_numbers_and_words(expected, got, tolerance, passes):
    assert (line_distance(expected, got, tolerance) <= 1) is passes


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("10%\r100%", "100%"),
        ("100%\r9", "900%"),
        ("abc\b\b\bxy", "xy"),
        ("\b\ba", "a"),
        ("a\n\bb\r\nc\r", "a\nb\nc"),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x1b\\link", "red link"),
    ],
)
def test_what_is_visible_of_a_text(text, seen):
    assert compare.visible(text) == seen


def test_a_small_change_does_not_drown_in_a_large_canvas():
    canvas = Image.new("RGB", (1600, 1200), "white")
    changed = canvas.copy()
    ImageDraw.Draw(changed).rectangle((805, 605, 808, 614), fill="black")
    assert compare.figure_distance(png_of(canvas), png_of(canvas)) == 0
    assert compare.figure_distance(png_of(canvas), png_of(changed)) > Tolerance().figure_rms


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_random_fault_in_every_cell_of_a_chapter_is_caught(chapter):
    draw = random.Random(0)
    for number, cell in enumerate(recorded_cells(chapter)):
        assert check_cell(cell, cell.outputs, RULES) == []
        kind, faulty, new = plant(cell, draw)
        assert check_cell(faulty, new, RULES), f"cell {number}: {kind}"


def test_no_wrong_canvas_passes_for_any_figure_of_the_series():
    canvases = list(wrong_canvases(CHAPTERS, all_kinds=False))
    assert len(canvases) > 40
    assert [(name, what) for name, cell, what, bad in canvases if accepts(bad, cell)] == []


# --- the plugin, in real runs of pytest -------------------------------------------------------


def environment(folder, path=()):
    """Return the variables for a process in a folder that finds packages in the given places."""
    # jsonschema would parse the grammar of web addresses at each start, for some three seconds.
    (folder / "rfc3987_syntax.py").write_text("raise ImportError('left out')")
    found = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [*path, folder]))}
    found.pop("PYTEST_ADDOPTS", None)
    return found


def run_pytest(folder, *arguments, path=()):
    """Run pytest in a folder; return the outcome of each test and all that was printed."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    command += ["-p", "no:hypothesispytest"]  # it takes two seconds, and nothing here asks for it
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env=environment(folder, path),
        capture_output=True,
        text=True,
    )
    cases = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        bad = [case.find(kind) for kind in ("failure", "error", "skipped")]
        texts = [found.text or found.get("message") for found in bad if found is not None]
        name = f"{case.get('classname')}::{case.get('name')}"
        cases[name] = texts[0] if texts else "passed"
    return cases, done.stdout + done.stderr


def write(path, sources, tags=None):
    """Write a notebook of code cells, each under a heading that is its number."""
    cells = []
    for number, source in enumerate(sources):
        cells += [new_markdown_cell(f"## Part {number}"), new_code_cell(source)]
        cells[-1].metadata["tags"] = (tags or {}).get(source, [])
    nbformat.write(new_notebook(cells=cells), path)


# What a notebook shows after each cell; nbval, left alone, shows other things after most of them.
SHOWS = {
    "x = 41 + 1\nx;": None,
    "x": "42",
    "_ + 1": "43",
    "Out[2], In[1]": "(42, 'x = 41 + 1\\nx;')",
    "from IPython.display import clear_output": None,
    "for i in 1, 2:\n    clear_output(wait=True)\n    print(i)": "2\n",
    "handle = display('working', display_id=True)": "'done'",
    "handle.update('done')": None,
    "import uuid\ndisplay({'text/html': f'<p id=\"{uuid.uuid4()}\">'}, raw=True)": None,
    "object()": "<object",
    "1 / 0": "division by zero",
    "from PIL import Image\nImage.new('L', (60, 40), 200)": "<PIL.Image.Image image",
}
TAGS = {"object()": ["varies=at 0x[0-9a-f]+"], "1 / 0": ["raises-exception"]}
# Code changed since it was recorded, and what must be said of it.
CHANGED = {
    "print(1)": ("print(2)", "expected  1\n  got       2"),
    "1;": ("1 / 0", "the cell raises ZeroDivisionError: division by zero"),
    "2;": ("import os, time; os.write(2, b'oh'); time.sleep(1)", "new output on stderr"),
    "3;": ("import warnings; warnings.warn('oh')", "UserWarning: oh"),
    "Image.new('L', (60, 40), 9)": ("Image.new('L', (60, 40), 99)", "RMS of 90.0 grey levels"),
}
ENDS = ["print(1)", "import os\nos._exit(1)", "print(3)"]
LATE = ["print(1)", "import time\nwhile True:\n    time.sleep(0.1)", "print(3)"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Notebooks of all kinds in one run: a folder, the outcomes, what was printed."""
    folder = tmp_path_factory.mktemp("run")
    path = folder / "shows.ipynb"
    write(path, [*SHOWS, *CHANGED], TAGS)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "Image.new" in cell.source:
            cell.metadata["alt"] = "A grey square"
    nbformat.write(notebook, path)
    notebooks.update(path, notebooks.execute(path))
    changed = nbformat.read(path, as_version=4)
    for cell in changed.cells:
        cell.source = CHANGED.get(cell.source, [cell.source])[0]
    nbformat.write(changed, path)
    for name, sources in (("ends", ENDS), ("late", LATE)):
        write(folder / f"{name}.ipynb", sources)
        notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
        for cell in notebooks.code_cells(notebook):
            cell.execution_count = 1
            if "print" in cell.source:
                cell.outputs = [stream(f"{cell.source[6]}\n")]
        nbformat.write(notebook, folder / f"{name}.ipynb")
    settings = "nbcheck = strict\nnbcheck_timeout = 10\nnbcheck_hint = Record {name}."
    (folder / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    return folder, *run_pytest(folder, "-n2", "--dist=loadscope")


@pytest.mark.parametrize("number", range(len(SHOWS)))
def test_a_run_shows_what_a_notebook_shows(run, number):
    folder, cases, _ = run
    assert cases[f"shows.ipynb::Cell {number}"] == "passed"
    cell = notebooks.code_cells(nbformat.read(folder / "shows.ipynb", as_version=4))[number]
    texts = [
        o.get("evalue", o.get("text", o.get("data", {}).get("text/plain"))) for o in cell.outputs
    ]
    assert str((texts or [None])[0]).startswith(str(SHOWS[cell.source]))


@pytest.mark.parametrize("number", range(len(CHANGED)))
def test_a_changed_cell_fails_and_says_why(run, number):
    _, cases, _ = run
    cell = len(SHOWS) + number
    message = cases[f"shows.ipynb::Cell {cell}"]
    assert message.startswith(f"shows.ipynb, cell {cell}, under “Part {cell}”:\n")
    assert list(CHANGED.values())[number][1] in message
    assert message.endswith("Kept for a look: build/failed/shows*\nRecord shows.")
    assert len(message.splitlines()) <= 15


def test_what_failed_is_kept(run):
    kept = run[0] / "build" / "failed"
    for name in ("expected", "actual", "difference"):
        picture = f"shows-cell{len(SHOWS) + len(CHANGED) - 1}-0-{name}.png"
        assert Image.open(kept / picture).size == (60, 40)
    executed = notebooks.code_cells(nbformat.read(kept / "shows.ipynb", as_version=4))
    assert executed[len(SHOWS)].outputs[0].text == "2\n"


def test_the_summary_names_slow_cells_and_those_that_may_vary(run):
    printed = run[2]
    assert "slowest cells" in printed
    assert "cells whose outputs may vary: 1" in printed
    assert f"shows.ipynb::Cell {list(SHOWS).index('object()')}  varies=at 0x[0-9a-f]+" in printed


def test_a_kernel_that_dies_fails_its_cell_and_the_rest_at_once(run):
    cells = [run[1][f"ends.ipynb::Cell {number}"] for number in range(3)]
    assert cells[0] == "passed"
    assert "the kernel died while this cell ran" in cells[1]
    assert "not run: the kernel died in a cell above" in cells[2]


def test_a_cell_beyond_its_time_is_interrupted_and_the_rest_runs(run):
    cells = [run[1][f"late.ipynb::Cell {number}"] for number in range(3)]
    assert cells[0] == cells[2] == "passed"
    assert "interrupted after the 10 seconds that a cell may take" in cells[1]


def test_one_cell_alone_runs_what_it_needs(run):
    folder, name = run[0], f"shows.ipynb::Cell {list(SHOWS).index('x')}"
    cases, _ = run_pytest(folder, name)
    assert cases == {name: "passed"}


def test_a_broken_file_gets_one_sentence(tmp_path):
    (tmp_path / "broken.ipynb").write_text("<<<<<<< HEAD\n{}")
    _, printed = run_pytest(tmp_path, "--nbcheck=on")
    assert "broken.ipynb is not a notebook" in printed
    assert "Traceback" not in printed


def test_installed_it_changes_nothing_until_it_is_asked(tmp_path):
    write(tmp_path / "unrecorded.ipynb", ["print(1)"])
    (tmp_path / "test_one.py").write_text("def test_one(): pass")
    assert list(run_pytest(tmp_path)[0]) == ["test_one::test_one"]
    (entry,) = importlib.metadata.entry_points(group="pytest11", name="nbcheck")
    code = f"import sys, {entry.value}; print([m for m in ('numpy', 'nbval') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


# Somebody else's: pictures without alt texts, warnings, another tool's tags, an answer gone stale.
PLOT = "import warnings\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()"
WARNS = "warnings.warn('this course does not mind')"
BAR = "for i in range(4):\n    print('\\r' + '#' * i, end='')"
FIRST = [PLOT, WARNS, BAR]
SECOND = ["import time\ntime.perf_counter()", "import sys\nprint('oh', file=sys.stderr)", "2 + 2"]


def test_two_notebooks_of_another_course(tmp_path):
    """Use the page's own ini file and command, and nothing of ours but the folder, renamed."""
    shutil.copytree(CHECK, tmp_path / "plugin" / "nbcheck")
    (tmp_path / "plugin" / "mnist_cnn.py").write_text("raise ImportError('not here')")
    course = tmp_path / "course"
    (course / "week 1").mkdir(parents=True)
    write(course / "first.ipynb", FIRST, {PLOT: ["hide-input"]})
    write(course / "week 1" / "second.ipynb", SECOND, {SECOND[0]: [r"varies=\d+\.\d+"]})
    page = (CHECK / "README.md").read_text(encoding="utf-8")
    (course / "pytest.ini").write_text(page.partition("```ini\n")[2].partition("```")[0])
    command = ["jupyter", "execute", "--inplace", "first.ipynb", "week 1/second.ipynb"]
    assert " ".join(command[:3]) in page
    command = [sys.executable, "-m", *command]
    subprocess.run(command, cwd=course, env=environment(course), check=True, capture_output=True)
    second = course / "week 1" / "second.ipynb"
    second.write_text(second.read_text().replace("2 + 2", "2 + 3"))
    plugin = ("-p", "no:nbcheck", "-p", "nbcheck.plugin")
    cases, printed = run_pytest(course, *plugin, path=[tmp_path / "plugin"])
    failed = {name: text for name, text in cases.items() if text != "passed"}
    assert len(cases) == len(FIRST + SECOND) and list(failed) == ["week 1.second.ipynb::Cell 2"]
    (message,) = failed.values()
    assert "expected  4\n  got       5" in message
    assert 'jupyter execute --inplace "week 1/second.ipynb"' in message
    assert (course / "build" / "failed" / "week 1" / "second.ipynb").exists()
    assert "cells whose outputs may vary: 1" in printed


@pytest.mark.parametrize(("chapter", "module", "old", "new"), CODE_FAULTS)
def test_a_fault_to_plant_fits_the_source(chapter, module, old, new):
    source = (ROOT / "mnist_cnn" / f"{module}.py").read_text(encoding="utf-8")
    assert old in source
    ast.parse(source.replace(old, new))


def test_a_fault_in_the_package_is_caught_by_a_notebook(tmp_path):
    """Divide by 256 instead of 255; the honest package gives what is recorded here."""
    sources = [
        "import numpy as np\nfrom mnist_cnn import preprocess",
        "inputs.shape",
        "inputs.max()",
    ]
    sources.insert(1, "inputs = preprocess.prepare(np.full((9, 28, 28), 255, 'uint8'))")
    write(tmp_path / "prepare.ipynb", sources)
    notebooks.update(tmp_path / "prepare.ipynb", notebooks.execute(tmp_path / "prepare.ipynb"))
    package = tmp_path / "mnist_cnn"
    shutil.copytree(ROOT / "mnist_cnn", package, ignore=shutil.ignore_patterns("assets"))
    source = package / "preprocess.py"
    text = source.read_text(encoding="utf-8")
    assert text.count("np.float32(255)") == 1
    source.write_text(text.replace("np.float32(255)", "np.float32(256)"), encoding="utf-8")
    cases, _ = run_pytest(tmp_path, "--nbcheck=strict", "prepare.ipynb", path=[tmp_path])
    assert [outcome == "passed" for outcome in cases.values()] == [True, True, True, False]


# --- the recorder ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A notebook as recorded, and what was reported while it ran."""
    path, seen = tmp_path_factory.mktemp("small") / "small.ipynb", []
    tagged, figure = "print('accuracy 0.9914')", "from PIL import Image\nImage.new('L', (9, 9))"
    write(path, [tagged, "print('word 1')", "40 + 2", figure], {tagged: ["approx-abs=0.003"]})
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["alt"] = "A black square"
    nbformat.write(notebook, path)
    notebooks.update(path, notebooks.execute(path, lambda *found: seen.append(found)))
    return path, seen


@pytest.fixture
def small(executed, tmp_path):
    return Path(shutil.copy(executed[0], tmp_path))


def test_each_cell_is_reported_as_it_ends(executed):
    assert [number for number, _ in executed[1]] == [0, 1, 2, 3]
    assert executed[1][1][1].outputs[0].text == "word 1\n"


def test_update_keeps_what_is_within_the_tolerance(small):
    recorded = small.read_bytes()
    run = nbformat.read(small, as_version=4)
    notebooks.code_cells(run)[0].outputs[0].text = "accuracy 0.9920\n"
    statuses = [change.status for change in notebooks.update(small, run)]
    assert statuses == ["within tolerance", "unchanged", "unchanged", "unchanged"]
    assert small.read_bytes() == recorded


def test_update_records_what_changed_and_nothing_else(small):
    recorded = small.read_text(encoding="utf-8")
    run = nbformat.read(small, as_version=4)
    notebooks.code_cells(run)[1].outputs[0].text = "word 2\n"
    change = notebooks.update(small, run)[1]
    assert (change.status, change.old, change.new) == ("changed", "word 1", "word 2")
    old, new = recorded.splitlines(), small.read_text(encoding="utf-8").splitlines()
    assert sum(a != b for a, b in zip(old, new, strict=True)) == 1


def test_recorded_file_holds_no_trace_of_the_machine(small):
    notebook = nbformat.read(small, as_version=4)
    assert notebook.metadata.language_info == {"name": "python"}
    assert notebook.metadata.kernelspec.name == "python3"
    cells = notebooks.code_cells(notebook)
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert cells[2].outputs[0].execution_count == 3
    assert cells[3].outputs[0].metadata["image/png"]["alt"] == "A black square"
    assert all("execution" not in cell.metadata for cell in cells)
    assert small.read_bytes().endswith(b"}\n")


def test_update_refuses_stderr_and_writes_nothing(small):
    recorded = small.read_bytes()
    run = nbformat.read(small, as_version=4)
    notebooks.code_cells(run)[2].outputs = [stream("a warning", "stderr")]
    with pytest.raises(ValueError, match="cell 2 wrote to stderr"):
        notebooks.update(small, run)
    assert small.read_bytes() == recorded
