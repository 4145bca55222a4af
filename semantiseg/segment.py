"""Segment an image by sentences: the door of `semantiseg segment` and of `import semantiseg`."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from semantiseg import files
from semantiseg.conventions import Mask, Modality, radiological
from semantiseg.data.intensity import Stated
from semantiseg.data.scan import Scan, Site, check_output, read_scan, write_masks
from semantiseg.errors import DataError, ModelError, PromptError
from semantiseg.extras import extras_named
from semantiseg.files import check_file
from semantiseg.paper import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semantiseg.composition.composed import Read
    from semantiseg.models.registry import Accelerator
    from semantiseg.models.segmenter import Segmenter


_COLUMNS = 3
_OPACITY = 0.35


def draw_overlay(
    path: Path, image: NDArray[np.floating], masks: NDArray[np.bool_], captions: Sequence[tuple[str, str]],
    *, sides_known: bool = True,
) -> None:  # fmt: skip
    """Write the picture of `overlay_figure` to a PNG, PDF or SVG file."""
    figure = overlay_figure(image, masks, captions, sides_known=sides_known)
    with style.applied():
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)


def overlay_figure(
    image: NDArray[np.floating], masks: NDArray[np.bool_], captions: Sequence[tuple[str, str]],
    *, sides_known: bool = True,
) -> Figure:  # fmt: skip
    """A picture with one panel a sentence, in radiological convention.

    Args:
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        masks: `[P, D, H, W]`.
        captions: for each sentence, the sentence and a remark.
        sides_known: whether the patient's right and left are; only then R and L are drawn.
    """
    import matplotlib.pyplot as plt

    columns = min(_COLUMNS, len(masks))
    rows = -(-len(masks) // columns)
    height = 3.0 * image.shape[1] / image.shape[2]
    with style.applied():
        figure, panels = plt.subplots(
            rows, columns, figsize=(3.0 * columns, (height + 0.75) * rows), squeeze=False, layout="constrained"
        )
        for panel in panels.flat:
            panel.axis("off")
        for panel, mask, caption in zip(panels.flat, masks, captions, strict=False):
            _draw(panel, image, mask, *caption, sides=sides_known)
        plt.close(figure)  # a notebook shows what it is given, once
    return figure


def best_slice(mask: Mask) -> int:
    """The axial slice of `[D, H, W]` with most marked pixels; the middle one if nothing is marked."""
    areas = mask.sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(areas) // 2


def _draw(panel: Axes, image: NDArray[np.floating], mask: Mask, text: str, remark: str, *, sides: bool) -> None:
    from matplotlib.colors import to_rgb

    index = best_slice(mask)
    shown = radiological(mask[index])
    colours = np.repeat(radiological(image[index])[..., None], 3, axis=2).astype(float)
    colours[shown] = (1 - _OPACITY) * colours[shown] + _OPACITY * np.array(to_rgb(style.ANSWER))
    panel.imshow(np.clip(colours, 0, 1))
    if shown.any():
        # Padded: an answer at the edge of the picture has an outline there too.
        extent = (-1.5, shown.shape[1] + 0.5, -1.5, shown.shape[0] + 0.5)
        panel.contour(np.pad(shown.astype(float), 1), levels=[0.5], colors=style.ANSWER, linewidths=1.0, extent=extent)
    panel.set_title(_literal(text, 46), fontsize=7)
    note = _literal(f"slice {index}. {remark}", 54)
    panel.text(0.5, -0.02, note, transform=panel.transAxes, ha="center", va="top", fontsize=6)
    for side, place in (("R", 0.03), ("L", 0.97)) if sides else ():
        panel.text(place, 0.5, side, transform=panel.transAxes, color="white", fontsize=7, ha="center", va="center")


def _literal(text: str, width: int) -> str:
    """Lines of a sentence as it stands; what no font can have (half of a surrogate pair, controls) is spelt out."""
    drawn = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in " ".join(text.split()))
    return "\n".join(textwrap.wrap(drawn, width))


THRESHOLD = 0.5
"""A voxel belongs to the answer where its probability exceeds this."""

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
"""Endings of weight files that run code when they are opened."""


@dataclass(frozen=True)
class Marked:
    """What one sentence marked.

    Attributes:
        text: the sentence.
        heard: how it was read, or why it was not; "" for a model that was not composed.
        voxels: of the file that are marked.
        millilitres: their volume (of a single slice, with its thickness); None where the file has no voxel size.
        slices: axial slices with any marked voxel.
    """

    text: str
    heard: str
    voxels: int
    millilitres: float | None
    slices: int

    def __str__(self) -> str:
        size = f"{self.voxels} pixels" if self.millilitres is None else f"{self.millilitres:.2f} ml"
        found = f"{size} on {self.slices} slices" if self.slices else "nothing marked"
        return f"{found}; {self.heard}" if self.heard else found


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
        texts, model: P sentences, and the folder of a trained model (`config.json`, `model.safetensors`).
        out: NIfTI file to write (of a picture also PNG); several masks stand along the fourth axis.
        overlay: picture to write, or None.
        reader: who reads the sentences to compose the model (`composition/readers.py`); None: asked as they stand.
        asking: how a reader's language model is asked, see `open_reader`.
        modality, site, channel, spacing_mm: see `data.scan.read_scan`.
        intensity: scale of a CT, "" to recognise it (`data.intensity`).
        accelerator: where the model answers.
        tell: called with sentences on what the file was taken for (modality, scale, window, geometry), before the work.

    Raises:
        OutputError: an output is the image, lies in the model, or is the other output.
        PromptError: no sentence, an empty one, or one that is longer than the text encoder's context.
        DataError: the image cannot be used, or the output has no name that fits it.
        ModelError: weights missing, partial or pickled, a model that reads no text, or no GPU.
        ParameterError, BackendError: an unknown reader, a server without address, a language model that cannot answer.
    """
    from semantiseg.composition.readers import open_reader
    from semantiseg.models.text import open_encoder

    _check(image, texts, model, out, overlay)  # before minutes of work
    read = None if reader is None else open_reader(reader, **asking or {})
    network = load_model(model, accelerator=accelerator)
    open_encoder(network.text_encoder).tokenize(texts)  # refuses what is too long
    scan = read_scan(image, modality=modality, site=site, channel=channel, spacing_mm=spacing_mm, stated=intensity)
    if tell is not None:
        for said in (str(scan.intensity), *scan.geometry.notes):
            tell(f"{image}: {said}")
    soft, heard = _ask(network, scan, texts, read)
    masks = np.stack([scan.in_file_order(values) > THRESHOLD for values in soft])
    marked = [_marked(*item, scan) for item in zip(texts, heard, masks, soft, strict=True)]
    _write(out, masks, scan, overlay, soft > THRESHOLD, marked)
    return marked


def _check(image: Path, texts: Sequence[str], model: Path, out: Path, overlay: Path | None) -> None:
    from semantiseg.models.features import check_texts

    if not texts:
        raise PromptError("prompt: expected at least one sentence, got none. Write what to segment, such as 'liver'.")
    check_output(out, source=image, count=len(texts))
    for written in filter(None, (out, overlay)):
        check_file(written, inputs=[image, model, *([out] if written is overlay else [])])
    check_texts(texts)


def _write(
    out: Path, masks: NDArray[np.bool_], scan: Scan, overlay: Path | None, shown: Mask, marked: Sequence[Marked]
) -> None:
    """Both files or neither: each is made beside its place, and both take their names when both are made."""
    with files.complete(*filter(None, (out, overlay))) as made:
        write_masks(made[0], masks, scan, texts=[item.text for item in marked])
        if overlay is not None:
            captions = [(item.text, str(item)) for item in marked]
            draw_overlay(made[1], scan.image, shown, captions, sides_known=scan.geometry.sides_known)


def load_model(folder: Path, *, accelerator: Accelerator = "cpu") -> Segmenter:
    """A trained model that reads text.

    Raises:
        ModelError: no folder, no safetensors, pickled weights instead, layers missing, a model that needs boxes, or no
            GPU.
    """
    from semantiseg.models.registry import load

    if not folder.is_dir():
        raise ModelError(
            f"{folder}: expected the folder of a trained model, got none. Train one (`make reproduce` leaves them in "
            "data/models) or correct --model."
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


def _ask(network: Segmenter, scan: Scan, texts: Sequence[str], read: Read | None) -> tuple[NDArray, list[str]]:
    """Probabilities `[P, D, H, W]`, and how each sentence was read."""
    from semantiseg.composition.composed import Composed

    if read is None:
        return network.segment(scan.image, texts).probabilities, [""] * len(texts)
    composed = Composed(network, read=read)
    soft = composed.segment(scan.image, texts, midline=scan.midline).probabilities
    unread = {text: f"not read, asked as it stands ({why})" for text, why in composed.tally.reasons.items()}
    return soft, [unread.get(text) or f"read as {composed.read(text)}" for text in texts]


def _marked(text: str, heard: str, mask: NDArray[np.bool_], soft: NDArray[np.float32], scan: Scan) -> Marked:
    slices, voxels, each = int((soft > THRESHOLD).any(axis=(1, 2)).sum()), int(mask.sum()), scan.voxel_ml
    return Marked(text, heard, voxels, None if each is None else voxels * each, slices)


@dataclass(frozen=True)
class Answer:
    """What a model marked for P sentences, in the image's own geometry.

    Attributes:
        probabilities: `[P, I, J, K]` (`[P, I, J]` of a picture) in the image's own axes, 0 to 1.
        understood: for each sentence how it was read, or why it was not.
        marked: for each sentence volume and slices.
        scan: the image as the model saw it.
        shown: the masks on the model's grid, `[P, D, H, W]`.
    """

    probabilities: NDArray[np.float32]
    understood: tuple[str, ...]
    marked: tuple[Marked, ...]
    scan: Scan
    shown: NDArray[np.bool_]
    source: tempfile.TemporaryDirectory[str] | None = None

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Shape of `probabilities`: where they exceed `THRESHOLD`."""
        return self.probabilities > THRESHOLD

    def save(self, path: str | Path) -> Path:
        """Write the masks as NIfTI in the image's geometry; several stand along the fourth axis.

        Raises:
            DataError: the name is no NIfTI name, nor, for a DICOM series, one that ends in .dcm.
            OutputError: it is the image's.
        """
        check_file(place := Path(path), inputs=[self.scan.path])
        write_masks(place, self.masks, self.scan, texts=[item.text for item in self.marked])
        return place

    @extras_named()
    def show(self) -> Figure:
        """For each sentence the axial slice that shows most of it; a notebook draws it."""
        captions = [(item.text, str(item)) for item in self.marked]
        return overlay_figure(self.scan.image, self.shown, captions, sides_known=self.scan.geometry.sides_known)


@dataclass(frozen=True)
class Model:
    """A trained model and who reads its sentences; made by `load`."""

    network: Segmenter
    read: Read | None

    @extras_named()
    def segment(
        self, image: str | Path | nib.Nifti1Image | NDArray, texts: str | Sequence[str],
        *, affine: NDArray | None = None, **reading: Any,
    ) -> Answer:  # fmt: skip
        """Answer sentences about an image.

        Args:
            image: NIfTI file, nibabel image, or values `[I, J]`, `[I, J, K]` with `affine`, as the scanner gave them.
            texts: one sentence, or several; a string is one sentence.
            affine: of values, 4 x 4, from voxels to RAS millimetres.
            reading: `modality`, `site`, `channel`, `spacing_mm`, `stated`, as `data.scan.read_scan` takes them.

        Raises:
            PromptError: no sentence, an empty one, or one too long for the text encoder.
            DataError: the image cannot be used; the message says what to do.
        """
        from semantiseg.models.features import check_texts
        from semantiseg.models.text import open_encoder

        asked = [texts] if isinstance(texts, str) else list(texts)
        if not asked or not all(isinstance(text, str) for text in asked):
            raise PromptError(f"texts: expected a sentence or several, got {texts!r}. Write such as 'liver'.")
        check_texts(asked)
        open_encoder(self.network.text_encoder).tokenize(asked)  # refuses what is too long
        source = None if isinstance(image, str | Path) else tempfile.TemporaryDirectory(prefix="semantiseg-")
        scan = read_scan(_placed(image, affine, source), **reading)
        soft, heard = _ask(self.network, scan, asked, self.read)
        values = np.stack([scan.in_file_order(one) for one in soft])
        marked = tuple(_marked(*item, scan) for item in zip(asked, heard, values > THRESHOLD, soft, strict=True))
        said = heard if self.read is not None else [_said(text, scan.modality) for text in asked]
        return Answer(values, tuple(said), marked, scan, soft > THRESHOLD, source)


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


def _said(text: str, modality: Modality) -> str:
    """How the lexicon reads a sentence that the model was asked as it stands."""
    from semantiseg.language.reader.structured import understand

    found = understand(text, modality=modality)
    return found.reason if found.program is None else str(found.program)


@extras_named()
def load(folder: str | Path, *, reader: str | None = None, accelerator: Accelerator = "cpu", **asking: Any) -> Model:
    """A trained model, ready to `segment`.

    Args:
        folder: of a trained model, such as `data/models/token`.
        reader: who reads sentences to compose the model (`composition/readers.py`); None asks them as they stand.
        accelerator: where it answers.
        asking: how a reader's language model is asked, see `open_reader`.

    Raises:
        ModelError: as `load_model`.
        ParameterError: an unknown reader.
        ExtraError: the extra `models` is not installed.
    """
    from semantiseg.composition.readers import open_reader

    network = load_model(Path(folder), accelerator=accelerator)
    return Model(network, None if reader is None else open_reader(reader, **asking))


def example(*, seed: int = 0) -> nib.Nifti1Image:
    """A rendered phantom of an abdominal CT in Hounsfield units, to try a model on; drawn anew, no patient."""
    from semantiseg.data.phantom.cohort import cohort_cases
    from semantiseg.data.phantom.collection import COLLECTIONS

    collection = COLLECTIONS["Task03_Liver"]
    scan = collection.draw(cohort_cases(collection, 1, 0.4, seed)[0])
    image = nib.Nifti1Image(scan.channels["CT"], scan.affine)
    image.header["descrip"] = b"SemantiSeg phantom, no patient"
    return image
