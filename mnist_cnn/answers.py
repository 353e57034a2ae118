"""What `exercises.check` knows: the right answers, the usual mistakes and a hint for each."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mnist_cnn import data
from mnist_cnn.model import conv_output_size, conv_parameters, dense_parameters
from mnist_cnn.preprocess import one_hot


@dataclass(frozen=True)
class Between:
    """A rule for what a student measures: another machine's training gives another number."""

    low: float
    high: float


@dataclass(frozen=True)
class Exercise:
    """What `check` knows of an exercise.

    Attributes
    ----------
    right : number, array, Between, letter, or a function without arguments that returns one
    why : str
        Said of the right answer.
    hints : tuple of (wrong, str)
        Wrong answers, each with the hint that fits the mistake: as `right`, or a function of the
        right answer. The first that matches is taken.
    otherwise : str
        The hint for every other wrong answer.
    tolerance : float
        How far a number may lie from `right`, or from a wrong answer that has a hint.
    """

    right: Any
    why: str
    hints: tuple[tuple[Any, str], ...]
    otherwise: str = ""
    tolerance: float = 0.0


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(-1, 784) / np.float32(255)


@cache
def _nearest_neighbour_accuracy() -> float:
    (x_train, y_train), (x_test, y_test) = data.load_mnist()
    flat_train, flat_test = _flat(x_train), _flat(x_test[:1000])
    squares = (flat_train**2).sum(axis=1)
    parts = np.split(flat_test, 10)  # small pieces, so that memory stays small
    closest = [np.argmin(squares - (2 * part) @ flat_train.T, axis=1) for part in parts]
    return float(np.mean(y_train[np.ravel(closest)] == y_test[:1000]))


@cache
def _digit_read_most_often_when_inverted() -> int:
    (x_train, y_train), (x_test, _) = data.load_mnist()
    means = np.stack([_flat(x_train[y_train == digit]).mean(axis=0) for digit in range(10)])
    squares = (means**2).sum(axis=1) - 2 * (1 - _flat(x_test)) @ means.T
    return int(np.bincount(squares.argmin(axis=1)).argmax())


@cache
def _ink_of_unusual_sevens(index_of: str = "x_train") -> float:
    (x_train, y_train), _ = data.load_mnist()
    sevens = x_train[y_train == 7] / 255
    far = np.argsort(((sevens - sevens.mean(axis=0)) ** 2).sum(axis=(1, 2)))[-5:]
    unusual = sevens[far] if index_of == "x_train" else x_train[far] / 255
    return float(unusual.mean() / sevens.mean())


def _network_parameters(kernel_size: int) -> int:
    size = 28
    for _ in range(2):
        size = conv_output_size(conv_output_size(size, kernel_size), 2, stride=2)
    convolutions = conv_parameters(kernel_size, 1, 32) + conv_parameters(kernel_size, 32, 32)
    return convolutions + dense_parameters(size * size * 32, 800) + dense_parameters(800, 10)


PERCENT = (lambda right: 100 * right, "That is in percent; the answer should be a share, 0 to 1.")

EXERCISES = {
    "01.1": Exercise(
        right=_nearest_neighbour_accuracy,
        tolerance=0.002,
        why="It beats both marks, but every digit is compared with 60,000 others.",
        hints=(
            PERCENT,
            (lambda right: 1 - right, "That is the share it gets wrong."),
            (lambda right: 1000 * right, "That counts the right ones; divide by their number."),
            (Between(0.05, 0.2), "No better than guessing. Which labels does `closest` point to?"),
        ),
        otherwise="Compare `y_train[closest]` with the first 1,000 test labels, and take the mean.",
    ),
    "01.2": Exercise(
        right=_digit_read_most_often_when_inverted,
        why="Its mean image holds the most ink, and now nearly the whole image is ink.",
        hints=(
            (1, "The 1 has the least ink. Exchanged, is there little ink in the image, or much?"),
            (Between(0.001, 0.999), "That looks like a share. Which digit is answered most often?"),
            (Between(10, 1e5), "That looks like a count. Which digit does it belong to?"),
        ),
        otherwise="Count the answers with `np.bincount`; the position of the largest count is it.",
    ),
    "01.3": Exercise(
        right=_ink_of_unusual_sevens,
        tolerance=0.01,
        why="The farthest are bold ones: more ink, more squares to add up, however well written.",
        hints=(
            (lambda right: 1 / right, "The ratio is the wrong way up."),
            (Between(0.7, 0.95), "Less ink than the average 7: are these the nearest five?"),
            (
                lambda right: _ink_of_unusual_sevens(index_of="sevens"),
                "These indices count the 7s alone; use them on the array of 7s, not on `x_train`.",
            ),
        ),
        otherwise="Sort the 7s by distance, take the last five, divide their mean by that of all.",
    ),
    "02.1": Exercise(
        right=lambda: one_hot(data.load_mnist()[0][1]),
        why="One pair of indices an image: its row, and the column of its label.",
        hints=(
            (np.ones_like, "All are 1: `rows[:, y_train]` means every row. Pair rows with labels."),
            (np.zeros_like, "All are still 0: nothing has been assigned yet."),
            (np.transpose, "Rows and columns are exchanged: one row for each image is wanted."),
            (
                lambda right: np.roll(right, -1, axis=1),
                "Each 1 stands a column too far left: the column of a 5 is 5, counted from 0.",
            ),
        ),
        otherwise="The shape is right. Compare its first rows with `y_train_format`.",
    ),
    "02.2": Exercise(
        right="b",
        why="An axis of length 1 can stand anywhere; with three, `reshape` mixes the colours.",
        hints=(
            ("a", "Look at `color` again: `reshape` keeps the order of the numbers in memory."),
            ("c", "The other way round: which of the two has an order of channels to lose?"),
            ("d", "With one channel, is there any order in which the numbers could differ?"),
        ),
    ),
    "02.3": Exercise(
        right="c",
        why="Sums of tiny inputs are tiny, so softmax sees ten nearly equal logits.",
        hints=(
            ("a", "Are the labels divided as well? And is the network any better than before?"),
            ("b", "`x_train_normal` is float32, which keeps seven digits however small a number."),
        ),
    ),
    "03.1": Exercise(
        right=lambda: _network_parameters(5),
        why="The maps shrink 28, 24, 12, 8, 4: the dense layer has less to read and loses most.",
        hints=(
            (_network_parameters(3), "That is the network with 3×3 kernels."),
            (
                lambda right: right - (32 + 32 + 800 + 10),
                "Almost: every filter and every unit has a bias as well.",
            ),
            (
                lambda right: right + (800 - 512) * 800,
                "The kernels are right. But how many features does `Flatten` give now?",
            ),
            (
                lambda right: right - (512 - 288) * 800,
                "Off by one in a size: a window of 5 takes 28 − 5 + 1 places.",
            ),
            (
                lambda right: right - (32 - 1) * 25 * 32,
                "Each filter of the second convolution reads 32 channels, not one.",
            ),
            (512, "Those are the features after `Flatten`. How many parameters in all?"),
        ),
        otherwise="Go layer by layer: sizes first, then (weights + 1) · filters or units.",
    ),
    "03.2": Exercise(
        right=lambda: conv_parameters(5, 32, 32) / (2 * conv_parameters(3, 32, 32)),
        tolerance=0.001,
        why="Two small kernels see as much for fewer weights, with a ReLU in between.",
        hints=(
            (lambda right: 1 / right, "The ratio is the wrong way up: 5×5 over the two 3×3."),
            (25 / 18, "Almost: you forgot the biases."),
            (lambda right: 2 * right, "There are two layers of 3×3."),
            (lambda right: right / 2, "There is one layer of 5×5, and there are two of 3×3."),
            (25 / 9, "There are two layers of 3×3; and do not forget the biases."),
        ),
        otherwise="Use `model.conv_parameters` with 32 channels and 32 filters for each layer.",
    ),
    "03.3": Exercise(
        right="b",
        why="The loss only asks for a high score of the true class, and ten high scores have it.",
        hints=(
            ("a", "That needs something that weighs the ten scores against each other. What does?"),
            ("c", "The loss does fall. Look at ten scores after training: what made it fall?"),
        ),
    ),
    "04.1": Exercise(
        right=3 * 391,
        why="Each epoch has 390 full batches and a last one of the 80 images that are left.",
        hints=(
            (3 * 390, "The last batch of an epoch is smaller, but it is a step as well."),
            (Between(390, 391), "That is one epoch; there are three."),
            (Between(1171.5, 1172.5), "Each epoch begins anew: round up before you multiply."),
            (3 * 469, "That is for all 60,000 images; 10,000 of them are held out."),
            (3 * 1563, "That is for batches of 32; here they hold 128."),
        ),
        otherwise="How many batches of 128 does it take to see 50,000 images once? Then times 3.",
    ),
    "04.2": Exercise(
        right=0.0745,
        tolerance=0.0005,
        why="It rises: one image pulls all towards its own class; a batch averages such pulls.",
        hints=(
            (Between(-0.005, 0.01), "Hardly a change. Did the gradient come from image 0 alone?"),
            (Between(-0.5, -0.005), "Is that before minus after? A rise should be positive."),
            (Between(-3, -0.5), "That looks like image 0 itself. Measure images 32 to 63."),
            (Between(1.8, 5), "That looks like a loss; the difference of two is wanted."),
        ),
        otherwise="Is the network fresh, after `set_seed(0)`, and the step 0.1 times the gradient?",
    ),
    "04.3": Exercise(
        right=Between(0.002, 0.05),
        why="A difference in the grid that is not clearly larger may be luck.",
        hints=(
            (0, "All five are alike: does `seed` reach `training.train`?"),
            (Between(1e-9, 0.001), "Very little: is that the variance? Take its square root."),
            (Between(0.85, 1), "That looks like an accuracy; how far do the five lie apart?"),
            (Between(0.2, 5), "Very much: is that in percent?"),
        ),
        otherwise="Collect the five accuracies in a list, and use `np.std(…, ddof=1)`.",
    ),
    "05.1": Exercise(
        right=50 / 60,
        tolerance=0.001,
        why="Of 60 digits read as a 4, 50 were one: down the column.",
        hints=(
            (50 / 55, "Rows for columns: along the row you get the recall of the 4s."),
            (126 / 150, "That is the accuracy, which counts all three digits."),
            (100 / 115, "That is the F1 score, the mean of precision and recall."),
            (60 / 50, "The ratio is the wrong way up."),
            (10 / 60, "That is the share of the column that is wrong."),
            PERCENT,
        ),
        otherwise="Precision: of all that was read as a 4, which share was one?",
    ),
    "05.2": Exercise(
        right=0.9732,
        tolerance=0.0005,
        why="Few are refused, but most of the mistakes are among them.",
        hints=(
            (0.9969, "That is the accuracy on those it answers."),
            (0.9924, "That looks like the ten sigmoids; take the probabilities of the softmax."),
            (Between(0.95, 1), "Is that another threshold than 0.99, or another network?"),
            (Between(0.01, 0.05), "That is the share it refuses."),
            (Between(95, 99), PERCENT[1]),
            (Between(9_500, 9_900), "That is how many it answers; divide by the number of images."),
        ),
        otherwise="The share is the mean of `probabilities.max(axis=1) >= 0.99`.",
    ),
    "05.3": Exercise(
        right=2.1,
        tolerance=0.05,
        why="Above 1, so the network was too sure. Every row keeps its order, hence its digit.",
        hints=(
            (1, "T = 1 changes nothing; is another T no better?"),
            (Between(0.28, 0.99), "Below 1 is surer still. Is the power 1/T? Do rows sum to 1?"),
            (2.3, "That looks like the first 5,000 images; take every second one, `[::2]`."),
            (4, "The edge of the range: did you take the smallest error?"),
        ),
        otherwise="The answer is the temperature T itself, from 0.5 to 4.",
    ),
    "06.1": Exercise(
        right=7,
        why="The 0.18 of epoch 5 is not bettered in 6 and 7. Patience has its price: 9 is better.",
        hints=(
            (5, "That is the epoch whose weights are restored. When does the training stop?"),
            (6, "Off by one: count from 1, and two epochs must pass without a new lowest."),
            (8, "Off by one: the second epoch without a new lowest is the last."),
            (4, "Only one epoch has passed without a new lowest by then; patience is 2."),
            (10, "It stops before the lowest value comes. Count the epochs without a new lowest."),
        ),
        otherwise="Go through the list and count the epochs since the last new lowest value.",
    ),
    "06.2": Exercise(
        right=Between(1.25, 1.9),
        why="Our run: 18, 12 and 8 % misread, about a third less with each doubling.",
        hints=(
            (Between(0.52, 0.8), "The ratio is the wrong way up: larger error over smaller."),
            (Between(1.9, 4), "Is that for both doublings together? Take the square root."),
            (1, "No change at all: do the errors come from different numbers of images?"),
        ),
        otherwise="Square root of first error over last error, with errors and not accuracies.",
    ),
    "06.3": Exercise(
        right="c",
        why="Step for step it is ahead: compare its epoch 4 with epoch 1 of 32, 64 steps and 63.",
        hints=(
            ("a", "Look at the first epoch: is there any overlap?"),
            ("b", "Is the mean over 128 images a less reliable gradient than that over 32?"),
        ),
    ),
    "07.1": Exercise(
        right=18,
        why="Two poolings have made the steps 4 pixels long: 10 + 2 · 4.",
        hints=(
            (10, "That is the field after the second pooling; the third convolution widens it."),
            (12, "Its neighbours lie more than one pixel apart: how long is a step by then?"),
            (14, "The step is doubled by each of the two poolings."),
            (22, "Off by one: a window of 3 reaches over two steps, not three."),
        ),
        otherwise="Go on with the loop above: (window − 1) steps of the layer below are added.",
    ),
    "07.2": Exercise(
        right=0.877,
        tolerance=0.0005,
        why="Nearly half of the gain is there before training; the labels do the rest.",
        hints=(
            (
                Between(0.81, 0.84),
                "That looks like the pixels. Do both sides go through the network?",
            ),
            (Between(0.91, 0.95), "That looks like the trained features."),
            (Between(0.96, 1), "That looks like the outputs of the trained dense layer."),
            (Between(0.65, 0.75), "That looks like 100 labelled digits; 1,000 are asked for."),
            PERCENT,
        ),
        otherwise="Build a `keras.Model` that ends at the fifth layer, for both sets of digits.",
    ),
    "07.3": Exercise(
        right="b",
        why="It takes more ink at once, and cannot tell which part of it mattered.",
        hints=(
            ("a", "Compare the smallest and the largest: does each take the same ink?"),
            ("c", "Most of a large square is paper; but how much ink does it take in all?"),
        ),
    ),
    "09.1": Exercise(
        right=5.91,
        why="Networks ten errors apart may be equally good. The same images leave less to luck.",
        hints=(
            (35, "That is how many errors are to be expected; by how much does their number vary?"),
            (34.9, "That is the variance. Its square root has the unit of a count."),
            (Between(0, 0.1), "That is for the share of errors; their number is asked for."),
            (99.8, "(1 − p) is not p: errors are rare, so the variance is about n · p."),
        ),
        otherwise="A count of n independent digits has the variance n · p · (1 − p).",
        tolerance=0.05,
    ),
    "09.2": Exercise(
        right=9,
        why="Under both labels such an image would teach nothing. Vary only what keeps the label.",
        hints=(
            (6, "Look at one of them with `plots.digit_grid`: were they turned at all?"),
            (0, "Some are; count all answers with `np.bincount` and take the most frequent."),
        ),
        otherwise="Take the images whose label is 6, and count what the network says to them.",
    ),
    "09.3": Exercise(
        right=1088,
        why="They follow the batches by themselves, 2 · (32 + 64 + 64 + 128 + 256).",
        hints=(
            (2176, "That is all four numbers per channel; γ and β are trained."),
            (544, "That is one number per channel: mean *and* variance are kept."),
            (10, "That is the number of arrays; count the numbers in them."),
            (436_074, "That is what *is* trained."),
        ),
        otherwise="Add up the channels of the five convolutions; two numbers each.",
    ),
    "09.4": Exercise(
        right=4,
        why="So pool first. If γ > 0 the result is the same; γ < 0 makes the largest the smallest.",
        hints=(
            (2, "The pooling halves the rows *and* the columns."),
            (0.25, "That is the inverse: how many times as many *before* the pooling?"),
            (18_432, "That is the number before the pooling; divide by that behind it."),
        ),
        otherwise="Compare the shapes in front of the first pooling and behind it.",
    ),
    "10.1": Exercise(
        right=(3, -2),
        why="2.7 and −1.8, rounded: a pixel is the least step that leaves the image sharp.",
        hints=(
            ((-3, 2), "The signs are the other way round: it must go down and to the left."),
            ((-2, 3), "Rows first, then columns."),
            (
                (2, -2),
                "Measured from 13.5, or rounded down? From pixel 14, and to the nearest whole.",
            ),
            ((2, -1), "`int` cuts off what is behind the point; round to the nearest whole."),
            ((2.7, -1.8), "Whole pixels: between them the image would have to be drawn anew."),
            ((3, 2), "The column must become smaller: a move to the left is negative."),
            ((14, 14), "That is where it should lie. How far is it from there?"),
        ),
        otherwise="Subtract the centre of mass from 14, row and column each, and round.",
        tolerance=0.01,
    ),
    "10.2": Exercise(
        right=0,
        why="It looks nearly the same from all sides. The 1s are lost: none was ever shown lying.",
        hints=(
            (1, "A lying 1 is a dash, which is no digit. Count right answers, digit by digit."),
            (8, "Two loops side by side are no 8 any more."),
            (Between(0.001, 0.999), "That looks like a share. Which digit does it belong to?"),
        ),
        otherwise="Compute the share of right answers for each label, and take the highest.",
    ),
    "10.3": Exercise(
        right=0.091,
        tolerance=0.0005,
        why="No better than guessing: the network knows ink on empty ground only.",
        hints=(
            (Between(0.93, 1), "That looks like `careful` itself; exchange ink and paper first."),
            (Between(0.65, 0.93), "Is that the share that is misread? The accuracy is asked for."),
            (Between(1, 100), PERCENT[1]),
            (Between(100, 1797), "That counts the right ones; divide by their number."),
        ),
        otherwise="Let `read` read `1 - careful`, and compare the highest scores with `labels`.",
    ),
    "10.4": Exercise(
        right="b",
        why="Where the second score is high, the first cannot be: two views of one doubt.",
        hints=(
            ("a", "When two digits share the scores of a letter, how high is the highest?"),
            ("c", "Print `np.sort(read(letters), axis=1)[:, -2:]`: is the second highest 0?"),
        ),
    ),
}
