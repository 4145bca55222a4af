"""Which baselines there are, what is present, and that none is opened with weights that are not its own."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from semantiseg.baselines import catalogue
from semantiseg.baselines.catalogue import CATALOGUE, download_weights, listing, look, open_baseline, weights_root
from semantiseg.baselines.contamination import contamination_label, prompting
from semantiseg.errors import ModelError, ParameterError


def put(root, name, file, content=b"weights"):
    folder = root / CATALOGUE[name].folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_every_baseline_has_a_row_a_label_and_a_word_on_its_training_cases():
    for name, entry in CATALOGUE.items():
        assert (
            contamination_label(name) == entry.card.label
            and contamination_label(f"{name}@oracle_target") == entry.card.label
        )
        assert entry.cases and entry.files and entry.cases in listing(None, checksum=False)
    assert "closed vocabulary" in prompting("imis_net") and prompting("biomedparse") == "text"


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_absent_weight_is_an_error_and_never_a_random_model(name, tmp_path):
    with pytest.raises(ModelError, match=f"{CATALOGUE[name].files[0]}: expected a weight file.*semantiseg baselines"):
        open_baseline(name, tmp_path)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_damaged_weight_is_an_error_and_never_a_random_model(name, tmp_path):
    put(tmp_path, name, CATALOGUE[name].files[0])
    with pytest.raises(ModelError, match=CATALOGUE[name].files[0]):
        open_baseline(name, tmp_path)


def test_presence_and_checksum_are_of_the_file_that_would_be_read(tmp_path, monkeypatch):
    assert look("sam", tmp_path).present is None
    put(tmp_path, "sam", "model.safetensors")
    hub = look("sam", tmp_path, checksum=True)
    assert hub.present.name == "model.safetensors" and hub.agrees is None  # its checksum is not the original's
    digest = put(tmp_path, "sam", "sam_vit_b_01ec64.pth", b"first")
    original = look("sam", tmp_path, checksum=True)
    assert original.present.name == "sam_vit_b_01ec64.pth" and original.sha256 == digest and original.agrees is False
    monkeypatch.setitem(catalogue.CATALOGUE, "sam", replace(CATALOGUE["sam"], sha256=digest))
    assert look("sam", tmp_path, checksum=True).agrees is True
    assert look("sam", tmp_path).sha256 is None


def test_a_file_with_sams_name_and_another_checksum_is_refused(tmp_path):
    put(tmp_path, "sam", "sam_vit_b_01ec64.pth")
    with pytest.raises(ModelError, match="expected SHA-256 ec2df627"):
        open_baseline("sam", tmp_path)


def test_sams_own_file_is_refused_as_medsams(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "SAM_SHA256", put(tmp_path, "medsam", "medsam_vit_b.pth"))
    with pytest.raises(ModelError, match="expected MedSAM's weights, got SAM's"):
        open_baseline("medsam", tmp_path)


def test_the_folder_of_weights_is_as_given_else_of_the_environment_else_here(tmp_path, monkeypatch):
    monkeypatch.delenv(catalogue.VARIABLE, raising=False)
    assert weights_root() == catalogue.DEFAULT
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path))
    assert weights_root() == tmp_path
    assert weights_root(tmp_path / "own") == tmp_path / "own"


def test_nothing_is_downloaded_by_looking_and_listing(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("downloaded unasked"))
    for name in CATALOGUE:
        look(name, tmp_path, checksum=True)
    listing(tmp_path, checksum=True)
    assert not list(tmp_path.iterdir())


def test_a_download_tries_each_file_of_the_hub_and_tells_why_it_failed(tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def fetch(repository, file, local_dir):
        asked.append((repository, file))
        if file == "model.safetensors":
            raise OSError("no such file")
        return str(local_dir / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    assert download_weights("sam", tmp_path) == tmp_path / "sam" / "pytorch_model.bin"
    assert asked == [("facebook/sam-vit-base", "model.safetensors"), ("facebook/sam-vit-base", "pytorch_model.bin")]
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda *_, **__: (_ for _ in ()).throw(OSError("unreachable"))
    )
    with pytest.raises(ParameterError, match="OSError: unreachable.*by hand"):
        download_weights("biomedparse", tmp_path)
    with pytest.raises(ParameterError, match="none there"):
        download_weights("imis_net", tmp_path)


def test_the_listing_says_what_is_there_where_it_looked_and_on_which_terms(tmp_path):
    digest = put(tmp_path, "sam_med2d", "sam-med2d_b.pth")
    text = listing(tmp_path, checksum=True)
    for part in (
        f"present, {tmp_path / 'sam_med2d' / 'sam-med2d_b.pth'}",
        digest,
        f"absent, looked in {tmp_path / 'biomedparse'} for biomedparse_v1.pt",
        "weights CC-BY-NC-SA-4.0",
        "semantiseg baselines get medsam",
        "closed vocabulary",
        catalogue.SAM_SHA256,
    ):
        assert part in text
    put(tmp_path, "sam", "sam_vit_b_01ec64.pth")
    assert "DIFFERS" in listing(tmp_path, checksum=True) and "DIFFERS" not in listing(tmp_path, checksum=False)


def test_a_name_of_no_baseline_lists_those_there_are():
    with pytest.raises(ParameterError, match="biomedparse.*got 'unet'"):
        catalogue.entry("unet")
