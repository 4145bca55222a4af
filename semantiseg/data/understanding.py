"""What the pipeline understands of a user's folder, before anything is trained or written: `semantiseg check`.

The stage `fetch` asks the same and stops on a problem. All problems come at once, each with its file and remedy. Every
label map is read, and of at most `LOOKED_AT` cases a collection the whole case, by the code that prepares it.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semantiseg.conventions import SPLITS
from semantiseg.data import grid, image_file
from semantiseg.data.case import FileRefused, Problem, SourceCase
from semantiseg.data.collections import says_sides, source_cases, structures_of
from semantiseg.data.inspection import ShownCase, draw_slice
from semantiseg.data.intensity import Intensity, Stated
from semantiseg.data.labels import DECATHLON, read_mapping
from semantiseg.data.layouts.collection_folder import Collection
from semantiseg.data.layouts.reader import CaseFacts, case_facts, collection_folders, hands, read_folder, with_facts
from semantiseg.data.patients import Patients, tell_apart
from semantiseg.data.sides import Count, mirrored_cases
from semantiseg.data.split import few_patients, split_patients
from semantiseg.errors import DataError, SemantiSegError
from semantiseg.parallel import for_each

if TYPE_CHECKING:
    from semantiseg.params import Parameters

_CASES, _COLUMNS = 4, 4


def draw_slices(collections: Sequence[Collection], path: Path) -> None:
    """Write the telling slices of up to four cases a collection, every channel; faulty files are said in their place.

    Raises:
        DataError: the picture cannot be written.
    """
    import matplotlib.pyplot as plt  # late: `check` needs no picture

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
"""Cases a collection that are prepared on trial, spread evenly over the names."""

_STRIDE = 32
"""The network's input is a multiple of so many pixels."""

_PASSES = 60
"""Suggested steps show every training case so often at 12 images a step, within limits."""

_LEAST_STEPS, _MOST_STEPS = 400, 4000

_STEP_S = 0.25
"""Processor seconds of a training step of 12 images at 64 x 64 pixels: 2200 steps on Task04 took some ten minutes."""


_Labels = tuple[Mapping[int, str], frozenset[int]]
"""Label number -> leaf, and the numbers that the user's mapping drops."""


@dataclass(frozen=True)
class Choices:
    """What the user says beside the folder: the section `prepare`, its mapping read by `labels.read_mapping`."""

    patient_pattern: str = ""
    patient_table: str = ""
    intensity: Stated = ""
    mapping: Mapping[str, str] | None = None
    test_share: float = 0.25
    validation_share: float = 0.1
    seed: int = 0
    folds: int = 0
    spacing_mm: float = 1.0


@dataclass(frozen=True)
class Look:
    """One case, prepared on trial.

    Attributes:
        case_id: of the case.
        intensities: of its channels.
        sides: where its one-sided organs lie, judged by the affine.
        problem: why it cannot be prepared.
    """

    case_id: str
    intensities: tuple[Intensity, ...] = ()
    sides: Count = Count()
    problem: Problem | None = None


@dataclass(frozen=True)
class Understood:
    """One collection as the pipeline understands it.

    Attributes:
        collection: with the problems and warnings of description, files, patients, labels and intensities.
        patients: who is who, None where it could not be told.
        splits: patients by split.
        geometry, intensities, structures, unasked, cost: a sentence each; `unasked` is what no prompt will be about.
    """

    collection: Collection
    patients: Patients | None = None
    splits: Mapping[str, int] | None = None
    geometry: tuple[str, ...] = ()
    intensities: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The whole as lines to print, problems last."""
        found = self.collection
        lines = [f"{found.name}: layout {found.layout}, {len(found.cases)} cases, channels {', '.join(found.channels)}"]
        lines += [self.patients.sentence] if self.patients else []
        if self.splits:
            lines.append("splits: " + ", ".join(f"{count} {name}" for name, count in self.splits.items()) + " patients")
        lines += [*self.geometry, *self.intensities, *self.structures]
        lines += [*(f"not asked: {why}" for why in self.unasked), *self.cost]
        lines += [f"warning: {warning}" for warning in found.warnings]
        return lines + [f"problem: {problem}" for problem in found.problems]

    def as_json(self) -> dict[str, Any]:
        """Numbers and sentences for programs."""
        found = self.collection
        return {
            "collection": found.name, "layout": found.layout, "channels": list(found.channels),
            "cases": len(found.cases), "patients": self.patients.count if self.patients else None,
            "splits": dict(self.splits or {}), "geometry": list(self.geometry), "intensities": list(self.intensities),
            "labels": list(self.structures), "unasked": list(self.unasked), "cost": list(self.cost),
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
        folds=chosen.folds, spacing_mm=chosen.spacing_mm,
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


def understand_folders(folders: str, choices: Choices, *, workers: int | None = None) -> list[Understood]:
    """Every collection that `folders` names (see `reader.collection_folders`), understood one by one.

    Raises:
        DataError: no such folder, or no collection in it.
    """
    return [understand_folder(folder, choices, workers=workers) for folder in collection_folders(folders)]


def understand_folder(folder: Path, choices: Choices, *, workers: int | None = None) -> Understood:
    """One folder as the pipeline understands it; what is wrong is in its problems, nothing is raised."""
    described = read_folder(folder)
    facts = case_facts(described, workers=workers)
    found = with_facts(described, facts)
    labels, problems = _structures(found, choices)
    patients, more = _patients(found, choices)
    problems += more
    sound = frozenset(case.case_id for case in facts if not case.problems)
    looks = _looks(found, labels, choices, only=sound, workers=workers)
    problems += [look.problem for look in looks if look.problem] + _scales(found, looks)
    splits, few = _splits(patients, choices)
    found = replace(found, problems=(*found.problems, *problems), warnings=(*found.warnings, *few))
    intensities = {(one.modality, one.scale): str(one) for look in reversed(looks) for one in look.intensities}
    return Understood(
        found, patients, splits, (*_geometry(facts), *_sides(looks)), tuple(intensities.values()),
        tuple(_labels(found, facts, labels[0])), tuple(_unasked(found, facts, looks, labels)),
        tuple(_cost(facts, splits)),
    )  # fmt: skip


def _problem(error: SemantiSegError, file: Path) -> Problem:
    """An error as a problem; those of readers carry one."""
    if isinstance(error, FileRefused):
        return error.problem
    text, _, remedy = str(error).removeprefix(f"{file}: ").rpartition(". ")
    return Problem(file, text or str(error), remedy or "Correct it.")


def _structures(found: Collection, choices: Choices) -> tuple[_Labels, list[Problem]]:
    if not found.labels:
        return ({}, frozenset()), []
    try:
        return structures_of(found, mapping=choices.mapping or {}), []
    except SemantiSegError as error:
        return ({}, frozenset()), [_problem(error, found.described_in)]


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


def _looks(
    found: Collection, labels: _Labels, choices: Choices, *, only: frozenset[str], workers: int | None
) -> list[Look]:
    """Some of the cases (of those without a fault of their own), prepared as the stage `prepare` does."""
    if not labels[0]:
        return []
    cases = [case for case in source_cases(found, origin="user", labels=labels) if case.case_id in only]
    cases = cases[:: max(1, -(-len(cases) // LOOKED_AT))]
    calls = [((case,), {"spacing_mm": choices.spacing_mm, "stated": choices.intensity}) for case in cases]
    mine = [case for case in found.cases if case.case_id in {one.case_id for one in cases}]
    return list(for_each(look_at, calls, workers=hands(mine, workers)))


def look_at(case: SourceCase, *, spacing_mm: float, stated: Stated) -> Look:
    """What comes of one case; nothing is written or raised."""
    try:
        volume = grid.load_volume(case, spacing_mm=spacing_mm, stated=stated)
    except DataError as error:
        return Look(case.case_id, problem=_problem(error, case.channels[0].path))
    asked = volume.organ_sides if volume.sides_known and case.lateral else Count()
    return Look(case.case_id, tuple(volume.intensities.values()), asked)


def _scales(found: Collection, looks: list[Look]) -> list[Problem]:
    """CT of one collection lies on one scale: where it is taken for several, at least one is taken wrongly."""
    scales = sorted({one.scale for look in looks for one in look.intensities if one.modality == "CT"})
    if len(scales) < 2:
        return []
    text = f"expected CT on one scale, got {', '.join(scales)}"
    return [Problem(found.folder, text, "Say what all are: --set prepare.intensity=HU (or another).")]


def _sides(looks: list[Look]) -> list[str]:
    own, other = (sum(getattr(look.sides, name) for look in looks) for name in ("own", "other"))
    if not own + other:
        return []
    return [f"one-sided organs (liver, spleen, ...): {own} of {own + other} lie on their side, by the affine"]


def _geometry(facts: list[CaseFacts]) -> list[str]:
    known = [case for case in facts if case.geometry is not None]
    if not known:
        return []
    spacings = np.array([grid.source_spacing(case.geometry.affine) for case in known])  # type: ignore[union-attr]
    axes = Counter(grid.source_axes(case.geometry.affine) for case in known)  # type: ignore[union-attr]
    sources = Counter(case.geometry.source for case in known)  # type: ignore[union-attr]
    sides = sum(case.geometry.sides_known for case in known)  # type: ignore[union-attr]
    low, high = spacings.min(axis=0).round(3).tolist(), spacings.max(axis=0).round(3).tolist()
    lengths = sum(case.geometry.spacing_known for case in known)  # type: ignore[union-attr]
    voxels = f"voxels from {low} to {high} mm (right, anterior, superior)" if lengths else "no voxel size is known"
    return [
        f"{voxels}; axes {_counted(axes)}, square to each other; affine from {_counted(sources)}; left and right known "
        f"in {sides} of {len(known)} cases"
    ]


def _labels(found: Collection, facts: list[CaseFacts], structures: Mapping[int, str]) -> list[str]:
    lines = []
    for number, name in sorted(found.labels.items()):
        volumes = [
            dict(case.voxels)[number] * abs(np.linalg.det(case.geometry.affine[:3, :3])) / 1000
            for case in facts
            if case.geometry is not None and number in dict(case.voxels)
        ]
        measured = all(case.geometry is None or case.geometry.spacing_known for case in facts)
        median = f", median {np.median(volumes):.3g} ml" if volumes and measured else ""
        is_structure = structures.get(number, "not asked")
        lines.append(f"label {number} {name}: {is_structure}, in {len(volumes)} of {len(facts)} cases{median}")
    return lines


def _unasked(found: Collection, facts: list[CaseFacts], looks: list[Look], labels: _Labels) -> list[str]:
    """What no prompt will be about, and why."""
    structures, dropped = labels
    why = []
    if structures and not any(word in leaf for leaf in structures.values() for word in ("tumour", "lesion", "cyst")):
        why.append("lesions, for no label is one")
    if dropped:
        why.append(f"{', '.join(found.labels[number] for number in sorted(dropped))}, which the mapping drops")
    geometries = [case.geometry for case in facts if case.geometry is not None]
    blind = sum(not geometry.sides_known for geometry in geometries)
    if not says_sides(found.name, origin="user"):
        why.append("left and right: volumes of this task are cut to one side, or their headers are mirrored")
    elif blind:
        why.append(f"left and right in {blind} of {len(geometries)} cases, whose headers do not tell them")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mirrored = mirrored_cases({look.case_id: (found.name, look.sides) for look in looks})
    why += [f"left and right: {one.message}" for one in said]
    if mirrored and not said:
        why.append(f"left and right in {', '.join(sorted(mirrored))}: their organs lie on the wrong side")
    if any(not geometry.spacing_known for geometry in geometries):
        why.append("lengths in mm, for these files have no voxel size; no NSD and no HD95 either")
    return why


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
    minutes = steps * _STEP_S * (size / 64) ** 2 / 60
    return [
        f"slices of {rows:.0f} x {columns:.0f} pixels, {depth:.0f} a case (medians): --set pretrain.image_size={size} "
        f"--set train.steps={steps} suffice, about {max(1, round(minutes))} processor minutes a model"
    ]


def _counted(counts: Counter) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common(4))
