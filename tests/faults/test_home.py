"""Surroundings: what the machine lacks never shows in a rendered notebook"""

from __future__ import annotations

import os

from faults.registry import Fault, tried

from semantiseg.pipeline import execution


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


def test_a_user_s_own_folder_is_used_where_it_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "mine"))
    with execution.kernel_environment(tmp_path):
        assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "mine")
