"""The command ``mnist-cnn``: what was asked for, and what is printed."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mnist_cnn import data, language, networks, preprocess, recipes, training
from mnist_cnn.course import (  # noqa: F401 (the commands that read notebooks start sooner)
    machine,
    models,
    quick_start,
    reading,
    reference,
    results,
    workers,
)
from mnist_cnn.course.files import (
    chapters_folder,
    find_chapters,
    project_root,
    replacing,
    source_root,
)
from mnist_cnn.language import translated

DEFAULT_MODEL = "default: the reference network 'best'"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str or None
        The arguments; None takes the process's own.

    Returns
    -------
    int
        0 done, 2 bad input (one line on stderr says what), 130 interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        language.chosen()  # better refused now than in the middle
        return arguments.run(arguments)
    except KeyboardInterrupt:
        newline = "\n" * sys.stderr.isatty()  # the progress bar's line ends here
        said = translated("interrupted; nothing half-written is left")
        print(f"{newline}mnist-cnn: {said}", file=sys.stderr)
        return 130
    except (OSError, ValueError, RuntimeError) as error:
        _complain(error)
        return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"mnist-cnn: {message} (mnist-cnn --help lists the calls)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mnist-cnn",
        description="Handwritten digits with a small convolutional network. "
        "Without a command: train with the recipe 'fast' and show where everything is.",
    )
    parser.set_defaults(run=_train, recipe="fast", epochs=None, seed=0, out=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    train = commands.add_parser("train", help="train, evaluate, and save model and figures")
    train.add_argument("--recipe", default="fast", help=" or ".join(recipes.RECIPES))
    train.add_argument("--epochs", type=int, metavar="N", help="instead of the recipe's own")
    train.add_argument("--seed", type=int, default=0, metavar="N")
    train.add_argument("--out", type=Path, metavar="DIR", help="default: artifacts/mnist-cnn")

    evaluate = commands.add_parser("evaluate", help="accuracy and confusion matrix of a model")
    evaluate.add_argument("model", nargs="?", type=Path, metavar="MODEL", help=DEFAULT_MODEL)
    evaluate.set_defaults(run=_evaluate)

    predict = commands.add_parser("predict", help="read the digits in each picture")
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    predict.add_argument("--model", type=Path, metavar="PATH", help=DEFAULT_MODEL)
    predict.add_argument(
        "--json",
        action="store_true",
        help="a list: per picture its file and digits, per digit the digit, its probability, "
        "box (left, top, right, bottom in pixels) and line; or the error",
    )
    predict.add_argument(
        "--save-boxes", type=Path, metavar="DIR", help="save each picture with the answers drawn"
    )
    predict.set_defaults(run=_predict)

    reference = commands.add_parser("networks", help="train the reference networks anew, compare")
    reference.add_argument("names", nargs="*", metavar="NAME", help=" or ".join(networks.NAMES))
    reference.add_argument("--update", action="store_true", help="put the new ones in their place")
    reference.set_defaults(run=_networks)

    notebooks = commands.add_parser("notebooks", help="execute chapters into build/notebooks")
    notebooks.add_argument("names", nargs="*", metavar="NAME", help="03, 03_conv_pool_model, path")
    notebooks.add_argument("--update", action="store_true", help="rewrite the recorded outputs")
    notebooks.set_defaults(run=_notebooks)

    lab = commands.add_parser("lab", help="open a copy of the chapters, to work in, in JupyterLab")
    lab.add_argument("folder", nargs="?", type=Path, help="default: mnist-notebooks, or …-zh")
    _add_language(lab)
    lab.set_defaults(run=_lab)

    edition = commands.add_parser("edition", help="the chapters for students, teachers, nbgrader")
    edition.add_argument("edition", choices=("student", "instructor", "nbgrader"))
    edition.add_argument("out", type=Path, metavar="OUT")
    edition.add_argument("--strip", action="store_true", help="leave the recorded outputs out")
    _add_language(edition)
    edition.set_defaults(run=_edition)

    grade = commands.add_parser("grade", help="run returned notebooks, and judge their exercises")
    grade.add_argument("folder", type=Path, metavar="FOLDER")
    grade.add_argument("--out", type=Path, metavar="FILE", help="default: FOLDER/marks.csv")
    grade.add_argument(
        "--limit", type=int, default=300, metavar="SECONDS", help="for a whole notebook"
    )
    grade.set_defaults(run=_grade)

    slides = commands.add_parser("slides", help="a chapter's slides as one file for a browser")
    slides.add_argument("names", nargs="*", metavar="NAME", help="03, 03_conv_pool_model, path")
    slides.add_argument("--out", type=Path, metavar="DIR", help="default: build/slides")
    _add_language(slides)
    slides.set_defaults(run=_slides)

    site = commands.add_parser("site", help="chapters, slides and playground as a folder of pages")
    site.add_argument("--out", type=Path, metavar="DIR", help="default: build/site")
    site.add_argument("--language", choices=language.languages(), help="default: all, linked")
    site.set_defaults(run=_site)

    playground = commands.add_parser("playground", help="draw a digit, see every step: one page")
    playground.add_argument("--out", type=Path, metavar="FILE", help="build/playground.html")
    _add_language(playground)
    playground.set_defaults(run=_playground)

    translations = commands.add_parser("translations", help="what is to translate; 2 if anything")
    translations.add_argument("--update", action="store_true", help="bring the files up to date")
    translations.set_defaults(run=_translations)

    kit = commands.add_parser("kit", help="a folder that installs all of it without internet")
    kit.add_argument("out", type=Path, metavar="OUT")
    kit.add_argument(
        "--platform",
        nargs="+",
        choices=("windows", "macos", "linux"),
        default=[{"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")],
        help="of the room's computers; default: this one's",
    )
    kit.add_argument(
        "--python",
        choices=("3.11", "3.12", "3.13"),
        default=".".join(map(str, sys.version_info[:2])),
        help="of the room's computers; default: this one's",
    )
    kit.set_defaults(run=_kit)

    info = commands.add_parser("info", help="versions and machine, for a bug report")
    info.set_defaults(run=_info)
    return parser


def _add_language(parser: argparse.ArgumentParser) -> None:
    """Let a call name a language; without one it is that of MNIST_CNN_LANGUAGE, or English."""
    parser.add_argument(
        "--language",
        choices=language.languages(),
        default=os.environ.get(language.VARIABLE) or "en",  # `main` refuses an unknown one
        help="default: that of MNIST_CNN_LANGUAGE, or en",
    )


def _complain(error: Exception | str, about: str = "") -> str:
    if isinstance(error, OSError) and error.strerror:
        about, error = about or error.filename, error.strerror
    message = " ".join(str(error).split())
    if about and about not in message:
        message = f"{about}: {message}"
    print(f"mnist-cnn: {message}", file=sys.stderr)
    return message


def _recipe(name: str) -> recipes.Recipe:
    if name not in recipes.RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(recipes.RECIPES)}, not {name!r}")
    return recipes.RECIPES[name]


def _train(arguments: argparse.Namespace) -> int:
    recipe = _recipe(arguments.recipe)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    task = workers.read_task()  # of several, where TF_CONFIG names them
    out = arguments.out or project_root() / "artifacts" / "mnist-cnn"
    writes = task is None or task.number == 0
    if writes:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()  # better refused now than after minutes of training
    (x_train, y_train), (x_test, y_test) = data.load_mnist()
    x_train, x_test = preprocess.prepare(x_train), preprocess.prepare(x_test)
    print(
        translated(
            "training on {digits:,} digits: recipe {recipe}, epochs {epochs}, seed {seed} ..."
        ).format(
            digits=len(x_train),
            recipe=arguments.recipe,
            epochs=recipe.epochs,
            seed=arguments.seed,
        ),
        flush=True,
    )
    started = time.perf_counter()
    targets = preprocess.one_hot(y_train)
    if task:
        network, history = workers.train(recipe, task, x_train, targets, seed=arguments.seed)
    else:
        network, history = training.train(recipe, x_train, targets, seed=arguments.seed)
    if not writes:
        print("trained; worker 0 measures and writes the files")
        return 0
    seconds = time.perf_counter() - started
    said = translated("trained in {seconds:.0f} s; testing on {digits:,} other digits ...")
    print(said.format(seconds=seconds, digits=len(x_test)), flush=True)
    measures, probabilities = results.measure(network, (x_train, y_train), (x_test, y_test))
    metrics = {
        "recipe": arguments.recipe,
        "seed": arguments.seed,
        "epochs": recipe.epochs,
        "train_seconds": round(seconds, 1),
        **measures,
        "versions": machine.versions(),
    }
    figures = results.draw(history, x_test, y_test, probabilities)
    names = results.save(out, network, history, metrics, figures)
    said = translated(
        "test accuracy {test_accuracy:.4f}, training accuracy {train_accuracy:.4f}, "
        "{parameters:,} parameters"
    )
    print(f"\n{said.format(**metrics)}\n\n{out}")
    for name in names:
        print(f"  {name}")
    said = translated("open next: {file}, then the chapters: mnist-cnn lab")
    print(f"\n{said.format(file=out / 'errors.png')}")
    return 0


def _networks(arguments: argparse.Namespace) -> int:
    code = 0
    for name in arguments.names or networks.NAMES:
        recipe = _recipe(name)
        print(f"{name}: training, epochs {recipe.epochs}, seed {reference.SEED} ...", flush=True)
        again = reference.train(name)
        if arguments.update:
            reference.write(again)
            print(f"  written; test accuracy {again.card['test_accuracy']:.4f}")
            continue
        agrees, sentence = reference.verdict(networks.read(name).card, again.card)
        print(f"  {sentence}", flush=True)
        code = code if agrees else 2
    return code


def _evaluate(arguments: argparse.Namespace) -> int:
    network = models.load(arguments.model) if arguments.model else networks.load("best")[0]
    reader = models.reader(network)
    _, (images, labels) = data.load_mnist()
    predicted = reader.probabilities(preprocess.prepare(images)).argmax(axis=1)
    print(results.accuracy(labels, predicted))
    if reader.note:
        print(f"{arguments.model}: {reader.note}")
    print(f"\n{results.confusion_table(labels, predicted)}")
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    if arguments.model:
        reader = models.reader(models.load(arguments.model))
    else:
        reader = models.Reader(reading.best())
    found: list[dict] = []
    drawn: set[Path] = set()
    for file in arguments.images:
        try:
            digits = reading.read(file, reader.probabilities)
            if arguments.save_boxes:
                drawn.add(reading.save_boxes(file, digits, arguments.save_boxes, drawn))
        except (OSError, ValueError) as error:
            found.append({"file": file, "error": _complain(error, file)})
            continue
        found.append({"file": file, "digits": digits})
        if not arguments.json:
            print(reading.sentence(file, digits), flush=True)
    if arguments.json:
        print(json.dumps(found, indent=1))
    if reader.note:
        print(f"{arguments.model}: {reader.note}", file=sys.stderr if arguments.json else None)
    return 2 if any("error" in entry for entry in found) else 0


def _notebooks(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course.editions import NOT_NOTEBOOKS

    build = project_root() / "build" / "notebooks"
    code = 0
    packaged = chapters_folder().is_relative_to(Path(__file__).parent)
    if packaged:  # nothing is written beside these: they run where their copies are
        shutil.copytree(chapters_folder(), build, ignore=NOT_NOTEBOOKS, dirs_exist_ok=True)
    for path in find_chapters(arguments.names):
        if packaged:
            path = Path(shutil.copy(path, build))
        try:
            _run_chapter(path, build / path.name, arguments)
        except (OSError, ValueError, RuntimeError) as error:
            _complain(error, path.name)
            code = 2
    print(f"executed copies: {build}")
    return code


def _run_chapter(path: Path, copy: Path, arguments: argparse.Namespace) -> None:
    import nbformat
    from nbclient.exceptions import CellExecutionError

    from mnist_cnn.course import notebooks

    def show(number: int, cell: object) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K  cell {number}", end="", file=sys.stderr, flush=True)

    print(f"{path.name} ...", flush=True)
    started = time.perf_counter()
    try:
        executed = notebooks.execute(path, show)
    except CellExecutionError as error:
        raise RuntimeError(f"{path.name}: {error.ename}: {error.evalue}") from error
    with replacing(copy) as temporary:
        nbformat.write(executed, temporary)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    cells = len(notebooks.code_cells(executed))
    print(f"  {cells} code cells run in {time.perf_counter() - started:.0f} s")
    for change in notebooks.update(path, executed) if arguments.update else []:
        print(f"  cell {change.cell}: {change.status}")
        for mark, text in (("-", change.old), ("+", change.new)):
            for line in text.splitlines():
                print(f"    {mark} {line}")


def _edition(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import editions, grading

    source, out = chapters_folder(), arguments.out
    if arguments.edition == "nbgrader":
        written = grading.write_course(source, out, arguments.language)
    else:
        written = editions.write(
            arguments.edition, source, out, strip=arguments.strip, language=arguments.language
        )
    for path in written:
        print(path)
    return 0


def _lab(arguments: argparse.Namespace) -> int:
    from jupyterlab import labapp

    from mnist_cnn.course import editions

    suffix = "" if arguments.language == "en" else f"-{arguments.language}"
    folder = arguments.folder or Path(f"mnist-notebooks{suffix}")
    os.environ[language.VARIABLE] = arguments.language  # `check` will speak it too
    if not any(folder.glob("*.ipynb")):
        for _ in editions.write("student", chapters_folder(), folder, language=arguments.language):
            pass
    said = translated("{folder}: your own copy; end JupyterLab with Ctrl-C")
    print(said.format(folder=folder.resolve()), flush=True)
    labapp.main([str(folder)])  # in this process, so that Ctrl-C is JupyterLab's own
    return 0


def _translations(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import translations

    root = project_root()
    if not (root / "TEACHING.md").exists():
        raise ValueError(f"{root} is not the project's source: call this in a clone of it")
    code = 0
    for name in language.languages()[1:]:
        if arguments.update:
            translations.renew(root, name)
        for line in translations.to_do(root, name):
            print(f"{name}/{line}")
            code = 2
    return code


def _grade(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import grading

    returned = sorted(arguments.folder.glob("*.ipynb"))
    if not returned:
        raise ValueError(f"{arguments.folder} holds no notebooks")
    verdicts = []
    for path in returned:
        rows = grading.grade(path, chapters_folder(), arguments.limit)
        right = sum(row.verdict == "right" for row in rows)
        print(f"{path.name}: {right} of {len(rows)} right", flush=True)
        verdicts += rows
    out = arguments.out or arguments.folder / "marks.csv"
    grading.write_marks(verdicts, out)
    print(out)
    return 0


def _slides(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import slides

    out = arguments.out or _build(arguments) / "slides"
    chapters = find_chapters(arguments.names)
    for path in chapters:
        print(slides.write(path, out, arguments.language), flush=True)
    if not arguments.names:
        print(slides.write_index(chapters, out, arguments.language))
    return 0


def _build(arguments: argparse.Namespace) -> Path:
    """Return the folder for pages: as in the site, other languages have one of their own."""
    return project_root() / "build" / ("" if arguments.language == "en" else arguments.language)


def _site(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import site

    out = arguments.out or project_root() / "build" / "site"
    speaking = [arguments.language] if arguments.language else language.languages()
    sys.stderr.write(site.build(source_root(), out, speaking))
    print(f"{out}: open index.html, from a file or a server")
    return 0


def _playground(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import playground

    out = arguments.out or _build(arguments) / "playground.html"
    print(playground.write(out, language=arguments.language))
    return 0


def _kit(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import kit

    root = source_root()
    if not (root / "requirements.lock").exists():
        raise ValueError(f"{root} holds no requirements.lock: run this in the project's folder")
    kit.write(root, arguments.out, arguments.platform, arguments.python)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.0f} MB; begin with {arguments.out / 'INSTALL.txt'}")
    return 0


def _info(arguments: argparse.Namespace) -> int:
    data.load_mnist()
    facts = machine.versions() | machine.machine() | {"data": f"SHA-256 {data.SHA256}, checked"}
    for name, value in facts.items():
        print(f"{name:20} {value}")
    return 0
