"""Where t-SNE puts 1,000 test digits, from their pixels and from the network's features.

    python -m benchmarks.tsne_map           half a minute

t-SNE amplifies the last bit of an addition: another processor, or another number of threads, draws
another map of the same digits. So the map is drawn once, from the first 1,000 test images and the
800 features that the reference network "article" makes of each, and kept. Writes
``notebooks/measured/tsne.json``, which chapter 07 shows.
"""

from pathlib import Path

import numpy as np
import sklearn
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from benchmarks import result
from mnist_cnn import data, networks, preprocess

RESULT = Path(__file__).parents[1] / "notebooks" / "measured" / "tsne.json"
DIGITS = 1000


def features(images: np.ndarray) -> np.ndarray:
    """Return what the network's `Flatten` makes of (n, 28, 28, 1) images: (n, 800) float32."""
    network, _ = networks.load("article")
    import keras  # only now, as `load` keeps TensorFlow's start-up messages away

    first, flatten = network.layers[0], network.layers[4]
    return keras.Model(inputs=first.input, outputs=flatten.output)(images).numpy()


def place(vectors: np.ndarray) -> dict[str, list[float]]:
    """Return the places in the plane of (n, values) vectors: "x" and "y", n numbers each."""
    with threadpool_limits(1):  # on so few points, more threads mostly wait for each other
        places = TSNE(init="pca", max_iter=500, random_state=0).fit_transform(vectors)
    x, y = places.astype(float).round(2).T.tolist()
    return {"x": x, "y": y}


def main() -> None:
    """Place the digits twice, and write the places."""
    _, (images, _) = data.load_mnist()
    images = preprocess.prepare(images[:DIGITS])
    places = {
        "784 pixels": place(images.reshape(DIGITS, -1)),
        "800 features": place(features(images)),
    }
    content = {"made_by": "python -m benchmarks.tsne_map", "scikit-learn": sklearn.__version__}
    result.write(RESULT, content | {"places": places})


if __name__ == "__main__":
    main()
