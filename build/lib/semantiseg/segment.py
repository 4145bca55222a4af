"""Answers over the picture: for each sentence the axial slice that shows most of what was marked.

Segment a NIfTI image by sentences: the door of `semantiseg segment`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from semantiseg import files
from semantiseg.conventions import Mask, Modality, radiological
from semantiseg.data.intensity import Stated
from semantiseg.data.scan import Scan, Site, read_scan, write_masks
from semantiseg.errors import DataError, ModelError, PromptError
from semantiseg.files import check_file
from semantiseg.paper import style

if TYPE_CHECKING:
    from semantiseg.composition.composed import Composed, Read
    from semantiseg.models.registry import Accelerator
    from semantiseg.models.segmenter import Segmenter


_COLUMNS = 3
_OPACITY = 0.35


def draw_overlay(
    path: Path, image: NDArray[np.floating], masks: NDArray[np.bool_], captions: Sequence[tuple[str, str]]
) -> None:
    """Write a picture with one panel a sentence, in radiological convention.

    Args:
        path: PNG, PDF or SVG file.
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        masks: `[P, D, H, W]`.
        captions: for each sentence, the sentence and a remark.
    """
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
            _draw(panel, image, mask, *caption)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def best_slice(mask: Mask) -> int:
    """The axial slice of `[D, H, W]` with most marked pixels; the middle one if nothing is marked."""
    areas = mask.sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(areas) // 2


def _draw(panel: Axes, image: NDArray[np.floating], mask: Mask, text: str, remark: str) -> None:
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
    for side, place in (("R", 0.03), ("L", 0.97)):
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
        millilitres: marked volume (of a single slice, with its thickness).
        slices: axial slices with any marked voxel.
    """

    text: str
    heard: str
    millilitres: float
    slices: int

    def __str__(self) -> str:
        found = f"{self.millilitres:.2f} ml on {self.slices} slices" if self.slices else "nothing marked"
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
        image: NIfTI file, one slice or a volume.
        texts: P sentences.
        model: folder of a trained model (`config.json`, `model.safetensors`).
        out: NIfTI file to write; one mask has the image's shape, several stand along the fourth axis.
        overlay: picture to write, or None.
        reader: name of who reads the sentences (`composition/readers.py`) to compose the model, None to ask it the
            sentence as it stands.
        asking: how a reader's language model is asked, see `open_reader`.
        modality, site, channel, spacing_mm: see `data.scan.read_scan`.
        intensity: scale of a CT, "" to recognise it (`data.intensity`).
        accelerator: where the model answers.
        tell: called with a sentence that says which modality, scale and window the file got, before the work.

    Raises:
        OutputError: an output is the image, lies in the model, or is the other output.
        PromptError: no sentence, an empty one, or one that is longer than the text encoder's context.
        DataError: the image cannot be used, or the output is no NIfTI name.
        ModelError: weights (the model's own, or its text encoder's) are missing, partial or pickled, the model reads no
            text, or there is no GPU.
        ParameterError: an unknown reader, or a server without address or model.
        BackendError: a reader's language model cannot answer.
    """
    from semantiseg.composition.readers import open_reader
    from semantiseg.models.features import check_texts
    from semantiseg.models.text import open_encoder

    if not texts:
        raise PromptError("prompt: expected at least one sentence, got none. Write what to segment, such as 'liver'.")
    if not str(out).endswith((".nii", ".nii.gz")):  # before minutes of work
        raise DataError(f"{out}: expected a name that ends in .nii or .nii.gz, got another. Rename the output.")
    for written in filter(None, (out, overlay)):
        check_file(written, inputs=[image, model, *([out] if written is overlay else [])])
    check_texts(texts)
    read = None if reader is None else open_reader(reader, **asking or {})
    network = load_model(model, accelerator=accelerator)
    open_encoder(network.text_encoder).tokenize(texts)  # refuses what is too long
    scan = read_scan(image, modality=modality, site=site, channel=channel, spacing_mm=spacing_mm, stated=intensity)
    if tell is not None:
        tell(f"{image}: {scan.intensity}")
    soft, heard = _ask(network, scan, texts, read)
    masks = np.stack([scan.in_file_order(values) > THRESHOLD for values in soft])
    marked = [_marked(*item, scan) for item in zip(texts, heard, masks, soft, strict=True)]
    _write(out, masks, scan, overlay, soft > THRESHOLD, marked)
    return marked


def _write(
    out: Path,
    masks: NDArray[np.bool_],
    scan: Scan,
    overlay: Path | None,
    shown: NDArray[np.bool_],
    marked: Sequence[Marked],
) -> None:
    """Both files or neither: each is made beside its place, and both take their names when both are made."""
    with files.complete(*filter(None, (out, overlay))) as made:
        write_masks(made[0], masks, scan)
        if overlay is not None:
            draw_overlay(made[1], scan.image, shown, [(item.text, str(item)) for item in marked])


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


def _ask(
    network: Segmenter, scan: Scan, texts: Sequence[str], read: Read | None
) -> tuple[NDArray[np.float32], list[str]]:
    """Probabilities `[P, D, H, W]`, and how each sentence was read."""
    from semantiseg.composition.composed import Composed

    if read is None:
        return network.segment(scan.image, texts).probabilities, [""] * len(texts)
    composed = Composed(network, read=read)
    soft = composed.segment(scan.image, texts, midline=scan.midline).probabilities
    return soft, [_heard(composed, text) for text in texts]


def _heard(composed: Composed, text: str) -> str:
    why = composed.tally.reasons.get(text)
    return f"read as {composed.read(text)}" if why is None else f"not read, asked as it stands ({why})"


def _marked(text: str, heard: str, mask: NDArray[np.bool_], soft: NDArray[np.float32], scan: Scan) -> Marked:
    slices = int((soft > THRESHOLD).any(axis=(1, 2)).sum())
    return Marked(text=text, heard=heard, millilitres=float(mask.sum()) * scan.voxel_ml, slices=slices)
