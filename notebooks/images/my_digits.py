"""Draw the picture that chapter 10 reads as long as there is none of your own."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mnist_cnn import data

_, (images, _) = data.load_mnist()
sheet = np.zeros((420, 640))
for line, first in enumerate((0, 5)):
    for place, image in enumerate(images[first : first + 5] / 255):
        digit = np.asarray(Image.fromarray(image.astype("float32")).resize((120, 120)))
        top, left = 60 + 150 * line + 6 * (place % 3), 30 + 118 * place
        part = sheet[top : top + 120, left : left + 120]
        np.maximum(part, digit.clip(0, 1), out=part)
paper = np.full(sheet.shape, 205.0)
paper[::30] = paper[:, ::30] = 170  # squared paper
grey = paper + (55 - paper) * sheet
y, x = np.mgrid[:420, :640]
grey *= np.interp(x + 0.6 * y, [450, 850], [1, 0.6])  # the shadow of a hand
grey += np.random.default_rng(0).normal(0, 3, grey.shape)
picture = Image.fromarray(grey.clip(0, 255).astype("uint8")).filter(ImageFilter.GaussianBlur(0.7))
picture.save(Path(__file__).with_suffix(".png"), optimize=True)
