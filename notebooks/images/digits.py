"""Draw the README's picture: ten digits read rightly, and the ten surest mistakes."""

from pathlib import Path

import numpy as np

from mnist_cnn import data, evaluation, networks, plots, preprocess

_, (images, labels) = data.load_mnist()
network, _ = networks.load("fast")
scores = evaluation.predict_scores(network, preprocess.prepare(images))
predictions = scores.argmax(axis=1)
wrong = evaluation.find_errors(labels, scores)[:10]
right = [np.flatnonzero((labels == digit) & (predictions == digit))[0] for digit in range(10)]
shown = np.concatenate([right, wrong])
titles = [str(predictions[i]) for i in right] + [
    f"{predictions[i]}, not {labels[i]}" for i in wrong
]
figure = plots.digit_grid(images[shown], titles, title="What the network reads")
figure.savefig(Path(__file__).with_suffix(".png"), dpi=200, metadata={"Software": None})
print(f"accuracy {np.mean(predictions == labels):.4f}")
