"""Augmentation of training slices, alike for the image and its masks, through Albumentations (Buslaev et al., 2020).

Never a flip: left and right are part of what is asked.

What one optimiser step sees: drawn from the seed alone, so that all models see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from semantiseg.conventions import groups_of
from semantiseg.models.features import TextFeatures
from semantiseg.models.gate import box_of
from semantiseg.models.prompts import PromptBatch, collate
from semantiseg.recipes import Reading
from semantiseg.training.questions import Questions


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


ABSENT_SHARE = 0.125
"""Share of the draws whose target is absent."""


@dataclass(frozen=True)
class Drawn:
    """One image of a step and what is asked of it."""

    sheet: int
    rows: tuple[int, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """B images and P prompts in the model's frame."""

    images: Tensor
    """`[B, 1, S, S]`."""
    owner: Tensor
    """`[P]` int64."""
    prompts: PromptBatch
    targets: Tensor
    """`[P, S, S]` in [0, 1]."""
    parents: Tensor
    """What a reader who ignores every qualifier would mark, `[P, S, S]` in [0, 1]."""
    rows: tuple[int, ...]
    """Row of the question table, for each prompt."""
    texts: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(
            images=self.images.to(device), owner=self.owner.to(device), prompts=self.prompts.to(device),
            targets=self.targets.to(device), parents=self.parents.to(device), rows=self.rows, texts=self.texts,
        )  # fmt: skip


class Sampler:
    """An endless stream of draws, balanced over levels, then over structures, then over what is asked of them.

    What is asked is a name at levels 1 and 2, an operation at level 3. Absent targets are drawn with `ABSENT_SHARE`:
    left to their number, a structure that few patients have would be learned as one that is never there.
    """

    def __init__(self, questions: Questions, *, images: int, prompts: int, seed: int) -> None:
        """
        Args:
            questions: of the training split.
            images: B, images of a step.
            prompts: prompts for each image.
            seed: of the stream.
        """
        self._questions, self._images, self._prompts = questions, images, prompts
        self._rng = np.random.default_rng([seed, 1])
        rows = pd.DataFrame({"level": questions.level, "structure": questions.structure, "asked": questions.asked})
        self._present = _pools(rows[questions.shown])
        self._absent = _pools(rows[~questions.shown])

    def __iter__(self) -> Iterator[list[Drawn]]:
        while True:
            yield [self._draw() for _ in range(self._images)]

    def state(self) -> dict[str, Any]:
        """Where the stream stands, in JSON's types."""
        return dict(self._rng.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._rng.bit_generator.state = state

    def _draw(self) -> Drawn:
        """The first question is drawn over the whole split; its slice then gives the others, each with another
        program if it can."""
        absent = bool(self._absent) and self._rng.random() < ABSENT_SHARE
        pools = self._absent if absent else self._present
        structures = pools[self._pick(list(pools))]
        first = int(self._pick(self._pick(self._pick(structures))))
        sheet = int(self._questions.sheet_of[first])
        rows = [first]
        while len(rows) < self._prompts:
            left = np.setdiff1d(self._questions.sheets[sheet], rows)
            if not len(left):
                left = self._questions.sheets[sheet]
            shown = self._questions.shown[left]
            if shown.any() and not shown.all():
                left = left[shown != (self._rng.random() < ABSENT_SHARE)]
            for quality in (self._questions.level, self._questions.asked):
                found = quality[left]
                left = left[found == self._pick(sorted(set(found)))]
            rows.append(int(self._pick(left)))
        return Drawn(
            sheet=sheet, rows=tuple(rows), texts=tuple(str(self._pick(self._questions.texts[row])) for row in rows)
        )

    def _pick(self, options: Any) -> Any:
        """One item of a sequence or an array."""
        return options[int(self._rng.integers(len(options)))]


def _pools(rows: pd.DataFrame) -> dict[int, list[list[NDArray[np.intp]]]]:
    """Row numbers by level, structure and what is asked."""
    return {
        level: [
            [group.to_numpy() for _, group in of_structure.index.to_series().groupby(of_structure["asked"])]
            for _, of_structure in groups_of(of_level, "structure")
        ]
        for level, of_level in groups_of(rows, "level")
    }


Deform = Callable[[NDArray[np.float32], NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Image `[S, S]` and masks `[N, S, S]` to the same, deformed alike; see `Augmentation`."""


def assemble(
    drawn: list[Drawn],
    questions: Questions,
    *,
    features: TextFeatures,
    reading: Reading,
    needs_box: bool,
    augmentation: Deform | None,
) -> Batch:
    """Read, augment and stack what was drawn.

    Args:
        drawn: B draws.
        questions: the table they refer to.
        features: of every text.
        reading: how the model reads sentences.
        needs_box: give each prompt the box of its parent structure, as augmented.
        augmentation: None for validation.
    """
    images, targets, parents = [], [], []
    for item in drawn:
        sheet = questions.sheet(item.sheet)
        places = np.searchsorted(questions.sheets[item.sheet], item.rows)
        stacks = [sheet.masks[places], sheet.parents[places]]
        image, masks = sheet.image, np.concatenate(stacks).astype(np.float32) / np.float32(255)
        if augmentation is not None:
            image, masks = augmentation(image, masks)
        images.append(image)
        targets.append(masks[: len(places)])
        parents.append(masks[len(places) :])
    whole = np.concatenate(parents)
    boxes = np.stack([box_of(parent > 0.5) / len(parent) for parent in whole]) if needs_box else None
    texts = tuple(text for item in drawn for text in item.texts)
    return Batch(
        images=torch.from_numpy(np.stack(images))[:, None],
        owner=torch.repeat_interleave(torch.arange(len(drawn)), torch.tensor([len(item.rows) for item in drawn])),
        prompts=collate([features[text] for text in texts], reading=reading, boxes=boxes),
        targets=torch.from_numpy(np.concatenate(targets)),
        parents=torch.from_numpy(whole),
        rows=tuple(row for item in drawn for row in item.rows),
        texts=texts,
    )


def validation_draws(questions: Questions, *, images: int, prompts: int, seed: int) -> list[Drawn]:
    """A small fixed set of validation draws, each of another slice where there are enough; none without questions."""
    if not questions.sheets:
        return []
    taken: dict[int, Drawn] = {}
    stream = iter(Sampler(questions, images=1, prompts=prompts, seed=seed))
    for _ in range(20 * images):
        (item,) = next(stream)
        taken.setdefault(item.sheet, item)
        if len(taken) == min(images, len(questions.sheets)):
            break
    return list(taken.values())
