"""Collections arrive in their upstream layouts, from a server in the true form, and are read by the readers."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.collections import read_cases
from semantiseg.data.official import registry, transfer
from semantiseg.data.official.fetch import adopt, carry_out, fetch_collections
from semantiseg.data.official.registry import Addresses, Archive, Challenge, Ledger
from semantiseg.errors import DataError, ParameterError

TASK = "Task09_Spleen"
TOKEN = "secret-token-of-a-user"


def scan(seed=0, *, label=False) -> bytes:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2, (4, 4, 3)) if label else rng.integers(-900, 900, (4, 4, 3))
    image = nib.Nifti1Image(values.astype(np.uint8 if label else np.int16), np.eye(4))
    return gzip.compress(image.to_bytes(), mtime=0)


def task_files(cases=("spleen_10", "spleen_2", "spleen_3")) -> dict[str, bytes]:
    """A Decathlon task as it is published, with AppleDouble files and unlabelled test images."""
    entries = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in cases]
    description = {"name": "Spleen", "licence": "CC-BY-SA 4.0", "modality": {"0": "CT"}, "numTraining": len(cases),
                   "labels": {"0": "background", "1": "spleen"}, "training": entries,
                   "test": ["./imagesTs/spleen_1.nii.gz"]}  # fmt: skip
    contents = {f"{TASK}/._dataset.json": b"mac", f"{TASK}/imagesTs/spleen_1.nii.gz": scan(99)}
    for number, name in enumerate(cases):
        contents[f"{TASK}/imagesTr/._{name}.nii.gz"] = b"mac"
        contents[f"{TASK}/imagesTr/{name}.nii.gz"] = scan(number)
        contents[f"{TASK}/labelsTr/{name}.nii.gz"] = scan(number, label=True)
    return contents | {f"{TASK}/dataset.json": json.dumps(description).encode()}


@pytest.fixture
def addresses(site):
    return Addresses(*[f"{site.address}{path}" for path in ("/msd", "/hub", "/raw", "/synapse", "/synapse-files")])


@pytest.fixture
def get(tmp_path, addresses, line):
    def call(*collections, **options):
        options = {"environment": {}, "line": line, "addresses": addresses, "jobs": 3} | options
        return fetch_collections(tmp_path / "data", collections, **options)

    return call


@pytest.fixture
def spleen(site, monkeypatch, tar_of):
    site.files[f"/msd/{TASK}.tar"] = archive = tar_of(task_files())
    monkeypatch.setitem(registry.DECATHLON_TASKS, TASK, registry.Task(3, ("CT",), hashlib.md5(archive).hexdigest()))
    return archive


KITS = f"/raw/neheller/kits23/{registry.KITS23_COMMIT}/dataset"
HUB_API = f"/hub/api/datasets/{registry.KITS23_IMAGES}/revision"


@pytest.fixture
def kits(site, monkeypatch):
    """Two cases of KiTS23: labels in a repository, images on a hub at commit `abc`."""
    monkeypatch.setattr("semantiseg.data.official.sources.KITS23_CASES", (0, 1))
    site.files[f"{KITS}/kits23.json"] = b"[]"
    siblings = []
    for name in ("case_00000", "case_00001"):
        image = scan(5)
        site.files[f"{KITS}/{name}/segmentation.nii.gz"] = scan(5, label=True)
        site.files[f"/hub/datasets/{registry.KITS23_IMAGES}/resolve/abc/images/{name}.nii.gz"] = image
        lfs = {"sha256": hashlib.sha256(image).hexdigest(), "size": len(image)}
        siblings.append({"rfilename": f"images/{name}.nii.gz", "size": len(image), "lfs": lfs})
    for revision in ("main", "abc"):
        site.files[f"{HUB_API}/{revision}?blobs=true"] = json.dumps({"sha": "abc", "siblings": siblings}).encode()
    return siblings


def names(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_decathlon_task_arrives_in_its_layout_and_is_read(get, spleen, tmp_path):
    records = get(TASK)
    wanted = {name for name in task_files() if "._" not in name and "imagesTs" not in name}
    assert names(tmp_path / "data") == wanted | {"sources.json", "fetched.json"}
    assert records == [{"collection": TASK, "layout": "decathlon", "origin": "official", "licence": "CC-BY-SA-4.0"}]
    assert [case.case_id for case in read_cases(tmp_path / "data")] == ["spleen_10", "spleen_2", "spleen_3"]


def test_a_limit_fetches_those_cases_only_by_ranges(get, spleen, site, tmp_path):
    get(TASK, limit=2)
    assert [case.case_id for case in read_cases(tmp_path / "data")] == ["spleen_10", "spleen_2"]
    assert all(wanted.startswith("bytes=") for wanted in site.requests(f"/msd/{TASK}.tar"))
    assert (tmp_path / "data" / TASK / "imagesTr/spleen_2.nii.gz").read_bytes() == scan(1)


def test_a_limit_can_be_raised_and_what_is_there_is_not_fetched_again(get, spleen, site, tmp_path):
    get(TASK, limit=1)
    first = len(site.asked)
    get(TASK, limit=1)
    assert len(site.asked) == first
    get(TASK, limit=3)
    assert len(read_cases(tmp_path / "data")) == 3


def test_a_limit_without_ranges_says_so(get, spleen, site):
    site.ranges = False
    with pytest.raises(DataError, match="leave out the limit"):
        get(TASK, limit=1)


def test_an_archive_with_another_checksum_is_not_unpacked(get, spleen, site, tmp_path):
    site.files[f"/msd/{TASK}.tar"] = spleen[:-1] + b"x"
    with pytest.raises(DataError, match="expected md5:.* got md5:.* twice"):
        get(TASK)
    assert names(tmp_path / "data") == set()


def test_a_disk_without_room_is_told_before_anything_is_fetched(get, spleen, site, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: type("Usage", (), {"free": transfer.SPARE})())
    with pytest.raises(DataError, match="GiB free for what is to be fetched"):
        get(TASK)
    assert site.requests(f"/msd/{TASK}.tar") == ["bytes=0-0"]


def test_kits23_is_pinned_to_the_commit_of_the_first_sight(get, kits, site, tmp_path):
    get("KiTS23", limit=1)
    moved = {"sha": "def", "siblings": []}
    site.files[f"{HUB_API}/main?blobs=true"] = json.dumps(moved).encode()
    get("KiTS23")
    assert Ledger(tmp_path / "data").revision(registry.KITS23_IMAGES) == "abc"
    assert [case.case_id for case in read_cases(tmp_path / "data")] == ["case_00000", "case_00001"]
    asked = len(site.asked)
    get("KiTS23")
    assert len(site.asked) == asked


def test_what_has_no_published_checksum_must_come_the_same_the_second_time(get, kits, site, tmp_path):
    get("KiTS23", limit=1)
    label = tmp_path / "data/KiTS23/case_00000/segmentation.nii.gz"
    label.unlink()
    site.files[f"{KITS}/case_00000/segmentation.nii.gz"] = scan(6, label=True)
    with pytest.raises(DataError, match="segmentation.nii.gz: expected sha256:"):
        get("KiTS23", limit=1)


def test_a_damaged_gzip_without_checksum_is_told_by_its_own(get, kits, site):
    content = bytearray(scan(5, label=True))
    content[-6] ^= 0xFF
    site.files[f"{KITS}/case_00000/segmentation.nii.gz"] = bytes(content)
    with pytest.raises(DataError, match="expected a whole gzip file"):
        get("KiTS23", limit=1)


def test_one_failure_among_many_is_raised_and_the_others_files_are_kept(get, kits, site, tmp_path):
    del site.files[f"{KITS}/case_00001/segmentation.nii.gz"]
    with pytest.raises(DataError, match="KiTS23 case_00001/segmentation.nii.gz: expected the file, got status 404"):
        get("KiTS23", jobs=1)
    assert Ledger(tmp_path / "data").holds(tmp_path / "data/KiTS23/kits23.json")


def case_files(case, suffixes=("t1n", "t1c", "t2w", "t2f", "seg")):
    return {f"training_data1_v2/{case}/{case}-{suffix}.nii.gz": scan(1, label=suffix == "seg") for suffix in suffixes}


def zip_of(contents):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def brats(site, monkeypatch):
    """Synapse with one archive of the glioma challenge, for whoever has the token."""
    junk = {"__MACOSX/training_data1_v2/._x": b"mac", "training_data1_v2/BraTS-GLI-00001-100/._a.nii.gz": b"mac"}
    content = zip_of(case_files("BraTS-GLI-00001-100") | case_files("BraTS-GLI-00001-101") | junk)
    md5 = hashlib.md5(content).hexdigest()
    archive = Challenge(2, ("T1", "T1c", "T2", "FLAIR"), (Archive("syn1", 2, md5),))
    monkeypatch.setitem(registry.CHALLENGES, "BraTS2024-GLI", archive)

    def allowed(handler):
        return handler.headers.get("Authorization") == f"Bearer {TOKEN}"

    def entity(handler):
        return (200, {}, b'{"dataFileHandleId": "7"}') if allowed(handler) else (403, {}, b"{}")

    def batch(handler):
        if not allowed(handler):
            return 403, {}, b"{}"
        asked = json.loads(handler.body)
        assert asked["requestedFiles"][0] == {
            "fileHandleId": "7", "associateObjectId": "syn1", "associateObjectType": "FileEntity"
        }  # fmt: skip
        handle = {"contentMd5": md5, "contentSize": len(content), "fileName": "training.zip"}
        found = {"preSignedURL": f"{site.address}/signed"} if asked["includePreSignedURLs"] else {"fileHandle": handle}
        return 201, {}, json.dumps({"requestedFiles": [found]}).encode()

    site.files |= {"/synapse/entity/syn1/version/2": entity, "/synapse-files/fileHandle/batch": batch}
    site.files["/signed"] = content
    return content


def test_brats_arrives_with_the_users_token_which_goes_to_synapse_only(get, brats, site, tmp_path):
    site.faults["/signed"] = [("cut", 900)]
    get("BraTS2024-GLI", environment={"SYNAPSE_AUTH_TOKEN": TOKEN})
    assert [case.case_id for case in read_cases(tmp_path / "data")] == ["BraTS-GLI-00001-100", "BraTS-GLI-00001-101"]
    to_storage = [headers for (path, _), headers in zip(site.asked, site.headers, strict=True) if path == "/signed"]
    assert len(to_storage) == 2 and not any("Authorization" in headers for headers in to_storage)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*.json"))
    assert TOKEN.encode() not in kept and b"/signed" not in kept
    get("BraTS2024-GLI")


def test_without_token_the_message_says_every_step(get, brats, site):
    with pytest.raises(DataError, match="SYNAPSE_AUTH_TOKEN.*account at synapse.org.*accept the terms.*--from"):
        get("BraTS2024-GLI")
    assert site.asked == []


def test_a_refused_token_is_not_shown(get, brats):
    with pytest.raises(DataError, match="got status 403") as caught:
        get("BraTS2024-GLI", environment={"SYNAPSE_AUTH_TOKEN": TOKEN + "x"})
    assert TOKEN not in str(caught.value)


def test_another_version_on_synapse_than_the_one_on_record_is_told(get, brats, monkeypatch):
    known = registry.CHALLENGES["BraTS2024-GLI"]
    other = replace(known, archives=(Archive("syn1", 2, "0" * 32),))
    monkeypatch.setitem(registry.CHALLENGES, "BraTS2024-GLI", other)
    with pytest.raises(DataError, match="Synapse has another version"):
        get("BraTS2024-GLI", environment={"SYNAPSE_TOKEN": TOKEN})


def test_a_folder_downloaded_by_hand_is_read_like_a_fetched_one(tmp_path):
    by_hand = tmp_path / "downloads"
    contents = {f"msd/{name}": content for name, content in task_files().items()}
    contents |= {f"kits23/dataset/case_0000{number}/{name}.nii.gz": scan(3, label=name == "segmentation")
                 for number in (0, 1) for name in ("imaging", "segmentation")}  # fmt: skip
    contents |= case_files("BraTS-GLI-00001-100")
    for name, content in contents.items():
        (by_hand / name).parent.mkdir(parents=True, exist_ok=True)
        (by_hand / name).write_bytes(content)
    records = adopt(tmp_path / "data", by_hand)
    assert [record["collection"] for record in records] == ["BraTS2024-GLI", "KiTS23", TASK]
    assert len(read_cases(tmp_path / "data")) == 1 + 2 + 3
    with pytest.raises(DataError, match="expected no folder BraTS2024-GLI yet"):
        adopt(tmp_path / "data", by_hand)


def test_a_folder_with_nothing_known_says_what_is_looked_for(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match="expected Task01_BrainTumour"):
        adopt(tmp_path / "data", tmp_path / "x")


def test_verify_finds_a_changed_file(get, spleen, tmp_path):
    get(TASK)
    options = {"limit": None, "jobs": 1, "by_hand": None, "verify": True}
    assert list(carry_out(tmp_path / "data", (), **options)) == [
        f"{tmp_path / 'data'}: every fetched file is as recorded"
    ]
    (tmp_path / "data" / TASK / "labelsTr/spleen_3.nii.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="got 1 other or missing: Task09_Spleen/labelsTr/spleen_3.nii.gz"):
        list(carry_out(tmp_path / "data", (), **options))


def test_without_names_the_collections_are_listed_and_nothing_is_fetched(tmp_path):
    lines = list(carry_out(tmp_path, (), limit=None, jobs=1, by_hand=None, verify=False))
    assert len(lines) == len(registry.COLLECTIONS) + 1 and "KiTS23" in " ".join(lines)


def test_unknown_collections_are_refused_by_name(get):
    with pytest.raises(ParameterError, match="got \\['Task11_Nose'\\]"):
        get("Task11_Nose")
