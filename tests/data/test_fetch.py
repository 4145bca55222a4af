"""Fetching: phantoms, the user's folder, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.fetch import fetch
from semantiseg.errors import DataError, ParameterError
from semantiseg.pipeline import notebook

DESCRIBED = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "spleen"}}
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def get(root: Path, folder: Path | str, *, source: str = "folder"):
    return fetch(root, source=source, folder=str(folder), cases=1, body_scale=0.4, seed=0, workers=1)


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A Decathlon folder with two cases, junk beside them and a file that no case uses."""
    folder = tmp_path / "Task50_Mine"
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
        for name in ("a", "b", "unused", "._a"):
            write_image(folder / part / f"{name}.nii.gz")
    listed = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in ("a", "b", "._a")]
    write(
        folder,
        DESCRIBED | {"licence": "mine", "training": listed},
    )
    return folder


def write_image(path: Path) -> None:
    """A ramp of 0 and 1 that is an image and a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.eye(4, dtype=np.uint8)[..., None], np.eye(4)), path)


def write(folder: Path, content: object) -> None:
    (folder / "dataset.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_a_folder_is_copied_not_linked_and_only_what_it_lists(tmp_path, task):
    root = tmp_path / "raw"
    records = get(root, task)
    assert records == [
        {"collection": "Task50_Mine", "layout": "decathlon", "origin": "user", "licence": "mine", "scans": 2}
    ]
    assert json.loads((root / "sources.json").read_text()) == records
    mine = root / "Task50_Mine"
    files = sorted(path.relative_to(mine).as_posix() for path in mine.rglob("*") if path.is_file())
    expected = ["dataset.json", *(f"{part}/{n}.nii.gz" for part in ("imagesTr", "labelsTr") for n in ("a", "b"))]
    assert files == expected
    assert not any(path.is_symlink() for path in root.rglob("*"))
    assert (root / "Task50_Mine/imagesTr/a.nii.gz").read_bytes() == (task / "imagesTr/a.nii.gz").read_bytes()


def test_a_link_to_a_folder_takes_the_name_of_its_target(tmp_path, task):
    link = tmp_path / "images"
    link.symlink_to(task)
    assert get(tmp_path / "raw", link)[0]["collection"] == "Task50_Mine"


def test_a_folder_of_several_tasks_becomes_several_collections(tmp_path, task):
    outer = tmp_path / "outer"
    outer.mkdir()
    task.rename(outer / "Task50_Mine")
    other = outer / "Task51_Other"
    write_image(other / "imagesTr" / "c.nii.gz")
    entry = {"image": "./imagesTr/c.nii.gz", "label": "./imagesTr/c.nii.gz"}
    write(other, DESCRIBED | {"training": [entry]})
    assert [r["collection"] for r in get(tmp_path / "raw", outer)] == ["Task50_Mine", "Task51_Other"]
    assert get(tmp_path / "again", outer)[1]["licence"] == "not stated"


@pytest.mark.parametrize("folder", ["", "/no/such/folder"])
def test_a_folder_that_is_not_there_is_refused(tmp_path, folder):
    with pytest.raises(DataError, match=r"fetch\.folder"):
        get(tmp_path / "raw", folder)


def test_a_folder_without_a_description_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"dataset\.json"):
        get(tmp_path / "raw", tmp_path / "empty")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{not json", "JSON"),
        ({"training": {}}, "training"),
        ([], "training"),
        ({"training": [{"image": "./imagesTr/a.nii.gz"}]}, "label"),
        ({"training": ["a"]}, "image"),
        ({"training": [{"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/a.nii.gz"}]}, "gone"),
        ({"training": [{"image": "../secret.nii.gz", "label": "./labelsTr/a.nii.gz"}]}, "secret"),
        ({"training": [{"image": "/etc/hostname", "label": "./labelsTr/a.nii.gz"}]}, "below this folder"),
    ],
)
def test_an_unusable_description_is_refused_and_nothing_is_written(tmp_path, task, content, message):
    write(task, DESCRIBED | content if isinstance(content, dict) else content)
    (tmp_path / "secret.nii.gz").write_bytes(b"secret")
    with pytest.raises(DataError, match=message):
        get(tmp_path / "raw", task)
    assert not [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]


def test_an_existing_collection_is_left_alone(tmp_path, task):
    get(tmp_path / "raw", task)
    with pytest.raises(DataError, match="Task50_Mine"):
        get(tmp_path / "raw", task)


def test_official_collections_say_how_to_get_them(tmp_path):
    with pytest.raises(DataError, match=r"semantiseg fetch FOLDER.*--from DOWNLOADS"):
        get(tmp_path / "raw", "", source="official")
    assert list((tmp_path / "raw").iterdir()) == []


def test_official_collections_are_copied_without_what_no_prompt_can_be_about(tmp_path):
    data, task = tmp_path / "data", tmp_path / "elsewhere" / "Task09_Spleen"
    for name in ("dataset.json", "imagesTr/a.nii.gz", "imagesTr/._a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/t.nii.gz"):
        (task / name).parent.mkdir(parents=True, exist_ok=True)
        (task / name).write_text(name)
    data.mkdir()
    (data / "Task09_Spleen").symlink_to(task)  # as `semantiseg fetch --from` lists a folder downloaded by hand
    record = {"collection": "Task09_Spleen", "layout": "decathlon", "origin": "official", "licence": "CC-BY-SA-4.0"}
    (data / "sources.json").write_text(json.dumps([record]))
    assert get(tmp_path / "raw", data, source="official") == [record]
    copied = {path.relative_to(tmp_path / "raw").as_posix() for path in (tmp_path / "raw").rglob("*") if path.is_file()}
    kept = {"dataset.json", "imagesTr/a.nii.gz", "labelsTr/a.nii.gz"}
    assert copied == {f"Task09_Spleen/{name}" for name in kept} | {"sources.json"}
    assert not any(path.is_symlink() for path in (tmp_path / "raw").rglob("*"))
    with pytest.raises(DataError, match="expected no such folder yet"):
        get(tmp_path / "raw", data, source="official")


def test_the_stage_fetch_reaches_no_network():
    root = Path(__file__).resolve().parents[2]
    reached = notebook.modules("import semantiseg.data.fetch, semantiseg.data.inspection", root=root)
    assert Path("semantiseg/data/fetch.py") in reached
    assert not [path for path in reached if "official" in path.parts]


def test_an_unknown_source_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="elsewhere"):
        get(tmp_path / "raw", "", source="elsewhere")


def test_phantoms_are_fetched_and_a_page_shows_every_channel(tmp_path):
    from semantiseg.data.inspection import page_of_cases

    root = tmp_path / "raw"
    records = get(root, "", source="phantom")
    assert len(records) == 12
    figure = page_of_cases(root)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 4 + 1 + 1 + 1 + 2 + 1 + 1 + 1 + 1 + 1 + 1 + 4
    assert all("phantom" in title for title in titles)
    import matplotlib.pyplot as plt

    plt.close(figure)


def test_the_page_of_a_users_folder_shows_anterior_up_and_right_on_the_left(tmp_path):
    import matplotlib.pyplot as plt

    from semantiseg.data.inspection import page_of_cases

    folder = SHARED / "Task101_AbdomenSlices"
    if not folder.exists():
        pytest.skip(f"real slices are not here: {folder}")
    get(tmp_path / "raw", folder)
    figure = page_of_cases(tmp_path / "raw", case=5)
    image = np.asarray(figure.axes[0].images[0].get_array())
    rows = np.flatnonzero((image > image.max() * 0.95).any(axis=1))
    assert np.median(rows) > image.shape[0] / 2, "bone (the spine) is posterior, so in the lower half of the picture"
    plt.close(figure)
