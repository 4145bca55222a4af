"""Images: a spoiled header, picture or description of a folder is named, whatever its bytes, in little memory"""

from __future__ import annotations

import gzip
import io
import json
import locale
import struct
import sys
import tracemalloc
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from faults.registry import Fault, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from semantiseg.data import image_file, understanding
from semantiseg.data.case import FileRefused
from semantiseg.data.labels import read_mapping
from semantiseg.data.scan import read_scan
from semantiseg.errors import SemantiSegError

MOST_BYTES = 512 << 20
AGAIN = "get the file anew"
LOOSE = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def volume(values: np.ndarray, kind: type = nib.Nifti1Image) -> bytes:
    return kind(values, np.diag([1.0, 1.0, 3.0, 1.0])).to_bytes()


IMAGE = np.random.default_rng(0).normal(100, 30, (12, 10, 6)).astype(np.int16)
LABELS = np.zeros(IMAGE.shape, np.uint8)
LABELS[3:8, 3:7, 2:5] = 1
VOLUMES = (volume(IMAGE), volume(IMAGE, nib.Nifti2Image), gzip.compress(volume(IMAGE), 1))


def picture(kind: str, mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Image.fromarray((IMAGE[..., 0] % 256).astype(np.uint8)).convert(mode).save(stream, kind)
    return stream.getvalue()


KINDS = (("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("TIFF", "L"), ("BMP", "L"), ("JPEG", "L"))
PICTURES = {f"{mode}.{kind.lower()}": picture(kind, mode) for kind, mode in KINDS}

FLIPS = st.lists(st.tuples(st.integers(0, 2000) | st.integers(0, 360), st.integers(0, 255)), max_size=4)
CUT = st.just(0) | st.integers(0, 700)


def spoiled(whole: bytes, flips: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(whole)
    for place, value in flips:
        changed[place % len(changed)] = value
    return bytes(changed[: max(len(changed) - cut, 0)])


def typed(name: str, *asks) -> None:
    """Each answers or raises an error of this package that names the file; none takes much memory."""
    tracemalloc.start()
    try:
        for ask in asks:
            try:
                ask()
            except SemantiSegError as error:
                assert name in str(error) and len(str(error)) < 20_000
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@tried(Fault("Flipped bytes in a NIfTI file, packed or not, and a cut", "it is read or named", AGAIN))
@given(st.sampled_from(VOLUMES), FLIPS, CUT)
@LOOSE
def test_a_spoiled_nifti_file_is_read_or_named(tmp_path, whole, flips, cut):
    path = tmp_path / ("a.nii.gz" if whole is VOLUMES[2] else "a.nii")
    path.write_bytes(spoiled(whole, flips, cut))
    reads = (image_file.read, image_file.read_layout, lambda path: read_scan(path, modality="MR"))
    typed(path.name, *(lambda read=read: read(path) for read in reads))


@tried(Fault("Flipped bytes in a PNG, TIFF, BMP or JPEG, and a cut", "it is read or named", AGAIN))
@given(st.sampled_from(sorted(PICTURES)), FLIPS, CUT)
@LOOSE
@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged tags
def test_a_spoiled_picture_is_read_or_named(tmp_path, name, flips, cut):
    (tmp_path / name).write_bytes(spoiled(PICTURES[name], flips, cut))
    typed(name, lambda: image_file.read(tmp_path / name), lambda: read_scan(tmp_path / name, modality="CT"))


DESCRIPTIONS = (
    {
        "name": "Task", "modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"}, "numTraining": 1,
        "training": [{"image": "./imagesTr/a_0000.nii.gz", "label": "./labelsTr/a.nii.gz"}], "test": [],
    },
    {
        "channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "both": [1, 2]}, "numTraining": 1,
        "regions_class_order": [1], "file_ending": ".nii.gz",
        "dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}},
    },
)  # fmt: skip
JUNK = st.sampled_from(
    [None, True, 0, -1, 10**30, float("inf"), float("nan"), 1.5, "", "x" * 300, "\udcff", "$x_$", "../../etc", "a\0b",
     [], {}, [[]], [None], {"a": None}, ["a", 1], {"1": {"2": 3}}]
)  # fmt: skip
KEYS = st.sampled_from(["", "\udcff", "00", "-1", "1.0", "a\nb", "0"])


@st.composite
def spoiled_values(draw, value):
    """A description of which one part, at any depth, is something else, gone or named otherwise."""
    if not value or not isinstance(value, dict | list) or draw(st.integers(0, 9)) == 0:
        return draw(JUNK)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(spoiled_values(value[place])), *value[place + 1 :]]
    key, others = draw(st.sampled_from(sorted(value))), dict(value)
    inner = others.pop(key)
    change = draw(st.sampled_from(["inner", "inner", "key", "gone"]))
    if change == "gone":
        return others
    return others | ({draw(KEYS): inner} if change == "key" else {key: draw(spoiled_values(inner))})


@tried(Fault("A part of dataset.json is of another kind, gone or called otherwise", "a list of problems", "correct it"))
@given(st.sampled_from(DESCRIPTIONS).flatmap(spoiled_values))
@settings(LOOSE, max_examples=80)
def test_a_spoiled_description_ends_in_a_report(tmp_path, description):
    folder = tmp_path / "case"
    for name, values in (("imagesTr/a_0000.nii.gz", IMAGE), ("labelsTr/a.nii.gz", LABELS)):
        if not (folder / name).is_file():
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_bytes(gzip.compress(volume(values), 1))
    (folder / "dataset.json").write_text(json.dumps(description))

    def check() -> None:
        found = understanding.understand_folders(str(folder), understanding.Choices())
        assert understanding.report_text(found) and json.dumps(understanding.summary(found))

    typed("case", check)


@tried(Fault("Any bytes in place of a mapping of labels", "it is read or named", "correct it"))
@given(st.binary(max_size=80) | st.text("{}[]:-&*!|>'\"#%@\n aä1", max_size=60).map(str.encode))
@LOOSE
def test_any_bytes_as_a_mapping_are_read_or_named(tmp_path, content):
    path = tmp_path / "mapping.yaml"
    path.write_bytes(content)
    typed("mapping.yaml", lambda: read_mapping(str(path)))


def header(place: int, form: str, *values: float) -> bytes:
    whole = bytearray(VOLUMES[0])
    struct.pack_into(form, whole, place, *values)
    return bytes(whole)


@tried(
    *(
        Fault(f"A NIfTI header says {name}", "refused before memory is taken", AGAIN, content)
        for name, content in {
            "32767 voxels along each axis": header(40, "<4h", 3, 32767, 32767, 32767),
            "a negative number of voxels": header(40, "<4h", 3, -12, 10, 6),
            "no axes": header(40, "<h", 0),
            "seven axes": header(40, "<8h", 7, 12, 10, 6, 2, 2, 2, 2),
            "a type that does not exist": header(70, "<h", 77),
            "that its voxels begin behind its end": header(108, "<f", 1e9),
            "that its voxels begin nowhere": header(108, "<f", float("nan")),
            "rows of its place that are no numbers": header(280, "<4f", *[float("nan")] * 4),
        }.items()
    )
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path, fault):
    path = tmp_path / "a.nii"
    path.write_bytes(fault.inject)
    tracemalloc.start()
    with pytest.raises(FileRefused, match="a.nii"):
        image_file.read(path)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@tried(Fault("A reader of DICOM leaves the process in the locale C", "the locale is put back", "nothing"))
def test_reading_dicom_leaves_the_locale_as_it_was(tmp_path, monkeypatch):
    def leave(path):
        locale.setlocale(locale.LC_ALL, "C")
        raise RuntimeError("no slices")

    asked = SimpleNamespace(GetGDCMSeriesIDs=leave)
    silent = SimpleNamespace(SetGlobalWarningDisplay=lambda on: None)
    monkeypatch.setitem(sys.modules, "SimpleITK", SimpleNamespace(ImageSeriesReader=asked, ProcessObject=silent))
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
        with pytest.raises(FileRefused, match="no slices"):
            image_file.read(tmp_path)
        assert locale.setlocale(locale.LC_CTYPE) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_ALL, before)
