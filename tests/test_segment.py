"""From a NIfTI file and sentences to masks in its geometry, through the command line and below it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import loopback_server
import nibabel as nib
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from dicom_series import write_series
from matplotlib.image import imread
from PIL import Image
from safetensors.torch import load_file, save_file

import semantiseg as ss
from semantiseg.cli import main
from semantiseg.errors import DataError, ModelError, OutputError, ParameterError, PromptError
from semantiseg.models import registry
from semantiseg.segment import best_slice, draw_overlay, load_model, segment_file


def write_model(folder: Path, model: str = "token") -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    config = {"model": model, "width": "tiny", "image_size": 64, "text_width": 384}
    save_file(
        registry.build(model, width="tiny", image_size=64, text_width=384).state_dict(), folder / "model.safetensors"
    )
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "token")


@pytest.fixture
def scan(tmp_path) -> Path:
    values = np.random.default_rng(0).normal(0, 60, (30, 26, 4)).astype(np.float32)
    values[:3] = -1000
    nib.save(nib.Nifti1Image(values, np.diag([-1.5, -1.5, 4.0, 1])), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def test_the_command_writes_mask_and_picture(scan, model, tmp_path):
    arguments = ["segment", str(scan), "the liver", "--model", str(model), "--out", str(tmp_path / "mask.nii.gz")]
    answer = CliRunner().invoke(main, [*arguments, "--overlay", str(tmp_path / "picture.png")])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.startswith("the liver: ")
    mask, source = nib.load(tmp_path / "mask.nii.gz"), nib.load(scan)
    assert mask.shape == source.shape and np.allclose(mask.affine, source.affine)
    assert set(np.unique(mask.dataobj)) <= {0, 1}
    assert imread(tmp_path / "picture.png").std() > 0


def test_several_sentences_share_one_encoding_of_each_slice(scan, model, tmp_path, monkeypatch):
    encoded = []
    plain = registry.Segmenter.encode
    monkeypatch.setattr(registry.Segmenter, "encode", lambda self, images: encoded.append(1) or plain(self, images))
    texts = ["liver", "liver without the tumour", "right kidney"]
    segment_file(scan, texts, model=model, out=tmp_path / "masks.nii.gz")
    depth = round(4 * 4.0)  # 4 slices of 4 mm, seen every 1 mm
    assert len(encoded) == depth and nib.load(tmp_path / "masks.nii.gz").shape == (30, 26, 4, 3)


def test_together_and_alone_sentences_get_the_same_mask(scan, model, tmp_path):
    texts = ["liver", "right kidney"]
    segment_file(scan, texts, model=model, out=tmp_path / "both.nii.gz")
    segment_file(scan, texts[1:], model=model, out=tmp_path / "one.nii.gz")
    both, one = (np.asarray(nib.load(tmp_path / name).dataobj) for name in ("both.nii.gz", "one.nii.gz"))
    assert (both[..., 1] != one).mean() < 1e-3  # batched sums differ in the last digit


def test_a_composed_answer_says_how_it_was_read(scan, model, tmp_path):
    texts = ["liver without the tumour", "liver in a 54-year-old man with weight loss"]
    strict = segment_file(scan, texts, model=model, out=tmp_path / "a.nii.gz", reader="strict")
    assert "read as minus(organ(liver), lesion(liver_tumour))" in str(strict[0])
    assert "not read" in str(strict[1]) and "weight" in str(strict[1])
    lenient = segment_file(scan, texts, model=model, out=tmp_path / "b.nii.gz", reader="lenient")
    assert "read as organ(liver)" in str(lenient[1])
    whole, part = (
        segment_file(scan, [t], model=model, out=tmp_path / "c.nii.gz", reader="strict")[0] for t in ("liver", texts[0])
    )
    assert part.millilitres <= whole.millilitres
    with pytest.raises(ParameterError, match="strict"):
        segment_file(scan, texts, model=model, out=tmp_path / "a.nii.gz", reader="clever")


def test_a_language_model_reads_what_the_lexicon_does_not(scan, model, tmp_path):
    text, program = "hepatic parenchyma sans the wibbly focus", "minus(organ(liver), lesion(liver_tumour))"
    command = ["segment", str(scan), text, "--model", str(model), "--answers", str(tmp_path / "answers"), "--compose"]
    with loopback_server.serve() as server:
        asked = ["--reader", "server", "--base-url", server.url, "--reader-model", "tiny"]

        def call(*options: str) -> str:
            answer = CliRunner().invoke(main, [*command, *asked, "--out", str(tmp_path / "mask.nii.gz"), *options])
            assert answer.exit_code == 0, answer.output
            return answer.output

        server.default = lambda body: loopback_server.completion(json.dumps({"program": program}))
        first = call()
        assert f"read as {program}" in first
        assert call() == first and len(server.asked) == 1  # answers are kept
        server.default = lambda body: loopback_server.completion("hm")
        assert "not read, asked as it stands (answer: expected JSON" in call("--structured", "none")


def test_a_language_model_that_cannot_be_asked_is_named_before_any_work(scan, tmp_path):
    command = ["segment", str(scan), "liver", "--model", str(tmp_path / "none"), "--out", str(tmp_path / "m.nii.gz")]
    nowhere = CliRunner().invoke(main, [*command, "--compose", "--reader", "server"])
    assert nowhere.exit_code == 1 and "--base-url" in nowhere.output
    unused = CliRunner().invoke(main, [*command, "--reader", "server"])
    assert unused.exit_code == 1 and "--reader server: expected --compose" in unused.output


def test_a_dicom_series_is_answered_by_a_dicom_segmentation_of_the_sentences(model, tmp_path):
    pydicom = pytest.importorskip("pydicom", reason="the extra `dicom` is not installed")
    pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")
    series, texts = write_series(tmp_path / "series"), ["the liver", "left kidney"]
    arguments = ["segment", str(series), *texts, "--model", str(model), "--out", str(tmp_path / "answer.dcm")]
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 0, answer.output
    written = pydicom.dcmread(tmp_path / "answer.dcm")
    assert [segment.SegmentLabel for segment in written.SegmentSequence] == texts
    again = ss.load(model).segment(series, texts).save(tmp_path / "again.dcm")
    assert pydicom.dcmread(again).SOPInstanceUID == written.SOPInstanceUID


def test_millilitres_are_those_of_the_written_mask(scan, model, tmp_path):
    (found,) = segment_file(scan, ["liver"], model=model, out=tmp_path / "mask.nii.gz")
    assert found.millilitres == pytest.approx(np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj).sum() * 9 / 1000)


def test_a_picture_is_answered_in_pixels_and_without_sides(model, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 36), np.uint8)).save(tmp_path / "scan.png")
    told: list[str] = []
    (found,) = segment_file(
        tmp_path / "scan.png", ["liver"], model=model, out=tmp_path / "mask.png", overlay=tmp_path / "shown.png",
        tell=told.append,
    )  # fmt: skip
    assert found.millilitres is None and " ml" not in str(found)
    assert found.voxels == np.count_nonzero(np.asarray(Image.open(tmp_path / "mask.png")))
    assert any("no length is measured" in line for line in told)


@pytest.mark.parametrize(("texts", "said"), [([], "at least one"), (["  "], "expected a sentence")])
@pytest.mark.parametrize("reader", [None, "lenient"])
def test_empty_prompts_are_refused_before_any_work(scan, tmp_path, texts, said, reader):
    with pytest.raises(PromptError, match=said):
        segment_file(scan, texts, model=tmp_path / "none", out=tmp_path / "mask.nii.gz", reader=reader)


@pytest.mark.parametrize("reader", [None, "lenient"])
def test_endless_prompts_are_refused_by_the_model_s_text_encoder_before_the_image_is_read(model, tmp_path, reader):
    with pytest.raises(PromptError, match="at most 256"):
        segment_file(tmp_path / "none.nii", ["kidney " * 300], model=model, out=tmp_path / "m.nii.gz", reader=reader)


def test_an_output_that_is_no_nifti_name_is_refused_before_any_work(scan, tmp_path):
    with pytest.raises(DataError, match="ends in .nii"):
        segment_file(scan, ["liver"], model=tmp_path / "none", out=tmp_path / "mask.png")


def test_missing_and_partial_weights_are_named(model, tmp_path):
    with pytest.raises(ModelError, match="folder of a trained model"):
        load_model(tmp_path / "none")
    folder = write_model(tmp_path / "partial")
    state = load_file(folder / "model.safetensors")
    lost = sorted(state)[0]
    del state[lost]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"missing.*{lost}"):
        load_model(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model.safetensors"):
        load_model(folder)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_pickled_weights_are_never_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_model(tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    (folder / "model.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="run code when opened"):
        load_model(folder)
    (folder / "model.pt").rename(folder / "model.safetensors")  # a pickle under a safe name
    with pytest.raises(ModelError, match="model.safetensors"):
        load_model(folder)
    assert not Path("exploded").exists()


def test_a_model_that_needs_boxes_is_refused(tmp_path):
    with pytest.raises(ModelError, match="reads text"):
        load_model(write_model(tmp_path / "box", "box"))


def test_errors_reach_the_user_as_one_message(scan, model, tmp_path):
    values = np.stack([np.asarray(nib.load(scan).dataobj)] * 2, axis=3)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "four.nii.gz")
    arguments = [str(tmp_path / "four.nii.gz"), "liver", "--model", str(model), "--out", str(tmp_path / "m.nii.gz")]
    answer = CliRunner().invoke(main, ["segment", *arguments])
    assert answer.exit_code == 1 and "2 channels" in answer.output and "Traceback" not in answer.output
    assert CliRunner().invoke(main, ["segment", *arguments, "--channel", "1"]).exit_code == 0


def test_the_picture_shows_the_slice_with_most_of_the_answer_in_the_answers_colour(tmp_path):
    image = np.full((5, 40, 40), 0.5)
    masks = np.zeros((2, 5, 40, 40), bool)
    masks[0, 3, 10:30, 25:35] = True  # the patient's right: on the left of the picture
    assert best_slice(masks[0]) == 3 and best_slice(masks[1]) == 2
    draw_overlay(tmp_path / "picture.png", image, masks, [("one", "here"), ("two", "nothing marked")])
    pixels = imread(tmp_path / "picture.png")[..., :3]
    tinted = np.abs(pixels[..., 2] - pixels[..., 0]) > 0.1
    columns = np.flatnonzero(tinted.sum(axis=0) > 20)
    width = pixels.shape[1]
    assert columns.size and columns.max() < width / 4, "marked left in the first panel, nothing in the second"


def test_the_demos_model_finds_a_kidney_in_a_raw_file(root: Path, tmp_path):
    case = root / "data/raw/KiTS23/case_00016"
    if not (case.is_dir() and (root / "data/models/token/model.safetensors").is_file()):
        pytest.skip("the demo's data are not here: run `dvc repro train@token`")
    segment_file(case / "imaging.nii.gz", ["kidney"], model=root / "data/models/token", out=tmp_path / "mask.nii.gz")
    found = np.asarray(nib.load(tmp_path / "mask.nii.gz").dataobj) > 0
    truth = np.asarray(nib.load(case / "segmentation.nii.gz").dataobj) > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7


class TestPythonDoor:
    """`import semantiseg as ss`: the same answers as the command line, from files, images and arrays."""

    def test_a_file_an_image_and_an_array_give_the_mask_that_the_command_writes(self, scan, model, tmp_path):
        segment_file(scan, ["the liver", "spleen"], model=model, out=tmp_path / "mask.nii.gz")
        expected = nib.load(tmp_path / "mask.nii.gz")
        source, asked = nib.load(scan), ss.load(model)
        for given, options in (
            (str(scan), {}), (source, {}), (np.asarray(source.dataobj), {"affine": source.affine}),
        ):
            answer = asked.segment(given, ["the liver", "spleen"], **options)
            assert answer.probabilities.shape == (2, *source.shape)
            written = nib.load(answer.save(tmp_path / "door.nii.gz"))
            np.testing.assert_array_equal(written.dataobj, expected.dataobj)
            np.testing.assert_allclose(written.affine, expected.affine)
            assert answer.understood == ("organ(liver)", "organ(spleen)")

    def test_one_string_is_one_sentence_and_is_shown_in_one_panel(self, scan, model):
        answer = ss.load(model).segment(scan, "liver")
        assert len(answer.masks) == len(answer.understood) == 1
        assert len(answer.show().axes) == 1

    def test_a_reader_composes_and_says_what_it_read(self, scan, model):
        assert ss.load(model, reader="strict").segment(scan, "left kidney").understood[0].startswith("read as side(")

    @pytest.mark.parametrize("given", [torch.zeros(4, 4, 4), np.zeros((4, 4, 4)), [1, 2], None])
    def test_what_has_no_geometry_is_refused_with_the_remedy(self, model, given):
        with pytest.raises(DataError, match="NumPy array with affine"):
            ss.load(model).segment(given, "liver")

    @pytest.mark.parametrize("texts", [[], [3], [None]])
    def test_what_is_no_sentence_is_refused(self, scan, model, texts):
        with pytest.raises(PromptError, match="expected a sentence"):
            ss.load(model).segment(scan, texts)

    def test_the_image_is_not_overwritten(self, scan, model):
        with pytest.raises(OutputError):
            ss.load(model).segment(scan, "liver").save(scan)

    def test_the_example_is_a_marked_phantom_in_hounsfield_units(self):
        image = ss.example()
        assert b"phantom" in bytes(image.header["descrip"]) and image.ndim == 3
        assert np.asarray(image.dataobj).min() <= -900

    def test_an_unknown_name_is_no_door(self):
        assert set(ss.__all__) == set(ss.__doors__) and not hasattr(ss, "nothing")
