"""A page of slices of users' collections with the contours of their labels, as the pipeline turns them.

What the pipeline understands of a user's folder, before anything is trained or written: `semantiseg check`.

All problems at once, each with its file and remedy. Label maps are read, of images at most `LOOKED_AT` a collection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from semantiseg.conventions import SPLITS
from semantiseg.data import grid, image_file, nifti
from semantiseg.data.case import FileRefused, Origin, Problem
from semantiseg.data.inspection import ShownCase, draw_slice
from semantiseg.data.intensity import Intensity, Stated, recognise
from semantiseg.data.labels import DECATHLON, decathlon_structures, named_structures, read_mapping
from semantiseg.data.layouts.collection_folder import CaseFiles, Collection
from semantiseg.data.layouts.reader import CaseFacts, case_facts, collection_folders, read_folder, with_facts
from semantiseg.data.patients import Patients, tell_apart
from semantiseg.data.split import few_patients, split_patients
from semantiseg.errors import DataError, SemantiSegError
from semantiseg.params import Parameters

_CASES, _COLUMNS = 4, 4


def draw_slices(collections: Sequence[Collection], path: Path) -> None:
    """Write the telling slices of up to four cases a collection, every channel; faulty files are said in their place.

    Raises:
        DataError: the picture cannot be written.
    """
    shown = [
        (ShownCase(one.name, "user", case.case_id, case.channels, case.label, dict(one.labels)), channel)
        for one in collections
        for case in one.cases[:: max(1, -(-len(one.cases) // _CASES))]
        for channel in range(len(case.channels))
    ]
    rows = max(1, -(-len(shown) // _COLUMNS))
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(3 * _COLUMNS, 3.2 * rows), squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, (entry, channel) in zip(axes.flat, shown, strict=False):
        try:
            draw_slice(place, entry, channel, caption=f"{entry.case_id}: {entry.channels[channel].name}")
        except DataError as error:
            place.text(0.5, 0.5, str(error), wrap=True, ha="center", va="center", fontsize=6)
    try:
        figure.savefig(path, dpi=100, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a picture to be written, got {error}. Name a .png or .pdf.") from None
    finally:
        plt.close(figure)


LOOKED_AT = 8
"""Cases a collection whose intensities are read, spread evenly over the names."""

_STRIDE = 32
"""The network's input is a multiple of so many pixels."""

_PASSES = 60
"""Suggested steps show every training case so often at 12 images a step, within limits."""

_LEAST_STEPS, _MOST_STEPS = 400, 4000


@dataclass(frozen=True)
class Choices:
    """What the user says beside the folder; the keys of the section `prepare`."""

    patient_pattern: str = ""
    patient_table: str = ""
    intensity: Stated = ""
    mapping: Mapping[str, str] | None = None
    test_share: float = 0.25
    validation_share: float = 0.1
    seed: int = 0
    folds: int = 0


@dataclass(frozen=True)
class Understood:
    """One collection as the pipeline understands it.

    Attributes:
        collection: with the problems and warnings of description, files, patients, labels and intensities.
        patients: who is who, None where it could not be told.
        splits: patients by split.
        geometry, intensities, structures, cost: a sentence each.
    """

    collection: Collection
    patients: Patients | None = None
    splits: Mapping[str, int] | None = None
    geometry: tuple[str, ...] = ()
    intensities: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The whole as lines to print, problems last."""
        found = self.collection
        lines = [f"{found.name}: layout {found.layout}, {len(found.cases)} cases, channels {', '.join(found.channels)}"]
        lines += [self.patients.sentence] if self.patients else []
        if self.splits:
            lines.append("splits: " + ", ".join(f"{count} {name}" for name, count in self.splits.items()) + " patients")
        lines += [*self.geometry, *self.intensities, *self.structures, *self.cost]
        lines += [f"warning: {warning}" for warning in found.warnings]
        return lines + [f"problem: {problem}" for problem in found.problems]

    def as_json(self) -> dict[str, Any]:
        """Numbers and sentences for programs."""
        found = self.collection
        return {
            "collection": found.name, "layout": found.layout, "channels": list(found.channels),
            "cases": len(found.cases), "patients": self.patients.count if self.patients else None,
            "splits": dict(self.splits or {}), "geometry": list(self.geometry), "intensities": list(self.intensities),
            "labels": list(self.structures), "cost": list(self.cost),
            "problems": [
                {"file": str(problem.file), "text": problem.text, "remedy": problem.remedy}
                for problem in found.problems
            ],
            "warnings": list(found.warnings),
        }  # fmt: skip


def choices_of(parameters: Parameters) -> Choices:
    """The section `prepare` and the seed, the mapping read."""
    chosen = parameters.prepare
    return Choices(
        chosen.patient_pattern, chosen.patient_table, chosen.intensity, read_mapping(chosen.mapping),
        test_share=chosen.test_share, validation_share=chosen.validation_share, seed=parameters.seed,
        folds=chosen.folds,
    )  # fmt: skip


def summary(found: list[Understood]) -> dict[str, Any]:
    """All collections as one object: `cases`, `patients`, `problems`, `warnings`, and `collections` one by one."""
    each = [one.as_json() for one in found]
    return {
        "cases": sum(one["cases"] for one in each),
        "patients": sum(one["patients"] or 0 for one in each),
        "problems": [problem for one in each for problem in one["problems"]],
        "warnings": [warning for one in each for warning in one["warnings"]],
        "collections": each,
    }


def report_text(found: list[Understood]) -> str:
    """All collections as lines to read, and how many problems there are."""
    problems = sum(len(one.collection.problems) for one in found)
    end = f"{problems} problems to mend" if problems else "no problem: `semantiseg reproduce --profile own` can run"
    return "\n\n".join(["\n".join(one.lines()) for one in found] + [end])


def understand_folders(folders: str, choices: Choices) -> list[Understood]:
    """Every collection that `folders` names (see `reader.collection_folders`), understood one by one.

    Raises:
        DataError: no such folder, or no collection in it.
    """
    return [understand_folder(folder, choices) for folder in collection_folders(folders)]


def understand_folder(folder: Path, choices: Choices) -> Understood:
    """One folder as the pipeline understands it; what is wrong is in its problems, nothing is raised."""
    described = read_folder(folder)
    facts = case_facts(described)
    found = with_facts(described, facts)
    structures, problems = _structures(found, choices)
    patients, more = _patients(found, choices)
    problems += more
    looks, more = _intensities(found, choices, structures)
    problems += more
    splits, warnings = _splits(patients, choices)
    warnings += _lonely(structures)
    found = replace(found, problems=(*found.problems, *problems), warnings=(*found.warnings, *warnings))
    return Understood(
        found, patients, splits, tuple(_geometry(facts)), tuple(map(str, looks)),
        tuple(_labels(found, facts, structures)), tuple(_cost(facts, splits)),
    )  # fmt: skip


def _problem(error: SemantiSegError, file: Path) -> Problem:
    """An error as a problem; those of readers carry one."""
    if isinstance(error, FileRefused):
        return error.problem
    text, _, remedy = str(error).removeprefix(f"{file}: ").rpartition(". ")
    return Problem(file, text or str(error), remedy or "Correct it.")


def _structures(found: Collection, choices: Choices) -> tuple[dict[int, str], list[Problem]]:
    if not found.labels:
        return {}, []
    try:
        if found.name in DECATHLON:
            return dict(decathlon_structures(found.name, found.labels, source=found.described_in)), []
        return dict(named_structures(found.labels, mapping=choices.mapping or {}, source=found.described_in)[0]), []
    except SemantiSegError as error:
        return {}, [_problem(error, found.described_in)]


def _patients(found: Collection, choices: Choices) -> tuple[Patients | None, list[Problem]]:
    cases = {case.case_id: case for case in found.cases}
    if not cases:
        return None, []
    stated = {case.case_id: case.patient for case in found.cases if case.patient}
    if found.name in DECATHLON and not stated:
        counts = f"{len(cases)} patients in {len(cases)} cases"
        sentence = f"{found.name}: {counts}, one case a patient in the original tasks"
        return Patients({case_id: case_id for case_id in cases}, "convention", sentence), []
    try:
        return tell_apart(
            list(cases), collection=found.name, stated=stated, pattern=choices.patient_pattern,
            table=choices.patient_table, grid=lambda case_id: image_file.grid_of(cases[case_id].channels[0].path),
        ), []  # fmt: skip
    except SemantiSegError as error:
        text, _, remedy = str(error).partition(": add the line")
        return None, [Problem(found.described_in, text, f"Add the line{remedy}" if remedy else "See above.")]


def _splits(patients: Patients | None, choices: Choices) -> tuple[dict[str, int] | None, list[str]]:
    if patients is None:
        return None, []
    try:
        split = split_patients(
            dict.fromkeys(patients.of.values(), ""), test_share=choices.test_share, folds=choices.folds,
            validation_share=choices.validation_share, seed=choices.seed,
        )  # fmt: skip
    except SemantiSegError as error:
        return None, [str(error)]
    counts = Counter(split.values())
    few = few_patients(counts["test"])
    return {name: counts[name] for name in SPLITS}, [few] if few else []


def _intensities(
    found: Collection, choices: Choices, structures: Mapping[int, str]
) -> tuple[list[Intensity], list[Problem]]:
    """What the images' numbers are: one line a channel and scale, of the cases that are looked at."""
    step = max(1, -(-len(found.cases) // LOOKED_AT))
    looks: dict[tuple[str, str], Intensity] = {}
    problems: list[Problem] = []
    for case in found.cases[::step]:
        try:
            for one in _looks(case, choices, structures):
                looks.setdefault((one.modality, one.scale), one)
        except FileRefused as error:
            if error.problem not in found.problems:
                problems.append(error.problem)
        except DataError as error:
            problems.append(_problem(error, case.channels[0].path))
    scales = sorted({one.scale for one in looks.values() if one.modality == "CT"})
    if len(scales) > 1:
        text = f"expected CT on one scale, got {', '.join(scales)}"
        problems.append(Problem(found.folder, text, "Say what all are: --set prepare.intensity=HU (or another)."))
    return list(looks.values()), problems


def _looks(case: CaseFiles, choices: Choices, structures: Mapping[int, str]) -> list[Intensity]:
    origin: Origin = "user"
    leaves = tuple(structures.values())
    found = []
    for channel in case.channels:
        image = nifti.image_values(image_file.read(channel.path)[0], channel)
        found.append(
            recognise(image, modality=channel.modality, origin=origin, leaves=leaves, stated=choices.intensity)
        )
    return found


def _geometry(facts: list[CaseFacts]) -> list[str]:
    known = [case for case in facts if case.geometry is not None]
    if not known:
        return []
    spacings = np.array([grid.source_spacing(case.geometry.affine) for case in known])  # type: ignore[union-attr]
    axes = Counter(grid.source_axes(case.geometry.affine) for case in known)  # type: ignore[union-attr]
    sources = Counter(case.geometry.source for case in known)  # type: ignore[union-attr]
    sides = sum(case.geometry.sides_known for case in known)  # type: ignore[union-attr]
    low, high = spacings.min(axis=0).round(3).tolist(), spacings.max(axis=0).round(3).tolist()
    return [
        f"voxels from {low} to {high} mm (right, anterior, superior); axes {_counted(axes)}; affine from "
        f"{_counted(sources)}; left and right known in {sides} of {len(known)} cases"
    ]


def _labels(found: Collection, facts: list[CaseFacts], structures: Mapping[int, str]) -> list[str]:
    lines = []
    for number, name in sorted(found.labels.items()):
        volumes = [
            dict(case.voxels)[number] * abs(np.linalg.det(case.geometry.affine[:3, :3])) / 1000
            for case in facts
            if case.geometry is not None and number in dict(case.voxels)
        ]
        median = f", median {np.median(volumes):.3g} ml" if volumes else ""
        is_structure = structures.get(number, "not asked")
        lines.append(f"label {number} {name}: {is_structure}, in {len(volumes)} of {len(facts)} cases{median}")
    return lines


def _lonely(structures: Mapping[int, str]) -> list[str]:
    """What will not be asked, and why, as far as the labels alone decide it."""
    if structures and not any("tumour" in leaf or "lesion" in leaf or "cyst" in leaf for leaf in structures.values()):
        return ["no label is a lesion, so no prompt asks for a lesion or excludes one"]
    return []


def _cost(facts: list[CaseFacts], splits: Mapping[str, int] | None) -> list[str]:
    """Input size and steps that fit the data: slices are padded to a square of the network's stride."""
    shapes = [case for case in facts if case.geometry is not None and len(case.shape) == 3]
    if not shapes:
        return []
    sizes = []
    for case in shapes:
        empty = np.broadcast_to(np.uint8(0), case.shape)
        depth, rows, columns = grid.to_canonical(empty, case.geometry.affine)[0].shape  # type: ignore[union-attr]
        right, anterior, _ = grid.source_spacing(case.geometry.affine)  # type: ignore[union-attr]
        sizes.append((rows, columns, max(rows * anterior, columns * right), depth))
    rows, columns, pixels, depth = np.median(sizes, axis=0)
    size = int(min(256, max(64, _STRIDE * -(-pixels // _STRIDE))))
    cases = len(shapes) * ((splits or {}).get("train", 0) / max(1, sum((splits or {"": 1}).values())))
    steps = int(min(_MOST_STEPS, max(_LEAST_STEPS, round(cases * _PASSES / 12, -2))))
    return [
        f"slices of {rows:.0f} x {columns:.0f} pixels, {depth:.0f} a case (medians): --set pretrain.image_size={size} "
        f"--set train.steps={steps} suffice; time grows with steps and with the square of the size"
    ]


def _counted(counts: Counter) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(4))
