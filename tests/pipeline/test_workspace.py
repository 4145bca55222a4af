"""A workspace is complete in itself, checked before anything is written, and sees the user's images change."""

from __future__ import annotations

import json

import pytest
from ruamel.yaml import YAML

from semantiseg import params
from semantiseg.data.layouts.reader import collection_folders
from semantiseg.errors import DataError, OutputError, ParameterError
from semantiseg.pipeline import runner

STAGES = """
stages:
  fetch:
    cmd: mkdir -p data && echo 1 > data/raw
    deps: [notebooks/01_make.ipynb]
    outs: [data/raw]
  prepare:
    cmd: cp data/raw data/volumes
    deps: [data/raw]
    outs: [data/volumes]
"""


@pytest.fixture
def project(tiny):
    root = tiny(stages=STAGES)
    (root / "semantiseg").mkdir()
    (root / "semantiseg/marks.yaml").write_text("mark: 1\n")
    (root / "semantiseg/__pycache__").mkdir()
    (root / "claims.yaml").write_text("[]\n")
    return root


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "MyTask"
    folder.mkdir()
    (folder / "dataset.json").write_text("{}")
    return folder


def create(project, tmp_path, **options):
    options = {"profile": "smoke"} | options
    return runner.create(tmp_path / "work", project=project, **options)


def test_a_workspace_holds_sources_pipeline_and_checked_parameters(project, tmp_path):
    folder = create(project, tmp_path, settings=["train.steps=3", "models=[token]"])
    names = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and ".dvc/" not in str(path)
    }
    assert names >= {"dvc.yaml", "params.yaml", "claims.yaml", "notebooks/01_make.ipynb", "semantiseg/marks.yaml"}
    assert not any("__pycache__" in name for name in names)
    values = params.load(folder / "params.yaml")
    assert (values.profile, values.train.steps, values.models) == ("smoke", 3, ["token"])
    assert "# PyTorch threads" in (folder / "params.yaml").read_text(), "comments of the profile are lost"
    config = (folder / ".dvc/config").read_text()
    assert "no_scm = True" in config and "analytics = false" in config


def test_a_second_time_sources_are_renewed_and_the_cache_is_kept(project, tmp_path):
    folder = create(project, tmp_path)
    (folder / ".dvc/cache").mkdir(exist_ok=True)
    (folder / ".dvc/cache/kept").touch()
    (folder / "semantiseg/dead.py").touch()
    (project / "semantiseg/marks.yaml").write_text("mark: 2\n")
    create(project, tmp_path, settings=["seed=5"])
    assert (folder / ".dvc/cache/kept").exists() and not (folder / "semantiseg/dead.py").exists()
    assert (folder / "semantiseg/marks.yaml").read_text() == "mark: 2\n"
    assert params.load(folder / "params.yaml").seed == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "dmo"}, "demo"),
        ({"settings": ["train.stepps=3"]}, "train.stepps"),
        ({"settings": ["train.steps"]}, "train.steps"),
        ({"settings": ["train.steps=many"]}, "train.steps"),
        ({"settings": ["train.steps=[1"]}, "YAML value"),
        ({"settings": ["train=3"]}, "train"),
        ({"settings": ["prepare.mapping=absent.yaml"]}, "prepare.mapping.*absent.yaml"),
        ({"settings": ["prepare.patient_table=absent.csv"]}, "prepare.patient_table.*absent.csv"),
        ({"profile": "own"}, "your images.*DATA"),
    ],
)
def test_wrong_options_are_named_and_nothing_is_written(project, tmp_path, options, message):
    with pytest.raises(ParameterError, match=message):
        create(project, tmp_path, **options)
    assert not (tmp_path / "work").exists()


def test_images_are_linked_and_a_dependency_of_fetch(project, tmp_path, images):
    folder = create(project, tmp_path, profile="own", data=images)
    fetch = params.load(folder / "params.yaml").fetch
    assert (fetch.source, fetch.folder) == ("folder", "images")
    assert (folder / "images/dataset.json").samefile(images / "dataset.json")
    deps = YAML(typ="safe").load((folder / "dvc.yaml").read_text())["stages"]["fetch"]["deps"]
    assert deps[-1] == "images" and str(images) not in (folder / "params.yaml").read_text()


def test_changed_images_make_fetch_stale_and_unchanged_ones_do_not(project, tmp_path, images):
    folder = create(project, tmp_path, profile="own", data=images)
    assert runner.dvc("repro", "-q", "fetch", root=folder).returncode == 0

    def changed() -> str:
        return json.loads(runner.dvc("status", "--json", "fetch", root=folder, capture=True).stdout)

    assert changed() == {}
    (images / "dataset.json").write_text('{"changed": true}')
    assert "images" in json.dumps(changed())


@pytest.mark.parametrize(("key", "copy"), runner.COPIES.items())
def test_a_named_file_is_copied_and_a_dependency_of_who_reads_it(project, tmp_path, key, copy):
    (tmp_path / "named").write_text("Leber: liver\n")
    folder = create(project, tmp_path, settings=[f"prepare.{key}={tmp_path / 'named'}"])
    assert (folder / copy).read_text() == "Leber: liver\n"
    assert getattr(params.load(folder / "params.yaml").prepare, key) == copy
    stages = YAML(typ="safe").load((folder / "dvc.yaml").read_text())["stages"]
    assert stages["fetch"]["deps"][-1] == stages["prepare"]["deps"][-1] == copy


def test_several_folders_are_linked_by_their_names_and_each_is_a_dependency_of_fetch(project, tmp_path, images):
    other = tmp_path / "Other Task"
    other.mkdir()
    (other / "dataset.json").write_text("{}")
    folder = create(project, tmp_path, profile="own", data=f"{images} '{other}'")
    assert collection_folders(str(folder / "images")) == sorted([images.resolve(), other.resolve()])
    deps = YAML(typ="safe").load((folder / "dvc.yaml").read_text())["stages"]["fetch"]["deps"]
    assert deps[-2:] == ["images/MyTask", "images/Other Task"]
    assert runner.dvc("repro", "-q", "fetch", root=folder).returncode == 0
    (other / "dataset.json").write_text('{"changed": true}')
    assert "Other Task" in runner.dvc("status", "--json", "fetch", root=folder, capture=True).stdout


def test_a_folder_of_collections_stands_for_all_of_them(project, tmp_path, images):
    (tmp_path / "all").mkdir()
    images.rename(tmp_path / "all/A")
    (tmp_path / "all/B").mkdir()
    (tmp_path / "all/B/dataset.json").write_text("{}")
    folder = create(project, tmp_path, profile="own", data=tmp_path / "all")
    assert sorted(path.name for path in (folder / "images").iterdir()) == ["A", "B"]
    create(project, tmp_path, profile="own", data=tmp_path / "all/B")
    assert (folder / "images").samefile(tmp_path / "all/B"), "links of an earlier run are kept"
    assert (tmp_path / "all/A/dataset.json").exists(), "the user's own images were removed with the links"


def test_a_folder_without_dataset_is_refused(project, tmp_path):
    with pytest.raises(DataError, match=r"dataset.json in .*got none.*name the folder"):
        create(project, tmp_path, profile="own", data=tmp_path)


def test_a_folder_with_other_files_is_left_alone(project, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/mine.txt").touch()
    with pytest.raises(OutputError, match="other files"):
        create(project, tmp_path)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["mine.txt"]


def test_default_folders_are_named_for_profile_and_images(tmp_path):
    assert runner.default_folder("smoke", data=None).as_posix() == "workspaces/smoke"
    assert runner.default_folder("own", data=tmp_path / "MyTask").as_posix() == "workspaces/own-MyTask"
    assert runner.default_folder("own", data="data/A b/C").as_posix() == "workspaces/own-A+C"
