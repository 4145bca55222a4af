"""Surroundings: what the machine lacks never shows in a rendered notebook"""

from __future__ import annotations

import os

import tiny_project
from faults.registry import Fault, tried

from semantiseg.pipeline import execution, stage


@tried(
    *(
        Fault(f"{name} cannot be written", "matplotlib's folder is a temporary one, never named", "nothing", variables)
        for name, variables in {
            "MPLCONFIGDIR": ("MPLCONFIGDIR",),
            "The folder of settings": ("XDG_CONFIG_HOME",),
            "The folder of caches": ("XDG_CACHE_HOME",),
            "HOME": ("HOME",),
        }.items()
    )
)
def test_matplotlib_is_given_a_folder_that_can_be_written(tmp_path, monkeypatch, fault):
    for variable in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()  # a folder below a file cannot be made, by root neither
    for variable in fault.inject:
        monkeypatch.setenv(variable, str(tmp_path / "file/below"))
    with execution.kernel_environment(tmp_path):
        assert os.access(os.environ["MPLCONFIGDIR"].rpartition("/")[0], os.W_OK)


@tried(Fault("HOME, MPLCONFIGDIR and the folders of XDG cannot be written", "the same bytes are rendered", "nothing"))
def test_a_notebook_is_rendered_to_the_same_bytes_wherever_the_home_is(tiny, monkeypatch):
    root = tiny(tiny_project.TINY_CODE, "import matplotlib.pyplot as plt\nplt.plot([1, 2]);", tiny_project.TINY_END)
    stage.run("make", root=root)
    whole = (root / "data/rendered/01_make.ipynb").read_bytes()
    for variable in ("HOME", "MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, "/proc/nobody")  # where no user can make a folder, root neither
    stage.run("make", root=root)
    assert (root / "data/rendered/01_make.ipynb").read_bytes() == whole


def test_a_user_s_own_folder_is_used_where_it_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mine"))
    with execution.kernel_environment(tmp_path):
        assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "mine")
