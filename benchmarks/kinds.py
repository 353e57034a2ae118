"""How `best` reads digits in the surroundings that people bring them in, and what each step earns.

    python -m benchmarks.kinds               the pictures that report, ten minutes
    python -m benchmarks.kinds development   those that steps may be chosen on; writes nothing

Draws each kind of picture with every digit in two sizes, pens and places, and reads it with each
step of `mnist_cnn.pictures` switched off in turn. Writes ``notebooks/measured/kinds.json``, which
chapter 10 shows.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from benchmarks import result
from mnist_cnn import networks, pictures
from mnist_cnn.course import forward
from tests.pictures.kinds import KINDS, picture

RESULT = Path(__file__).parents[1] / "notebooks" / "measured" / "kinds.json"
SEEDS = {"development": 0, "report": 1}
TIMES = 2
SURE = 0.9
# Each step, and what stands in its place.
_paper = pictures._paper
STEPS: dict[str, tuple[str, Callable]] = {
    "paper": ("_paper", lambda grey, window: np.full_like(grey, np.median(grey))),
    "paper in narrow windows": ("_paper", lambda grey, window: _paper(grey, 3 / 4)),
    "strokes at the border": ("_fill_border_strokes", lambda grey: grey),
    "lines": ("_without_lines", lambda ink: ink),
    "grain and specks": ("_strokes", lambda ink: ink if ink.any() else None),
    "surroundings": ("_without_surroundings", lambda ink: ink),
    "underlines": ("_underlines", lambda boxes, ink: np.zeros(len(boxes), bool)),
    "dark or bright": ("_likeness", lambda ink, grey: 1.0),
}


def main() -> None:
    """Read all pictures, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("seed", nargs="?", choices=SEEDS, default="report")
    seed = parser.parse_args().seed
    drawn = {kind: draw_kind(kind, SEEDS[seed]) for kind in KINDS}
    best = networks.read("best")
    found = {}
    for step in ("none", *STEPS):
        name, instead = STEPS.get(step, ("", None))
        with mock.patch.object(pictures, name, instead) if name else nullcontext():
            found[step] = {kind: count(best, drawn[kind]) for kind in KINDS}
        print(f"without {step}:", flush=True)
        for kind, counts in found[step].items():
            if counts["right"] < len(drawn[kind]):
                print(f"  {kind:21}", *(f"{name} {n:3}" for name, n in counts.items()))
    if seed == "report":
        result.write(RESULT, {"pictures of a kind": 10 * TIMES, "sure": SURE, "without": found})


def draw_kind(kind: str, seed: int) -> list[tuple[str, Image.Image]]:
    """Return pictures of a kind, each with what it shows."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    shown = [str(n) for n in range(10)] * TIMES
    if kind == "two lines":
        shown = ["".join(map(str, rng.permutation(10)[:6])) for _ in shown]
    return [(digits, picture(kind, digits, rng)) for digits in shown]


def count(best: forward.Network, drawn: list[tuple[str, Image.Image]]) -> dict[str, int]:
    """Return how many pictures are read rightly, wrongly, wrongly though sure, or refused."""
    counts = dict.fromkeys(("right", "wrong", "wrong and sure", "refused"), 0)
    for shown, page in drawn:
        try:
            if len(shown) > 1:
                digits = pictures.digits_from_image(page)[1]
            else:
                digits = pictures.digit_from_image(page)[np.newaxis]
        except ValueError:
            counts["refused"] += 1
            continue
        p = pictures.probabilities(forward.predict(best, digits))
        right = "".join(map(str, p.argmax(axis=1))) == shown
        counts["right" if right else "wrong"] += 1
        counts["wrong and sure"] += int(not right and p.max(axis=1).min() > SURE)
    return counts


if __name__ == "__main__":
    main()
