"""What `exercises.check` knows: the right answers, the usual mistakes and a hint for each."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from mnist_cnn import data
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


def _conv_parameters(kernel_size: int, channels: int) -> int:
    return (kernel_size * kernel_size * channels + 1) * 32


def _network_parameters(kernel_size: int) -> int:
    size = 28
    for _ in range(2):
        size = (size - kernel_size + 1) // 2
    convolutions = _conv_parameters(kernel_size, 1) + _conv_parameters(kernel_size, 32)
    return convolutions + (size * size * 32 + 1) * 800 + 801 * 10


def _single_weight(row: int, column: int) -> np.ndarray:
    kernel = np.zeros((3, 3))
    kernel[row, column] = 1
    return kernel


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
    "01.4": Exercise(
        right=90,
        why="In `uint8`, 3 − 5 is 254 and 16 · 16 is 0: turn the pixels into floats first.",
        hints=(
            (28, "That is the code as it stands. Print `few[0].dtype`: what is 3 − 5 in it?"),
            (0.9, "That is the share; the number of right answers is asked for."),
            (10, "That is the number of mistakes."),
            (Between(0, 40), "Still far too few. Are both `few` and `image` floats?"),
        ),
        otherwise="Change the type of the pixels and nothing else: 5,000 digits known, 100 asked.",
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
    "02.4": Exercise(
        right=6_005 / 60_000,
        tolerance=0.0005,
        why="No better than chance: images and labels were shuffled in two different orders.",
        hints=(
            (1, "Every image beside its label? Repeat the two calls of `rng` in the same order."),
            (
                Between(0, 0.001),
                "That counts images that kept their partner; any label of the same digit will do.",
            ),
            (lambda right: 1 - right, "That is the share beside a wrong label."),
            (6_005, "That counts the images; divide by their number."),
            PERCENT,
        ),
        otherwise="Put `y_train` in both orders, and take the mean of where they agree.",
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
        right=lambda: _conv_parameters(5, 32) / (2 * _conv_parameters(3, 32)),
        tolerance=0.001,
        why="Two small kernels see as much for fewer weights, with a ReLU in between.",
        hints=(
            (lambda right: 1 / right, "The ratio is the wrong way up: 5×5 over the two 3×3."),
            (25 / 18, "Almost: you forgot the biases."),
            (lambda right: 2 * right, "There are two layers of 3×3."),
            (lambda right: right / 2, "There is one layer of 5×5, and there are two of 3×3."),
            (25 / 9, "There are two layers of 3×3; and do not forget the biases."),
        ),
        otherwise="A layer has (kernel height · kernel width · 32 channels + 1) · 32 parameters.",
    ),
    "03.3": Exercise(
        right=lambda: _single_weight(1, 0),
        why="The only weight fetches the pixel to the left, so everything moves to the right.",
        hints=(
            (lambda right: _single_weight(1, 2), "That moves the 5 to the left. Why this way?"),
            (lambda right: _single_weight(0, 1), "That moves the 5 down. Rows come first."),
            (lambda right: _single_weight(2, 1), "That moves the 5 up. Rows come first."),
            (lambda right: _single_weight(1, 1), "That leaves the 5 where it is."),
            (lambda right: _single_weight(0, 0), "That moves the 5 down and to the right."),
            (lambda right: np.eye(3), "That adds up three pixels; one is enough."),
            (np.zeros_like, "All weights are 0, and so is the map. Which one must be 1?"),
        ),
        otherwise="Eight weights are 0 and one is 1: the sum is a copy of the pixel under it.",
    ),
    "03.4": Exercise(
        right=np.array([[241, 253], [0, 186]]),
        why="A block is two *neighbouring* rows and columns: 2 is the length of the inner axes.",
        hints=(
            (
                np.array([[225, 241], [240, 253]]),
                "That is with the bug: rows 0 and 2 in one block, rows 1 and 3 in the other.",
            ),
            (
                np.array([[241, 253], [186, 16]]),
                "That is the largest number of each row. Which two axes are inside a block?",
            ),
            (
                np.array([[35, 241], [240, 253]]),
                "That is the largest number of each column. Which two axes are inside a block?",
            ),
            (
                np.array([[89.25, 219.5], [0, 61.75]]),
                "That is the mean of each block: max pooling keeps the largest number.",
            ),
        ),
        otherwise="Print the 4×4 pixels, draw a line through the middle both ways, and compare.",
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
        right=0.0079,
        tolerance=0.0001,
        why="The network knows these images. Such a leak hides over-fitting, and flatters.",
        hints=(
            (-0.0079, "The sign: the careless accuracy minus the honest one."),
            (Between(0.95, 1), "That is one of the two accuracies; their difference is wanted."),
            (Between(0.7, 0.9), "Is that in percent? Leave the accuracies as shares."),
            (Between(-0.0079, 0.0051), "Take the last 10,000 training images, and the last epoch."),
        ),
        otherwise="Use `accuracy_of(trained, …)` and the last value of `held_out['val_accuracy']`.",
    ),
    "04.4": Exercise(
        right=0.00598,
        tolerance=0.00002,
        why="Every layer of the network is handled like this, from the last to the first.",
        hints=(
            (0.00649, "Did ReLU stop the derivative where the feature is 0?"),
            (Between(0.19, 0.193), "That is the sum over the batch; the loss is its mean."),
            (Between(0.206, 0.209), "The sum, not the mean; and ReLU has not stopped anything."),
            (0.01792, "That is the largest derivative of a bias; the kernel's is wanted."),
            (0.01954, "That is the last layer's gradient; go one layer further back."),
        ),
        otherwise="Multiply `error @ kernel.T` by `(features > 0)`; then as for the last kernel.",
    ),
    "04.5": Exercise(
        right="b",
        why="The loss only asks for a high score of the true class, and ten high scores have it.",
        hints=(
            ("a", "That needs something that weighs the ten scores against each other. What does?"),
            ("c", "The loss does fall. Look at ten scores after training: what made it fall?"),
        ),
    ),
    "05.1": Exercise(
        right=50 / 60,
        tolerance=0.001,
        why="Of 60 digits read as a 4, 50 were one: down the column.",
        hints=(
            (50 / 55, "Rows for columns: along the row you get the recall of the 4s."),
            (126 / 150, "That is the accuracy, which counts all three digits."),
            (100 / 115, "That is the F1 score, the harmonic mean of precision and recall."),
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
    "05.4": Exercise(
        right=2,
        why="It prints the precision: rows and columns changed places. True digits come first.",
        hints=(
            (1, "One digit per image: along axis 1 the greatest of ten scores. That is right."),
            (3, "The diagonal is the same whichever way the matrix is turned."),
            (4, "Sums along the rows give recall if the rows are true digits. Are they?"),
        ),
        otherwise="The answer is the number of a line, from 1 to 4.",
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
        right=1.507,
        tolerance=0.005,
        why="18, 11 and 8 % misread: 40 % less, then 27 % less; a third on average.",
        hints=(
            (1 / 1.507, "The ratio is the wrong way up: larger error over smaller."),
            (1.507**2, "That is for both doublings together. Take the square root."),
            (1.663, "That is the first doubling; take the mean factor of both, by a square root."),
            (1.365, "That is the second doubling; take the mean factor of both, by a square root."),
            (1.514, "That is half the sum of both factors. Factors multiply: take a square root."),
            (Between(0.94, 0.95), "That looks like accuracies; the error is 1 − accuracy."),
            (Between(1.05, 1.07), "That looks like accuracies; the error is 1 − accuracy."),
            (Between(1.44, 1.62), "Close: is it the last epoch, and the mean of all five seeds?"),
        ),
        otherwise="Square root of first error over last error, with errors and not accuracies.",
    ),
    "06.3": Exercise(
        right=2.246,
        tolerance=0.005,
        why="Just above 2.1. But batches of 64 took half as many steps: that may be all of it.",
        hints=(
            (-2.246, "The other way round: the mean of 32 minus that of 64."),
            (2.367, "`var` and `std` divide by n; for a sample's variance write `ddof=1`."),
            (1.442, "That is for five seeds, too few to show it; there are ten."),
            (0.71, "Divide each variance by the number of runs: the means vary less than a run."),
            (4.037, "The second mean varies as well: add its variance."),
            (0.0088, "That is the difference; divide it by its standard error."),
        ),
        otherwise="The standard error is √(s₁²/n + s₂²/n), from the last column of both arrays.",
    ),
    "06.4": Exercise(
        right=3,
        why="What chooses the epoch is part of the training. Hold out training images for it.",
        hints=(
            (1, "The callback is right. Which images decide when it stops?"),
            (2, "That is what is trained on, and for how long at most. Who decides when to stop?"),
            (4, "The callback must be there. Which images does it watch?"),
        ),
        otherwise="The answer is the number of a line, from 1 to 4.",
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
    "07.4": Exercise(
        right="b",
        why="Take the slopes of the logits: the sum before the sigmoid is never flat.",
        hints=(
            ("a", "Each score depends on its own image alone: its slopes stand in its own map."),
            ("c", "So does `gradient`, and its maps are not empty. What differs from it?"),
        ),
    ),
    "08.1": Exercise(
        right=0.004,
        tolerance=0.00002,
        why="300 of the 750 steps of the fall are left, so 300/750 of the peak.",
        hints=(
            (0.003, "The fall starts at step 250, not at 0: it has 750 steps."),
            (0.006, "That is how much the rate has lost by then; how much is left?"),
            (0.028, "That is the rise, continued; after step 250 the rate falls."),
            (0.4, "That is the share of the peak; multiply by the peak, 0.01."),
            (0.01, "That is the peak, which is reached at step 250."),
        ),
        otherwise="How many steps does the fall have, and how many of them are left at step 700?",
    ),
    "08.2": Exercise(
        right=14,
        why="A filter less saves twice: here, and in the dense layer, which has 25 inputs fewer.",
        hints=(
            (15, "With 15 it is 1,025,408 multiplications: over the budget."),
            (Between(14.4, 14.6), "Filters are whole, and the budget must not be exceeded."),
            (4, "Fewer filters also mean fewer inputs for the dense layer."),
            (22, "Is the dense layer counted? Each filter brings 25 inputs to its 800 units."),
        ),
        otherwise="With F filters: 194,688 + 11·11·F·288 + 800·25·F + 8,000. Find the largest F.",
    ),
    "08.3": Exercise(
        right="c",
        why="Images and labels are drawn separately: an image keeps its own label by luck only.",
        hints=(
            ("a", "A shift by 0 to 2 pixels is not centred, but each digit keeps its label."),
            ("b", "A roll moves the digits; what leaves at one side is border, and comes back so."),
            ("d", "The bytes become numbers from 0 to 1, as they should."),
        ),
    ),
    "08.4": Exercise(
        right=0.000498,
        tolerance=0.000005,
        why="About five images of 10,000. A gain that is not clearly larger may be luck.",
        hints=(
            (0.000472, "Divide by n − 1 for a sample: `ddof=1`."),
            (Between(1e-7, 1e-6), "That is the variance; take its square root."),
            (0.0015, "That is the range, highest minus lowest."),
            (Between(0.9, 1), "That looks like an accuracy; how far do the ten lie apart?"),
            (Between(4.9, 5.05), "That is in images of 10,000; leave it as a share."),
            (Between(0.049, 0.051), "Is that in percent? Leave it as a share."),
        ),
        otherwise="`np.std(…, ddof=1)` of the list `ten_seeds`.",
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
        why="So pool first. All four fixed, either order gives the same if γ > 0, not if γ < 0.",
        hints=(
            (2, "The pooling halves the rows *and* the columns."),
            (0.25, "That is the inverse: how many times as many *before* the pooling?"),
            (18_432, "That is the number before the pooling; divide by that behind it."),
        ),
        otherwise="Compare the shapes in front of the first pooling and behind it.",
    ),
    "09.5": Exercise(
        right="c",
        why="What helps to choose cannot judge: the winner of six also had luck with these images.",
        hints=(
            ("a", "Each image is divided by 255, whatever the others are: nothing leaks there."),
            ("b", "The same seed for all is fair: they differ in the dropout alone."),
            ("d", "To take the best is right. On which images may one look for it?"),
        ),
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
        right=0.047,
        tolerance=0.0005,
        why="No better than guessing: the network knows ink on empty ground only.",
        hints=(
            (Between(0.93, 1), "That looks like `careful` itself; exchange ink and paper first."),
            (Between(0.65, 0.93), "Is that the share that is misread? The accuracy is asked for."),
            (21, "That counts the right ones; divide by their number."),
            (Between(1, 100), PERCENT[1]),
        ),
        otherwise="Let `read` read `1 - careful`, and compare the highest scores with `held`.",
    ),
    "10.4": Exercise(
        right="b",
        why="Where the second score is high, the first cannot be: two views of one doubt.",
        hints=(
            ("a", "When two digits share the scores of a letter, how high is the highest?"),
            ("c", "Print `np.sort(read(letters), axis=1)[:, -2:]`: is the second highest 0?"),
        ),
    ),
    "10.5": Exercise(
        right=3,
        why="Stretched to 20 columns, a narrow 1 becomes a broad block. `fit` keeps proportions.",
        hints=(
            (1, "Dark on white: 1 minus the brightness is the ink. That is right."),
            (2, "`crop` takes away the empty margins. That is right."),
            (4, "MNIST's digits do lie with their centre of mass on pixel 14. That is right."),
            (5, "`read` takes a list of images, and `argmax` finds the highest of ten scores."),
        ),
        otherwise="Follow a 1 through the lines: what shape has it after each?",
    ),
}
