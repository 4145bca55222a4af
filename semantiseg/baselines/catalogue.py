"""The baselines, one entry each: which files it needs and where they come from, how it is built, what it has seen.

What `semantiseg baselines` prints.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from semantiseg.baselines import sam, sam_med2d
from semantiseg.baselines.baseline import Baseline
from semantiseg.baselines.biomedparse import BiomedParse, JointBiomedParse
from semantiseg.baselines.biomedparse.biomedparse import FILE as BIOMEDPARSE_FILE
from semantiseg.baselines.biomedparse.biomedparse import build_biomedparse
from semantiseg.baselines.imis import ImisNet, ImisNetwork, ImisSizes
from semantiseg.baselines.sam import HUB_FILES, MedSam, Sam
from semantiseg.baselines.sam_med2d import FILE as SAM_MED2D_FILE
from semantiseg.baselines.sam_med2d import SamMed2d
from semantiseg.errors import ModelError, ParameterError
from semantiseg.models.protocol import GROUP, ModelCard, plugin_names

VARIABLE = "SEMANTISEG_WEIGHTS"
"""Environment variable: the folder that holds one folder a model."""

DEFAULT = Path("weights")

SAM_SHA256 = "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
"""Of sam_vit_b_01ec64.pth, as several public repositories give it; the file's name has the beginning of its MD5."""


Seen = Literal["clean", "training", "unknown"]
"""What is known of a case: not among a model's training cases, among them, or neither."""

KITS23_HELD_OUT = range(491, 589)
"""KiTS23 cases of BiomedParse's test split: case_00491 to case_00588, 98, contiguous."""

ACDC_HELD_OUT = range(101, 151)
"""ACDC patients of BiomedParse's test split: the official test set."""


def _number(case_id: str) -> int | None:
    digits = re.search(r"(\d+)$", re.sub(r"_frame.*$", "", case_id))
    return int(digits[1]) if digits else None


def _biomedparse(collection: str, case_id: str) -> Seen:
    """From file names in the per-image results that its repository ships (its test split; the other labelled cases of
    those collections were most likely training data, inferred), its data page, and its papers' titles."""
    number = _number(case_id)
    for name, held_out in (("kits", KITS23_HELD_OUT), ("acdc", ACDC_HELD_OUT)):
        if collection.lower().startswith(name):
            return "unknown" if number is None else "clean" if number in held_out else "training"
    return "unknown"


def _unlisted(collection: str, case_id: str) -> Seen:
    """Of a model whose training cases nobody listed."""
    return "unknown"


def _natural(collection: str, case_id: str) -> Seen:
    """Of a model that was trained on natural images alone (SA-1B)."""
    return "clean"


@dataclass(frozen=True)
class Entry:
    """One baseline: what it is, its files, how it is opened, and what it saw in training."""

    card: ModelCard
    folder: str
    """Of its weights, in the folder of all weights."""
    files: tuple[str, ...]
    """Names under which its weights are known; the first that is present is read."""
    source: str
    """Where to get them."""
    hub: tuple[str, tuple[str, ...]] | None
    """Repository on the Hugging Face hub and the files that may hold the weights there; None if there is none."""
    sha256: str
    """Known checksum of the first of `files`; empty where none is known."""
    open: Callable[[Path], Baseline]
    make: Callable[[], Baseline]
    """The model at its official size, before any weights are read."""
    cases: str
    """What is known of its training cases, in words."""
    seen: Callable[[str, str], Seen] = _unlisted
    """Whether it was trained on a case, given collection and case."""
    closed_vocabulary: bool = False
    """Trained on a fixed list of names: any sentence is another use of it."""


_BIOMEDPARSE = (
    "its test cases are known for KiTS23 and ACDC; in AMOS22, MSD, LIDC and others they are not all named; BraTS2023 "
    "(which later years share cases with), TotalSegmentator and AbdomenCT-1K were training data"
)

CATALOGUE: Mapping[str, Entry] = {
    "biomedparse": Entry(
        BiomedParse.card, "biomedparse", (BIOMEDPARSE_FILE,), "Hugging Face, microsoft/BiomedParse (accept its terms)",
        ("microsoft/BiomedParse", (BIOMEDPARSE_FILE,)), "", BiomedParse.from_folder,
        lambda: BiomedParse(build_biomedparse()), _BIOMEDPARSE, seen=_biomedparse,
    ),
    "biomedparse_joint": Entry(
        JointBiomedParse.card, "biomedparse", (BIOMEDPARSE_FILE,),
        "Hugging Face, microsoft/BiomedParse (accept its terms)", ("microsoft/BiomedParse", (BIOMEDPARSE_FILE,)), "",
        JointBiomedParse.from_folder, lambda: JointBiomedParse(build_biomedparse()), _BIOMEDPARSE, seen=_biomedparse,
    ),
    "sam_med2d": Entry(
        SamMed2d.card, "sam_med2d", (SAM_MED2D_FILE,),
        "link in the README of GitHub OpenGVLab/SAM-Med2D (Google Drive, Baidu)", None, "", SamMed2d.from_folder,
        lambda: SamMed2d(sam_med2d.build_sam_med2d()),
        "SA-Med2D-20M; AMOS22 and TotalSegmentator inferred, no list of cases",
    ),
    "medsam": Entry(
        MedSam.card, "medsam", (MedSam.original, *HUB_FILES),
        "Hugging Face, flaviagiammarino/medsam-vit-base, or medsam_vit_b.pth linked in GitHub bowang-lab/MedSAM (not "
        "wanglab/medsam-vit-base: most likely an older model)",
        ("flaviagiammarino/medsam-vit-base", HUB_FILES), "", MedSam.from_folder, lambda: MedSam(sam.build_sam()),
        "no list of cases known",
    ),
    "sam": Entry(
        Sam.card, "sam", (Sam.original, *HUB_FILES),
        "Hugging Face, facebook/sam-vit-base, or sam_vit_b_01ec64.pth linked in GitHub "
        "facebookresearch/segment-anything",
        ("facebook/sam-vit-base", HUB_FILES), SAM_SHA256, Sam.from_folder, lambda: Sam(sam.build_sam()),
        "natural images only", seen=_natural,
    ),
    "imis_net": Entry(
        ImisNet.card, "imis_net", (ImisNet.file,), "link in the README of GitHub uni-medical/IMIS-Bench (Baidu only)",
        None, "", ImisNet.from_folder, lambda: ImisNet(ImisNetwork(ImisSizes())),
        "IMed-361M; no list of cases known", closed_vocabulary=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Status:
    """What was found of one baseline."""

    name: str
    card: ModelCard
    looked: Path
    """The folder looked into."""
    present: Path | None
    """The weight file that would be read."""
    source: str
    sha256: str | None
    """Of the file, where it was asked for."""
    agrees: bool | None
    """With the known checksum; None where there is nothing to compare."""

    @property
    def absence(self) -> str:
        """Why there is no number, in the words of Table 1."""
        return f"not run: weights absent (looked for {' or '.join(CATALOGUE[self.name].files)} in {self.looked.name}/)"


def entry(name: str) -> Entry:
    """A baseline by name.

    Raises:
        ParameterError: no such baseline.
    """
    if name not in CATALOGUE:
        raise ParameterError(f"baseline: expected one of {list(CATALOGUE)}, got {name!r}. Choose one of these.")
    return CATALOGUE[name]


def weights_root(given: Path | None = None) -> Path:
    """The folder of all weights: as given, else from the environment, else `weights` here."""
    return given or Path(os.environ.get(VARIABLE) or DEFAULT)


def look(name: str, root: Path, *, checksum: bool = False) -> Status:
    """Look for one baseline's weights in `root/FOLDER`.

    Args:
        name: of the baseline.
        root: see `weights_root`.
        checksum: read the whole file for its SHA-256.
    """
    found = entry(name)
    folder = root / found.folder
    present = next((folder / file for file in found.files if (folder / file).is_file()), None)
    digest = _sha256(present) if checksum and present else None
    # A known checksum belongs to the first file; the hub's conversion of the same weights has another.
    comparable = digest is not None and found.sha256 != "" and present is not None and present.name == found.files[0]
    agrees = digest == found.sha256 if comparable else None
    return Status(name, found.card, folder, present, found.source, digest, agrees)


def open_baseline(name: str, root: Path) -> Baseline:
    """Open a baseline with its official weights; never with others.

    SAM and MedSAM have the same names and shapes: only the checksum of SAM's original file tells them apart.

    Raises:
        ModelError: weights absent or not this model's.
    """
    found = entry(name)
    status = look(name, root, checksum=name in ("sam", "medsam"))
    if status.agrees is False:
        raise ModelError(
            f"{status.present}: expected SHA-256 {found.sha256}, got {status.sha256}. Another file has "
            f"this name; get it again: {found.source}."
        )
    if name == "medsam" and status.sha256 == SAM_SHA256:
        raise ModelError(f"{status.present}: expected MedSAM's weights, got SAM's. Get them: {found.source}.")
    return found.open(root / found.folder)


def download_weights(name: str, root: Path) -> Path:
    """Fetch a baseline's weights from the hub into `root/FOLDER`; only ever on the user's request.

    Raises:
        ParameterError: its weights are not on the hub, or the hub does not give them.
    """
    found = entry(name)
    if found.hub is None:
        raise ParameterError(
            f"{name}: expected weights on the Hugging Face hub, got none there. Get them: {found.source}."
        )
    from huggingface_hub import hf_hub_download

    repository, files = found.hub
    problems = []
    for file in files:
        try:
            return Path(hf_hub_download(repository, file, local_dir=root / found.folder))
        except Exception as error:  # the hub's client raises its own, its transport's and the system's errors
            problems.append(f"{file}: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
    raise ParameterError(
        f"{name}: expected {' or '.join(files)} of {repository} from the hub, got {'; '.join(problems)}. Put the file "
        f"into {root / found.folder} by hand: {found.source}."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(status: Status) -> str:
    known = CATALOGUE[status.name].sha256
    stated = f"known: {known}" if known else "none known"
    if status.sha256 is None:
        return stated if status.present is None else f"{stated}; of this file with --checksum"
    verdict = {True: "agrees", False: "DIFFERS", None: "nothing to compare"}[status.agrees]
    return f"{status.sha256} ({stated}; {verdict})"


def _one(status: Status) -> list[str]:
    card, found = status.card, CATALOGUE[status.name]
    state = f"present, {status.present}" if status.present else f"absent, looked in {status.looked} for"
    files = "" if status.present else " " + " or ".join(found.files)
    return [
        f"{status.name}: {card.label}",
        f"  weights    {state}{files}",
        f"  get it     {status.source}" + (f"; or `semantiseg baselines get {status.name}`" if found.hub else ""),
        f"  licence    code {card.code_licence}; weights {card.weights_licence}",
        f"  checksum   {_checksum(status)}",
        f"  reads      {', '.join(card.reads)}; input {card.input_size}: {card.normalisation}",
        f"  trained on {', '.join(card.training_data) or 'not known'}",
        f"  cases      {found.cases}",
        *([f"  remark     {card.remark}"] if card.remark else []),
    ]


def listing(weights: Path | None, *, checksum: bool) -> str:
    """All baselines and installed models, a paragraph each.

    Args:
        weights: folder of all weights; None means the environment's, else `weights`.
        checksum: read each present file for its SHA-256.
    """
    root = weights_root(weights)
    lines = [f"Weights are looked for in {root}/FOLDER (--weights, {VARIABLE}); nothing is downloaded unasked.", ""]
    for name in CATALOGUE:
        lines += [*_one(look(name, root, checksum=checksum)), ""]
    installed = ", ".join(plugin_names()) or "none"
    return "\n".join([*lines, f"Installed models (entry points of {GROUP}): {installed}"])
