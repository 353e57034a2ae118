import numpy as np
import pytest

from mnist_cnn import model, preprocess


def test_the_articles_sizes_and_parameters(keras):
    network = model.build_model()
    shapes = [layer.output.shape[1:] for layer in network.layers]
    assert shapes == [
        (26, 26, 32),
        (13, 13, 32),
        (11, 11, 32),
        (5, 5, 32),
        (800,),
        (800,),
        (10,),
    ]
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [320, 9_248, 640_800, 8_010]
    assert network.count_params() == sum(counts) == 658_378


def test_the_better_networks_sizes_and_parameters(keras):
    network = model.build_better_model()
    sizes = [layer.output.shape[1:] for layer in network.layers if layer.weights]
    assert sizes == [
        *[(24, 24, 32), (12, 12, 32)],
        *[(10, 10, 64)] * 2,
        *[(8, 8, 64), (4, 4, 64)],
        *[(4, 4, 128)] * 2,
        *[(2, 2, 256)] * 2,
        (10,),
    ]
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [
        *[800, 128, 18_432, 256, 36_864, 256, 73_728, 512, 294_912, 1_024],
        10_250,
    ]
    assert network.count_params() == sum(counts) == 437_162


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_output_activation(keras, mnist, activation):
    network = model.build_model(activation)
    scores = network(preprocess.prepare(mnist[1][0][:8])).numpy()
    assert scores.shape == (8, 10) and (scores >= 0).all() and (scores <= 1).all()
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5) is (activation == "softmax")


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"'softmax' or 'sigmoid', not 'relu'$"):
        model.build_model("relu")
