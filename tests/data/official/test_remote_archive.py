"""A tar on a server is indexed by its headers, without its contents."""

from __future__ import annotations

import tarfile

import pytest

from semantiseg.data.official.archives import tar_members
from semantiseg.data.official.transfer import Remote
from semantiseg.errors import DataError


@pytest.fixture
def remote(site):
    return Remote("the tar", lambda: f"{site.address}/a.tar")


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_members_lie_where_the_index_says(site, remote, line, form, tar_of):
    contents = {"T/dataset.json": b"{}", "T/._dataset.json": b"mac", f"T/{'long' * 20}/a.nii.gz": b"\1" * 700}
    site.files["/a.tar"] = archive = tar_of(contents, form=form)
    found = {item.name: archive[item.start : item.start + item.size] for item in tar_members(remote, line=line)}
    assert found == {name: content for name, content in contents.items() if "._" not in name}


def test_the_contents_of_large_members_are_not_read(site, remote, line, tar_of):
    site.files["/a.tar"] = archive = tar_of({f"T/{number}": bytes(1 << 20) for number in range(4)})
    assert len(list(tar_members(remote, line=line))) == 4
    read = sum(int(stop) - int(start) for _, text in site.asked if text
               for start, stop in [text.removeprefix("bytes=").split("-")])  # fmt: skip
    assert read < len(archive) / 8


def test_an_index_survives_cuts_and_bad_moods(site, remote, line, tar_of):
    site.files["/a.tar"] = tar_of({"T/a": b"1", "T/b": b"2"})
    site.faults["/a.tar"] = [("status", 503, {}), ("none",), ("cut", 600), ("status", 429, {"Retry-After": "1"})]
    assert [item.name for item in tar_members(remote, line=line)] == ["T/a", "T/b"]


def test_what_is_no_tar_and_a_server_without_ranges_are_told(site, remote, line):
    site.files["/a.tar"] = b"\x1f\x8b" + bytes(range(1, 250)) * 9
    with pytest.raises(DataError, match="expected an uncompressed tar"):
        list(tar_members(remote, line=line))
    site.ranges = False
    with pytest.raises(DataError, match="leave out the limit"):
        list(tar_members(remote, line=line))
