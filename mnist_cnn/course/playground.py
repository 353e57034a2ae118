"""The playground: one HTML page in which a digit is drawn and a reference network shows its work.

It holds weights and some hundred test digits, and asks nothing of any network. Its parts are in
``assets/playground``: ``network.js`` is `forward` in JavaScript; ⟦texts⟧ are translated.
"""

import base64
import json
import zlib
from pathlib import Path

import numpy as np

from mnist_cnn import data, networks, preprocess
from mnist_cnn.course import fonts, forward, translations
from mnist_cnn.course.files import replacing
from mnist_cnn.language import translator

ASSETS = Path(__file__).parent / "assets" / "playground"
FIRST = 200  # so many of the test digits, and all that a network misreads


def write(out: Path, home: str = "", language: str = "en") -> Path:
    """Write the page to the file `out`, and return it; `home` is the course's address.

    Raises
    ------
    RuntimeError
        If the list of misread digits is not that of the present networks.
    """
    _, (images, labels) = data.load_mnist()
    translated = translator(language, "playground")
    groups, weights, about = {translated("The first test digits"): [*range(FIRST)]}, [], []
    for name, numbers in json.loads(_asset("misread.json")).items():
        network = networks.read(name)
        _check(network, images[numbers], labels[numbers])
        groups[translated("Misread by the network “{name}”").format(name=name)] = numbers
        weights += [array.tobytes() for array in network.weights]
        about.append(_about(network))
    chosen = sorted(set().union(*groups.values()))
    packed = zlib.compress(b"".join([*weights, images[chosen].tobytes()]), 9)
    facts = {
        "networks": about,
        "digits": [{"number": n, "label": int(labels[n])} for n in chosen],
        "groups": [{"title": t, "digits": [chosen.index(n) for n in g]} for t, g in groups.items()],
    }
    page, back = _asset("index.html"), translated("Back to the course")
    for mark, part in {
        "{lang}": translations.LOCALES[language],
        "{style}": _asset("style.css"),
        "{home}": f'<a href="{home}">{back}</a>' if home else "",
        "{facts}": json.dumps(facts, ensure_ascii=False),
        "{numbers}": base64.b64encode(packed).decode(),
        "{script}": _asset("network.js") + _asset("page.js"),
    }.items():
        page = page.replace(mark, part)
    page = translations.unmarked(page, translated)
    page = page.replace("{font}", base64.b64encode(fonts.part(page)).decode())
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return out


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _check(network: networks.Network, images: np.ndarray, labels: np.ndarray) -> None:
    # If all of them are misread and there are as many as the accuracy says, there are no others.
    wrong = forward.predict(network, preprocess.prepare(images)).argmax(axis=1) != labels
    if not wrong.all() or len(wrong) != round(10_000 * (1 - network.card["test_accuracy"])):
        raise RuntimeError(f"misread.json is of other networks: python -m {__name__} renews it")


def _about(network: networks.Network) -> dict:
    """Return the network's layers, with the shapes of their weights."""
    count = {"Conv2D": 1, "Dense": 1, "BatchNormalization": 4}  # arrays, besides the bias
    shapes = iter([array.shape for array in network.weights])
    layers = []
    for layer in network.card["layers"]:
        arrays = count.get(layer["class"], 0) + layer.get("use_bias", 0)
        layers.append(layer | {"shapes": [next(shapes) for _ in range(arrays)]})
    return {key: network.card[key] for key in ("name", "parameters")} | {"layers": layers}


if __name__ == "__main__":
    _, (digits, truth) = data.load_mnist()
    images = preprocess.prepare(digits)
    scores = {name: forward.predict(networks.read(name), images) for name in ("article", "best")}
    lists = {name: np.flatnonzero(s.argmax(axis=1) != truth).tolist() for name, s in scores.items()}
    with replacing(ASSETS / "misread.json") as temporary:
        temporary.write_text(json.dumps(lists) + "\n", encoding="utf-8")
