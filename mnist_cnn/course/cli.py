"""The command ``mnist-cnn``: what was asked for, and what is printed."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from mnist_cnn import data, networks, preprocess, recipes, runtime, training
from mnist_cnn.course import machine, reference
from mnist_cnn.course.files import project_root, replacing
from mnist_cnn.progress import History

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

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
        return arguments.run(arguments)
    except KeyboardInterrupt:
        newline = "\n" * sys.stderr.isatty()  # the progress bar's line ends here
        print(f"{newline}mnist-cnn: interrupted; nothing half-written is left", file=sys.stderr)
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

    predict = commands.add_parser("predict", help="read the digit in each picture")
    predict.add_argument("images", nargs="+", metavar="IMAGE")
    predict.add_argument("--model", type=Path, metavar="PATH", help=DEFAULT_MODEL)
    predict.add_argument("--json", action="store_true", help="a list of file, digit, probability")
    predict.set_defaults(run=_predict)

    reference = commands.add_parser("networks", help="train the reference networks anew, compare")
    reference.add_argument("names", nargs="*", metavar="NAME", help=" or ".join(networks.NAMES))
    reference.add_argument("--update", action="store_true", help="put the new ones in their place")
    reference.set_defaults(run=_networks)

    notebooks = commands.add_parser("notebooks", help="execute chapters into build/notebooks")
    notebooks.add_argument("names", nargs="*", metavar="NAME", help="03, 03_conv_pool_model, path")
    notebooks.add_argument("--update", action="store_true", help="rewrite the recorded outputs")
    notebooks.set_defaults(run=_notebooks)

    edition = commands.add_parser("edition", help="the chapters without or with solutions shown")
    edition.add_argument("edition", choices=("student", "instructor"))
    edition.add_argument("out", type=Path, metavar="OUT")
    edition.add_argument("--strip", action="store_true", help="leave the recorded outputs out")
    edition.set_defaults(run=_edition)

    slides = commands.add_parser("slides", help="a chapter's slides as one file for a browser")
    slides.add_argument("names", nargs="*", metavar="NAME", help="03, 03_conv_pool_model, path")
    slides.add_argument("--out", type=Path, metavar="DIR", help="default: build/slides")
    slides.set_defaults(run=_slides)

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


def _complain(error: Exception | str, about: str = "") -> None:
    if isinstance(error, OSError) and error.strerror:
        about, error = about or error.filename, error.strerror
    message = " ".join(str(error).split())
    if about and about not in message:
        message = f"{about}: {message}"
    print(f"mnist-cnn: {message}", file=sys.stderr)


def _train(arguments: argparse.Namespace) -> int:
    recipe = recipes.get_recipe(arguments.recipe)
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    out = arguments.out or project_root() / "artifacts" / "mnist-cnn"
    out.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=out).close()  # better refused now than after minutes of training
    (x_train, y_train), (x_test, y_test) = data.load_mnist()
    x_train, x_test = preprocess.prepare(x_train), preprocess.prepare(x_test)
    print(
        f"training on {len(x_train):,} digits: recipe {arguments.recipe}, epochs {recipe.epochs}, "
        f"seed {arguments.seed} ...",
        flush=True,
    )
    started = time.perf_counter()
    targets = preprocess.one_hot(y_train)
    network, history = training.train(recipe, x_train, targets, seed=arguments.seed)
    seconds = time.perf_counter() - started
    print(f"trained in {seconds:.0f} s; testing on {len(x_test):,} other digits ...", flush=True)
    train_probabilities = _probabilities(network, x_train)
    probabilities = _probabilities(network, x_test)
    true_class = probabilities[np.arange(len(y_test)), y_test]
    metrics = {
        "recipe": arguments.recipe,
        "seed": arguments.seed,
        "epochs": recipe.epochs,
        "train_seconds": round(seconds, 1),
        "train_accuracy": float(np.mean(train_probabilities.argmax(axis=1) == y_train)),
        "test_accuracy": float(np.mean(probabilities.argmax(axis=1) == y_test)),
        "test_loss": float(-np.log(np.maximum(true_class, 1e-7)).mean()),
        "parameters": network.count_params(),
        "versions": machine.versions(),
    }
    figures = _figures(history, x_test, y_test, probabilities)
    with replacing(out / "model.keras") as temporary:
        network.save(temporary)
    for name, figure in figures.items():
        with replacing(out / name) as temporary:
            figure.savefig(temporary, dpi=150)
    for name, content in (("history.json", history), ("metrics.json", metrics)):
        with replacing(out / name) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(
        f"\ntest accuracy {metrics['test_accuracy']:.4f}, "
        f"training accuracy {metrics['train_accuracy']:.4f}, "
        f"{metrics['parameters']:,} parameters\n\n{out}"
    )
    for name in ("model.keras", "history.json", "metrics.json", *figures):
        print(f"  {name}")
    print(f"\nopen next: {out / 'errors.png'}, then the first chapter: jupyter lab notebooks")
    return 0


def _figures(
    history: History, images: np.ndarray, labels: np.ndarray, probabilities: np.ndarray
) -> dict[str, Figure]:
    from sklearn.metrics import confusion_matrix

    from mnist_cnn import plots

    predicted = probabilities.argmax(axis=1)
    worst = probabilities[np.arange(len(labels)), labels].argsort()[:30]
    titles = [f"{labels[i]} → {predicted[i]}" for i in worst]
    return {
        "history.png": plots.history_panels(history),
        "confusion.png": plots.confusion_heatmap(confusion_matrix(labels, predicted)),
        "errors.png": plots.digit_grid(
            images[worst], titles, title="Read worst: the true digit, then the network's"
        ),
    }


def _networks(arguments: argparse.Namespace) -> int:
    code = 0
    for name in arguments.names or networks.NAMES:
        recipe = recipes.get_recipe(name)
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


def _load_model(path: Path) -> keras.Model:
    if path.is_dir():
        path = path / "model.keras"
    if not path.exists():
        raise ValueError(f"{path} is missing: mnist-cnn train makes a model")
    runtime.load_tensorflow()
    import keras

    try:
        network = keras.saving.load_model(path, compile=False)
        shapes = network.input_shape[1:], network.output_shape[1:]
    except Exception as error:  # Keras raises whatever its parts raise
        raise ValueError(f"{path} is not a readable Keras model") from error
    if shapes != ((28, 28, 1), (10,)):
        raise ValueError(f"{path} must take (28, 28, 1) and give (10,), not {shapes}")
    return network


def _probabilities(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return scores that sum to 1.

    A softmax's are left as they are. A sigmoid's are divided by their sum, as Keras's categorical
    cross-entropy does in training.
    """
    from mnist_cnn import evaluation

    scores = evaluation.predict_scores(network, images)
    return scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-7)


def _evaluate(arguments: argparse.Namespace) -> int:
    network = _load_model(arguments.model) if arguments.model else networks.load("best")[0]
    from sklearn.metrics import confusion_matrix

    from mnist_cnn import evaluation

    _, (images, labels) = data.load_mnist()
    predicted = _probabilities(network, preprocess.prepare(images)).argmax(axis=1)
    correct = int(np.sum(predicted == labels))
    low, high = evaluation.wilson_interval(correct, len(labels))
    print(f"accuracy {correct / len(labels):.4f} ({correct:,} of {len(labels):,} test digits)")
    print(f"95 % interval {low:.4f} to {high:.4f}")
    print("\nrows: true digit; columns: predicted digit")
    print("   " + "".join(f"{digit:6d}" for digit in range(10)))
    for digit, row in enumerate(confusion_matrix(labels, predicted, labels=range(10))):
        print(f"{digit:3d}" + "".join(f"{count:6d}" for count in row))
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from mnist_cnn.pictures import digits_from_image

    if arguments.model:
        network = _load_model(arguments.model)
        sigmoid = network.layers[-1].activation.__name__ == "sigmoid"
        read = functools.partial(_probabilities, network)
    else:  # a softmax, computed with NumPy: TensorFlow would take seconds to load
        sigmoid, read = False, networks.read("best").predict
    found, code = [], 0
    for file in arguments.images:
        try:
            probabilities = read(digits_from_image(file)[1])
        except (OSError, ValueError) as error:
            _complain(error, file)
            code = 2
            continue
        digits, highest = probabilities.argmax(axis=1).tolist(), probabilities.max(axis=1).tolist()
        pairs = zip(digits, highest, strict=True)
        found += [{"file": file, "digit": digit, "probability": p} for digit, p in pairs]
        if not arguments.json:
            lowest = "lowest probability" if len(digits) > 1 else "probability"
            print(f"{file}: {' '.join(map(str, digits))}, {lowest} {min(highest):.3f}", flush=True)
    if arguments.json:
        print(json.dumps(found, indent=1))
    elif found and sigmoid:
        print("(a sigmoid's scores are not probabilities: here they are divided by their sum)")
    return code


def _notebooks(arguments: argparse.Namespace) -> int:
    root = project_root()
    build = root / "build" / "notebooks"
    code = 0
    for path in _find_chapters(root / "notebooks", arguments.names):
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


def _find_chapters(folder: Path, names: list[str]) -> list[Path]:
    chapters = sorted(folder.glob("*.ipynb"))
    if not chapters and not names:
        raise ValueError(f"{folder} holds no chapters: run this in the project's folder")
    found = []
    for name in names:
        named = [p for p in chapters if name in (p.stem, p.stem.partition("_")[0])]
        if name.endswith(".ipynb") and Path(name).is_file():
            named = [Path(name)]
        if not named:
            known = ", ".join(p.stem for p in chapters) or "none"
            raise ValueError(f"no chapter is called {name}; {folder} holds: {known}")
        found += named
    return found or chapters


def _edition(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import editions

    source = project_root() / "notebooks"
    for path in editions.write(arguments.edition, source, arguments.out, strip=arguments.strip):
        print(path)
    return 0


def _slides(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import slides

    root = project_root()
    chapters = _find_chapters(root / "notebooks", arguments.names)
    libraries = slides.fetch(root / "build" / "libraries")
    for path in chapters:
        print(slides.write(path, arguments.out or root / "build" / "slides", libraries), flush=True)
    return 0


def _kit(arguments: argparse.Namespace) -> int:
    from mnist_cnn.course import kit

    root = project_root()
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
