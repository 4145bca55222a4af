"""Augmentation of training slices, alike for the image and its masks, through Albumentations (Buslaev et al., 2020).

Never a flip: left and right are part of what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray


class Augmentation:
    """A seeded stream of random deformations; the n-th call of two equal objects gives equal results."""

    def __init__(self, *, distortion: float, seed: int) -> None:
        """
        Args:
            distortion: probability of an elastic or grid distortion.
            seed: of the stream.
        """
        self._seed = seed
        linear = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_LINEAR}
        self._compose = A.Compose(
            [
                A.Affine(translate_percent=(-0.06, 0.06), scale=(0.9, 1.1), rotate=(-8, 8), p=0.8, **linear),
                A.OneOf(
                    [
                        A.ElasticTransform(alpha=20, sigma=6, approximate=True, **linear),
                        A.GridDistortion(num_steps=4, distort_limit=0.15, **linear),
                    ],
                    p=distortion,
                ),
                A.RandomBrightnessContrast(brightness_limit=0.08, contrast_limit=0.1, p=0.5),
                A.RandomGamma(gamma_limit=(85, 118), p=0.3),
            ],
            seed=seed,
        )

    def __call__(
        self, image: NDArray[np.float32], masks: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Deform an image `[H, W]` and its masks `[N, H, W]` (shares of area in [0, 1]) alike; grey values change in
        the image only."""
        moved = self._compose(image=image[..., None], mask=np.ascontiguousarray(masks.transpose(1, 2, 0)))
        # Interpolation may leave [0, 1] by a rounding error.
        return np.clip(moved["image"][..., 0], 0, 1), np.clip(moved["mask"].transpose(2, 0, 1), 0, 1)

    def seek(self, step: int, image: int) -> None:
        """Make the next call depend on the seed, the step and the number of the image in it, and on nothing before."""
        (seed,) = np.random.SeedSequence([self._seed, step, image]).generate_state(1)
        self._compose.set_random_seed(int(seed))

    def state(self) -> list[Any]:
        """Where the stream stands, in JSON's types."""
        return [[numbers.bit_generator.state, draws.getstate()] for numbers, draws in self._generators()]

    def restore(self, state: list[Any]) -> None:
        """Go on where `state` was taken."""
        for (numbers, draws), (of_numbers, (version, words, gauss)) in zip(self._generators(), state, strict=True):
            numbers.bit_generator.state = of_numbers
            draws.setstate((version, tuple(words), gauss))

    def _generators(self) -> Iterator[tuple[np.random.Generator, Random]]:
        """Those of Albumentations: each transform has its own."""
        waiting = [self._compose]
        while waiting:
            transform = waiting.pop()
            yield transform.random_generator, transform.py_random
            waiting += getattr(transform, "transforms", [])
