"""Recipes: all that decides a training run but the data and the seed."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run but the data and the seed.

    Attributes
    ----------
    epochs : float
        Passes over the training set; 1.5 stops halfway through the second.
    batch_size : int
        Images a gradient step.
    learning_rate : float
        Adam's; the peak where `warmup` is set.
    warmup : float or None
        Share of the steps (0 to 1) in which the rate climbs from 0 to the peak; it then falls to
        0 along `decay`. None keeps the rate constant.
    decay : {"cosine", "linear"}
        The curve along which the rate falls after a warm-up.
    label_smoothing : float
        Share of the target (0 to 1) spread evenly over the classes.
    max_shift, max_rotation, max_zoom, max_shear : float
        How far each image is varied at random, anew each epoch: as `augmentation.random_maps` has
        them. The shift is in whole pixels where nothing but the place is varied.
    weight_decay : float
        Each step also takes this share (0 to below 1), times the learning rate, off every weight.
    beta_2 : float
        How long Adam remembers squared gradients, 0 to 1; a short run wants a short memory.
    output_activation : {"softmax", "sigmoid"}
        The article's network only; the better one ends in a softmax.
    network : {"article", "better"}

    Examples
    --------
    >>> longer = dataclasses.replace(RECIPES["fast"], epochs=3)
    >>> longer.epochs, longer.batch_size
    (3, 128)
    """

    epochs: float = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup: float | None = None
    decay: Literal["cosine", "linear"] = "cosine"
    label_smoothing: float = 0.0
    max_shift: float = 0
    max_rotation: float = 0.0
    max_zoom: float = 0.0
    max_shear: float = 0.0
    weight_decay: float = 0.0
    beta_2: float = 0.999
    output_activation: Literal["softmax", "sigmoid"] = "softmax"
    network: Literal["article", "better"] = "article"

    def __post_init__(self) -> None:
        """Refuse values that no run could follow."""
        for name in ("epochs", "learning_rate"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be above 0, not {value!r}")
        if self.batch_size != int(self.batch_size) or self.batch_size < 1:
            raise ValueError(f"batch_size must be an integer above 0, not {self.batch_size!r}")
        if self.decay not in ("cosine", "linear"):
            raise ValueError(f"decay must be 'cosine' or 'linear', not {self.decay!r}")
        if not 0 <= self.max_rotation <= 180:
            raise ValueError(f"max_rotation must be from 0 to 180, not {self.max_rotation!r}")
        shares = "warmup", "label_smoothing", "max_zoom", "max_shear", "weight_decay", "beta_2"
        for name, limit in {"max_shift": 28, **dict.fromkeys(shares, 1)}.items():
            value = getattr(self, name)
            if value is not None and not 0 <= value < limit:
                raise ValueError(f"{name} must be from 0 to below {limit}, not {value!r}")
        if self.max_shift % 1 and not self.warps:
            raise ValueError(
                f"max_shift must be an integer where images are only moved, not {self.max_shift!r}"
            )

    @property
    def warps(self) -> bool:
        """Whether images are turned, zoomed or slanted, not only moved."""
        return bool(self.max_rotation or self.max_zoom or self.max_shear)


RECIPES = {
    "article": Recipe(output_activation="sigmoid"),
    "fast": Recipe(
        epochs=1.4,
        batch_size=128,
        learning_rate=8e-3,
        warmup=0.2,
        decay="linear",
        label_smoothing=0.1,
        max_shift=1,
        beta_2=0.95,
    ),
    "best": Recipe(
        epochs=13,
        batch_size=64,
        learning_rate=3e-3,
        warmup=0.15,
        label_smoothing=0.1,
        max_shift=1.5,
        max_rotation=10,
        max_zoom=0.1,
        max_shear=0.1,
        weight_decay=0.1,
        network="better",
    ),
}
