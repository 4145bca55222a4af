"""An archive puts files into its folder and nothing anywhere else."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from semantiseg.data.official.archives import unpack_tar, unpack_zip
from semantiseg.errors import DataError


def tar(path, *items):
    with tarfile.open(path, "w") as archive:
        for item, content in items:
            item = tarfile.TarInfo(item) if isinstance(item, str) else item
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    return path


def link(name, target, kind=tarfile.SYMTYPE):
    item = tarfile.TarInfo(name)
    item.type, item.linkname = kind, target
    return item


HOSTILE = {
    "absolute": "/etc/evil", "upwards": "T/../../evil", "link": link("T/link", "/etc"),
    "hard link": link("T/hard", "/etc/passwd", tarfile.LNKTYPE), "device": link("T/dev", "", tarfile.CHRTYPE),
}  # fmt: skip


@pytest.mark.parametrize("item", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_tar_writes_nothing(tmp_path, item):
    archive = tar(tmp_path / "a.tar", ("T/good", b"good"), (item, b""))
    with pytest.raises(DataError, match="not the publisher's archive"):
        unpack_tar(archive, tmp_path / "out", wanted=lambda name: True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_a_cut_tar_leaves_no_half_folder(tmp_path):
    archive = tar(tmp_path / "a.tar", ("T/a", b"1" * 5000), ("T/b", b"2" * 5000))
    archive.write_bytes(archive.read_bytes()[:7000])
    with pytest.raises(DataError, match="expected a whole archive"):
        unpack_tar(archive, tmp_path / "out", wanted=lambda name: True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def zipped(path, contents, *, mode=0o100644):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            item = zipfile.ZipInfo(name)
            item.external_attr = mode << 16
            archive.writestr(item, content)
    return path


def test_a_later_zip_corrects_an_earlier_one_and_leaves_the_rest(tmp_path):
    first = zipped(tmp_path / "1.zip", {"data_v1/c1/c1-seg.nii.gz": b"old", "data_v1/c2/c2-seg.nii.gz": b"2"})
    second = zipped(tmp_path / "2.zip", {"fixed/c1/c1-seg.nii.gz": b"new"})
    out = tmp_path / "out"
    unpack_zip(first, out, wanted=lambda name: True)
    assert unpack_zip(second, out, wanted=lambda name: True) == [out / "c1/c1-seg.nii.gz"]
    assert (out / "c1/c1-seg.nii.gz").read_bytes() == b"new" and (out / "c2/c2-seg.nii.gz").read_bytes() == b"2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.zip", "2.zip", "out"]


@pytest.mark.parametrize(
    ("contents", "mode"),
    [({"../evil": b""}, 0o100644), ({"a/../../evil": b""}, 0o100644), ({"/evil": b""}, 0o100644),
     ({"..\\evil": b""}, 0o100644), ({"a/link": b"/etc"}, 0o120777)],
)  # fmt: skip
def test_a_hostile_zip_writes_nothing(tmp_path, contents, mode):
    archive = zipped(tmp_path / "a.zip", contents, mode=mode)
    with pytest.raises(DataError, match="not the publisher's archive"):
        unpack_zip(archive, tmp_path / "out", wanted=lambda name: True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_damaged_zip_is_told(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"c/a": bytes(range(256)) * 50})
    content = bytearray(archive.read_bytes())
    content[60:80] = b"\0" * 20
    archive.write_bytes(content)
    with pytest.raises(DataError, match="expected a whole archive"):
        unpack_zip(archive, tmp_path / "out", wanted=lambda name: True)
    assert not (tmp_path / "out").exists()
