from types import SimpleNamespace

import numpy as np
import pytest

from mnist_cnn import evaluation, model, preprocess


@pytest.fixture(scope="module")
def judged(mnist):
    """Return real labels and the scores of a simple classifier: closeness to each class's mean."""
    (x_train, y_train), (x_test, y_test) = mnist
    means = np.stack([x_train[y_train == digit].mean(axis=0).ravel() for digit in range(10)])
    images = x_test[:2000].reshape(-1, 784).astype(float)
    distances = ((images[:, np.newaxis] - means) ** 2).mean(axis=2)
    closeness = np.exp(-(distances - distances.min(axis=1, keepdims=True)) / 500)
    return y_test[:2000], closeness / closeness.sum(axis=1, keepdims=True)


def test_predict_scores_equals_keras(keras, mnist):
    network = model.build_model()
    images = preprocess.prepare(mnist[1][0][:510])  # two batches
    scores = evaluation.predict_scores(network, images)
    assert scores.shape == (510, 10) and scores.dtype == np.float32
    np.testing.assert_allclose(scores, network.predict(images, verbose=0), atol=1e-6)
    assert evaluation.predict_scores(network, images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 28, 28), "float32"),
        np.zeros((2, 28, 28, 3), "float32"),
        np.zeros((2, 28, 28, 1), "uint8"),
    ],
)
def test_predict_scores_refuses(images):
    with pytest.raises(ValueError, match=r"^images must be float32 of shape \(n, 28, 28, 1\), not"):
        evaluation.predict_scores(SimpleNamespace(predict_on_batch=None), images)


def test_find_errors_finds_them_all_the_surest_first(judged):
    labels, scores = judged
    errors = evaluation.find_errors(labels, scores)
    assert set(errors) == set(np.flatnonzero(scores.argmax(axis=1) != labels))
    assert len(errors) == len(set(errors)) > 100
    assert (np.diff(scores[errors].max(axis=1)) <= 0).all()
    assert evaluation.find_errors([3], np.eye(10)[[3]]).size == 0


@pytest.mark.parametrize(("labels", "scores"), [([1, 2], np.eye(3)), ([[1]], np.eye(1))])
def test_labels_and_scores_must_belong_together(labels, scores):
    with pytest.raises(ValueError, match=r"^labels and scores must have shapes"):
        evaluation.find_errors(labels, scores)
