"""Segment an image by sentences: the door of `semantiseg segment` and of `import semantiseg`."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from semantiseg import files
from semantiseg.conventions import Modality
from semantiseg.data.intensity import Stated
from semantiseg.data.scan import Scan, Site, check_output, read_scan, write_masks
from semantiseg.errors import DataError, ModelError, PromptError, SemantiSegError
from semantiseg.extras import extras_named
from semantiseg.files import check_file
from semantiseg.language.program import subject
from semantiseg.models.protocol import TrainedOn
from semantiseg.paper.overlay import draw_overlay, overlay_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from semantiseg.composition.composed import Read
    from semantiseg.models.protocol import PromptedSegmenter
    from semantiseg.models.registry import Accelerator


THRESHOLD = 0.5
"""A voxel belongs to the answer where its probability exceeds this."""

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
"""Endings of weight files that run code when they are opened."""


@dataclass(frozen=True)
class Marked:
    """What one sentence marked.

    Attributes:
        text: the sentence.
        heard: how it was read, or why it was not.
        voxels: of the file that are marked.
        millilitres: their volume (of a single slice, with its thickness); None where the file has no voxel size.
        slices: axial slices of the file with any marked voxel.
        of: all axial slices of the file.
    """

    text: str
    heard: str
    voxels: int
    millilitres: float | None
    slices: int
    of: int

    def __str__(self) -> str:
        size = f"{self.voxels} pixels" if self.millilitres is None else f"{self.millilitres:.2f} ml"
        found = f"{size} on {self.slices} of {self.of} slices" if self.slices else "nothing marked"
        return f"{found}; {self.heard}"


def segment_file(
    image: Path,
    texts: Sequence[str],
    *,
    model: Path,
    out: Path,
    overlay: Path | None = None,
    reader: str | None = None,
    asking: Mapping[str, Any] | None = None,
    modality: Modality | None = None,
    site: Site = "abdomen",
    channel: int | None = None,
    spacing_mm: float = 1.0,
    intensity: Stated = "",
    accelerator: Accelerator = "cpu",
    tell: Callable[[str], object] | None = None,
) -> list[Marked]:
    """Answer sentences about an image and write their masks in its own geometry; every slice is encoded once.

    Args:
        image: NIfTI, MHA or NRRD file, folder of a DICOM series, or grey picture.
        texts, model: P sentences, and a model as `load` takes it.
        out: NIfTI file to write (of a picture also PNG); several masks stand along the fourth axis.
        overlay: picture to write, or None.
        reader: who reads the sentences to compose the model (`composition/readers.py`); None: asked as they stand.
        asking: how a reader's language model is asked, see `open_reader`.
        modality, site, channel, spacing_mm: see `data.scan.read_scan`.
        intensity: scale of a CT, "" to recognise it (`data.intensity`).
        accelerator: where the model answers.
        tell: called with sentences: before the work what the file was taken for (modality, scale, window, geometry),
            what the model has seen and how the image is unlike that; after it, which answers are not plausible.

    Raises:
        OutputError: an output is the image, lies in the model, or is the other output.
        PromptError: no sentence, an empty one, or one that is longer than the text encoder's context.
        DataError: the image cannot be used, or the output has no name that fits it.
        ModelError: weights missing, partial or pickled, a model that reads no text, or no GPU.
        ParameterError, BackendError: an unknown reader, a server without address, a language model that cannot answer.
    """
    _check(image, texts, model, out, overlay)  # before minutes of work
    opened = load(model, reader=reader, accelerator=accelerator, **asking or {})
    opened.check_texts(texts)
    scan = read_scan(image, modality=modality, site=site, channel=channel, spacing_mm=spacing_mm, stated=intensity)
    say = tell or (lambda said: None)
    for note in (str(scan.intensity), *scan.geometry.notes):
        say(f"{image}: {note}")
    answer = opened.answer(scan, texts, tell=say)
    with files.complete(*filter(None, (out, overlay))) as made:  # both or neither
        write_masks(made[0], answer.masks, scan, texts=texts)
        if overlay is not None:
            draw_overlay(made[1], scan.image, answer.shown, answer.captions, **answer.drawing)
    return list(answer.marked)


def _check(image: Path, texts: Sequence[str], model: Path, out: Path, overlay: Path | None) -> None:
    from semantiseg.models.features import check_texts

    if not texts:
        raise PromptError("prompt: expected at least one sentence, got none. Write what to segment, such as 'liver'.")
    check_output(out, source=image, count=len(texts))
    for written in filter(None, (out, overlay)):
        check_file(written, inputs=[image, model, *([out] if written is overlay else [])])
    check_texts(texts)


def load_model(folder: Path, *, accelerator: Accelerator = "cpu") -> PromptedSegmenter:
    """A trained model that reads text.

    Raises:
        ModelError: no folder, no safetensors, pickled weights instead, layers missing, a model that needs boxes, or no
            GPU.
    """
    from semantiseg.models.registry import load
    from semantiseg.models.weights import packed_names

    if not folder.is_dir():
        raise ModelError(
            f"{folder}: expected the folder of a trained model or one of the package's own {packed_names()}, got none. "
            "Train one (`make reproduce` leaves them in data/models) or correct --model."
        )
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
    if pickled and not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder}: expected model.safetensors, got {pickled}. Such files run code when opened and are not read; "
            "save the weights with safetensors.torch.save_file."
        )
    network = load(folder, accelerator=accelerator)
    if network.needs_box:
        raise ModelError(f"{folder}: expected a model that reads text, got one that needs boxes. Choose another.")
    return network


def _ask(network: PromptedSegmenter, scan: Scan, texts: Sequence[str], read: Read | None) -> tuple[NDArray, list[str]]:
    """Probabilities `[P, D, H, W]`, and how each sentence was read."""
    from semantiseg.composition.composed import Composed

    if read is None:
        heard = [f"asked as it stands ({_said(text, scan.modality)})" for text in texts]
        return network.segment(scan.image, texts).probabilities, heard
    composed = Composed(network, read=read)
    soft = composed.segment(scan.image, texts, midline=scan.midline).probabilities
    unread = {text: f"not read, asked as it stands ({why})" for text, why in composed.tally.reasons.items()}
    return soft, [unread.get(text) or f"read as {composed.read(text)}" for text in texts]


def _said(text: str, modality: Modality) -> str:
    """How the lexicon reads a sentence that the model was asked as it stands."""
    from semantiseg.language.reader.structured import understand

    found = understand(text, modality=modality)
    return f"not understood: {found.reason}" if found.program is None else f"understood as {found.program}"


def _unlike(scan: Scan, seen: TrainedOn) -> list[str]:
    """How a scan differs from what a model has seen, a clause each."""
    known = scan.geometry.spacing_known
    return seen.unlike(
        modality=scan.modality, scale=scan.intensity.scale,
        brightness=float(scan.image[len(scan.image) // 2].mean()),
        edge_mm=float(np.linalg.norm(scan.affine[:3, :3], axis=0).max()) if known else None,
        field_mm=[size * scan.spacing_mm for size in scan.image.shape],
    )  # fmt: skip


def _implausible(text: str, mask: NDArray[np.bool_], scan: Scan, seen: TrainedOn) -> str:
    """What is wrong with a mask `[D, H, W]`, as far as what the sentence names was seen; "" where nothing is."""
    from semantiseg.language.reader.structured import understand

    program = understand(text, modality=scan.modality).program
    if program is None or not scan.geometry.spacing_known:
        return ""
    return seen.implausible(subject(program).key, float(mask.sum(axis=(1, 2)).max()) * scan.spacing_mm**2)


def _marked(text: str, heard: str, mask: NDArray[np.bool_], scan: Scan) -> Marked:
    voxels, each = int(mask.sum()), scan.voxel_ml
    return Marked(text, heard, voxels, None if each is None else voxels * each, *scan.marked_slices(mask))


@dataclass(frozen=True)
class Answer:
    """What a model marked for P sentences, in the image's own geometry; a notebook shows it as its picture.

    Attributes:
        probabilities: `[P, I, J, K]` (`[P, I, J]` of a picture) in the image's own axes, 0 to 1.
        marked: for each sentence how it was read, volume and slices.
        warnings: what the model has seen, how the image is unlike that, and which answers are not plausible.
        scan: the image as the model saw it.
        shown: the masks on the model's grid, `[P, D, H, W]`.
    """

    probabilities: NDArray[np.float32]
    marked: tuple[Marked, ...]
    warnings: tuple[str, ...]
    scan: Scan
    shown: NDArray[np.bool_]
    source: tempfile.TemporaryDirectory[str] | None = None

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Shape of `probabilities`: where they exceed `THRESHOLD`."""
        return self.probabilities > THRESHOLD

    @property
    def understood(self) -> tuple[str, ...]:
        """For each sentence how it was read, or why it was not."""
        return tuple(item.heard for item in self.marked)

    @property
    def captions(self) -> list[tuple[str, str]]:
        """For each sentence, the sentence and what was marked."""
        return [(item.text, str(item)) for item in self.marked]

    @property
    def drawing(self) -> dict[str, Any]:
        """How `paper.overlay` draws the scan."""
        return {"sides_known": self.scan.geometry.sides_known, "number": self.scan.file_slice}

    def save(self, path: str | Path) -> Path:
        """Write the masks as NIfTI in the image's geometry; several stand along the fourth axis.

        Raises:
            DataError: the name is no NIfTI name, nor, for a DICOM series, one that ends in .dcm.
            OutputError: it is the image's, or somebody else's.
        """
        check_file(place := Path(path), inputs=[self.scan.path])
        write_masks(place, self.masks, self.scan, texts=[item.text for item in self.marked])
        return place

    @extras_named()
    def show(self) -> Figure:
        """For each sentence the axial slice that shows most of it; a notebook draws it."""
        return overlay_figure(self.scan.image, self.shown, self.captions, **self.drawing)

    def __str__(self) -> str:
        return "\n".join([*(f"{text}: {said}" for text, said in self.captions), *self.warnings])

    def _repr_png_(self) -> bytes | None:
        import io

        with io.BytesIO() as png:
            try:
                self.show().savefig(png, format="png", dpi=110)
            except SemantiSegError:  # a notebook shows its text where nothing can draw
                return None
            return png.getvalue()


@dataclass(frozen=True)
class Model:
    """A trained model and who reads its sentences; made by `load`."""

    name: str
    network: PromptedSegmenter
    read: Read | None
    seen: TrainedOn | None

    @extras_named()
    def segment(
        self, image: str | Path | nib.Nifti1Image | NDArray, texts: str | Sequence[str],
        *, affine: NDArray | None = None, **reading: Any,
    ) -> Answer:  # fmt: skip
        """Answer sentences about an image; what should be doubted is warned of, and stands in `Answer.warnings`.

        Args:
            image: NIfTI file, nibabel image, or values `[I, J]`, `[I, J, K]` with `affine`, as the scanner gave them.
            texts: one sentence, or several; a string is one sentence.
            affine: of values, 4 x 4, from voxels to RAS millimetres.
            reading: `modality`, `site`, `channel`, `spacing_mm`, `stated`, as `data.scan.read_scan` takes them.

        Raises:
            PromptError: no sentence, an empty one, or one too long for the text encoder.
            DataError: the image cannot be used; the message says what to do.
        """
        asked = [texts] if isinstance(texts, str) else list(texts)
        if not asked or not all(isinstance(text, str) for text in asked):
            raise PromptError(f"texts: expected a sentence or several, got {texts!r}. Write such as 'liver'.")
        self.check_texts(asked)
        source = None if isinstance(image, str | Path) else tempfile.TemporaryDirectory(prefix="semantiseg-")
        scan = read_scan(_placed(image, affine, source), **reading)
        return self.answer(scan, asked, source=source, tell=partial(warnings.warn, stacklevel=4))

    def check_texts(self, texts: Sequence[str]) -> None:
        """Refuse what cannot be asked.

        Raises:
            PromptError: an empty sentence, or one too long for the text encoder.
        """
        from semantiseg.models.features import check_texts
        from semantiseg.models.text import open_encoder

        check_texts(texts)
        if encoder := getattr(self.network, "text_encoder", ""):  # a U-Net reads no features
            open_encoder(encoder).tokenize(texts)  # refuses what is too long

    def answer(
        self, scan: Scan, texts: Sequence[str], *, tell: Callable[[str], object],
        source: tempfile.TemporaryDirectory[str] | None = None,
    ) -> Answer:  # fmt: skip
        """Answer P sentences about a prepared image, and tell what should be doubted as soon as it is known."""
        said = [f"{self.name}: {self.seen or 'does not say what it has seen; train it again to know'}"]
        said += [f"{scan.path.name}: {clause}" for clause in _unlike(scan, self.seen)] if self.seen else []
        for warning in said:
            tell(warning)
        soft, heard = _ask(self.network, scan, texts, self.read)
        values, shown = np.stack([scan.in_file_order(one) for one in soft]), soft > THRESHOLD
        for text, mask in zip(texts, shown, strict=True):
            if self.seen and (doubt := _implausible(text, mask, scan, self.seen)):
                said.append(f"{text}: {doubt}")
                tell(said[-1])
        marked = tuple(_marked(*item, scan) for item in zip(texts, heard, values > THRESHOLD, strict=True))
        return Answer(values, marked, tuple(said), scan, shown, source)


def _placed(image: Any, affine: NDArray | None, scratch: tempfile.TemporaryDirectory | None) -> Path:
    """An image in memory as the file that `read_scan` checks and reads; a file as it is, without a scratch folder."""
    if scratch is None:
        return Path(image)
    folder = Path(scratch.name)
    if isinstance(image, np.ndarray) and affine is not None and np.shape(affine) == (4, 4):
        values = image.astype(np.float32) if image.dtype.kind in "bf" else image
        image = nib.Nifti1Image(values, np.asarray(affine, np.float64))
    if not isinstance(image, nib.Nifti1Image):
        raise DataError(
            f"image: expected a path, a nibabel NIfTI image, or a NumPy array with affine=(4 x 4), got "
            f"{type(image).__name__}{'' if affine is None else ' with affine'}. Of a tensor give tensor.numpy() and "
            "the affine of its file."
        )
    nib.save(image, folder / "image.nii")
    return folder / "image.nii"


@extras_named()
def load(folder: str | Path, *, reader: str | None = None, accelerator: Accelerator = "cpu", **asking: Any) -> Model:
    """A trained model, ready to `segment`.

    Args:
        folder: of a trained model, such as `data/models/token`, or the name of a model that comes with the package.
        reader: who reads sentences to compose the model (`composition/readers.py`); None asks them as they stand.
        accelerator: where it answers.
        asking: how a reader's language model is asked, see `open_reader`.

    Raises:
        ModelError: as `load_model`.
        ParameterError: an unknown reader.
        ExtraError: the extra `models` is not installed.
    """
    from semantiseg.composition.readers import open_reader
    from semantiseg.models.weights import PACKED, packed_names, read_trained_on

    read = None if reader is None else open_reader(reader, **asking)  # before seconds of work
    place = PACKED / str(folder) if str(folder) in packed_names() else Path(folder)
    return Model(str(folder), load_model(place, accelerator=accelerator), read, read_trained_on(place))


def example(*, seed: int = 0) -> nib.Nifti1Image:
    """A rendered phantom of an abdominal CT in Hounsfield units, to try a model on; drawn anew, no patient."""
    from semantiseg.data.phantom.cohort import cohort_cases
    from semantiseg.data.phantom.collection import COLLECTIONS

    collection = COLLECTIONS["Task03_Liver"]
    scan = collection.draw(cohort_cases(collection, 1, 0.4, seed)[0])
    image = nib.Nifti1Image(scan.channels["CT"], scan.affine)
    image.header["descrip"] = b"SemantiSeg phantom, no patient"
    return image
