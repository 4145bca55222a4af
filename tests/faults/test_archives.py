"""Archives, answers and tokens of official collections that are not what they say."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile

import httpx
import pytest
from faults.registry import Fault, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantiseg.data.official import fetch, sources
from semantiseg.data.official.archives import unpack_tar, unpack_zip
from semantiseg.data.official.registry import Addresses, Archive
from semantiseg.data.official.transfer import Line, Patience, Remote, text_of
from semantiseg.errors import DataError, ParameterError
from semantiseg.secret import Secret

TOKEN = "eyJ0eXAiOiJKV1Qi-Zq7x_Kd93Lm"
ALL = "nothing is unpacked; the archive is named"
AGAIN = "remove it and fetch it again"


def sparse(size: int) -> bytes:
    """A tar with one GNU sparse file of `size` bytes that are all zeros."""
    item = tarfile.TarInfo("T/imagesTr/a.nii.gz")
    item.type = tarfile.GNUTYPE_SPARSE
    block = bytearray(item.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"%011o\0" % 0 + b"%011o\0" % 0
    block[483:495] = b"\x80" + size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


def header_of(kind: bytes, size: int) -> bytes:
    """A tar whose first header has an extension of `size` bytes, which are not there."""
    item = tarfile.TarInfo("././@LongLink")
    item.type, item.size = kind, size
    return item.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


def pax_sparse() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        item = tarfile.TarInfo("T/a")
        item.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(40 << 30), "GNU.sparse.name": "T/a"}
        archive.addfile(item)
    return stream.getvalue()


def both() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("T/a", "T/a/b"):
            archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


@tried(
    Fault("A sparse tar of 40 GB in 2 KB", ALL, AGAIN, sparse(40 << 30)),
    Fault("A sparse tar of 40 GB by PAX headers", ALL, AGAIN, pax_sparse()),
    Fault("A tar with a name of 8 GB", ALL, AGAIN, header_of(tarfile.GNUTYPE_LONGNAME, 8 << 30)),
    Fault("A tar with PAX records of 8 GB", ALL, AGAIN, header_of(tarfile.XHDTYPE, 8 << 30)),
    Fault("A tar with PAX records of a negative size", ALL, AGAIN, header_of(tarfile.XHDTYPE, -(1 << 40))),
    Fault("A tar with a member that is both a file and a folder", ALL, AGAIN, both()),
)
def test_a_tar_that_is_not_what_it_says_unpacks_to_nothing(tmp_path, fault):
    path = tmp_path / "a.tar"
    path.write_bytes(fault.inject)
    tracemalloc.start()
    with pytest.raises(DataError, match="a.tar"):
        unpack_tar(path, tmp_path / "out", wanted=lambda name: True)
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert [item.name for item in tmp_path.iterdir()] == ["a.tar"]


def zipped(*, size: int | None = None, flags: int = 0, content: bytes = b"x" * 1000) -> bytes:
    """A zip of one file; its listed size and flags may lie."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/BraTS-GLI-1/BraTS-GLI-1-t1n.nii.gz", content)
    spoiled = bytearray(stream.getvalue())
    listed = spoiled.index(b"PK\x01\x02")
    if size is not None:
        spoiled[listed + 24 : listed + 28] = struct.pack("<I", size)
    for place in (6, listed + 8):
        spoiled[place] |= flags
    return bytes(spoiled)


@tried(
    Fault("A zip that says it unpacks to 4 GB", ALL, AGAIN, zipped(size=2**32 - 2)),
    Fault("An encrypted zip", ALL, AGAIN, zipped(flags=1)),
    Fault("A zip whose member is shorter than it says", ALL, AGAIN, zipped(size=2000)),
)
def test_a_zip_that_is_not_what_it_says_unpacks_to_nothing(tmp_path, fault):
    path = tmp_path / "a.zip"
    path.write_bytes(fault.inject)
    with pytest.raises(DataError, match="a.zip"):
        unpack_zip(path, tmp_path / "out", wanted=lambda name: True)
    assert [item.name for item in tmp_path.iterdir()] == ["a.zip"]


@tried(Fault("An archive of more members than any collection has", ALL, "raise SEMANTISEG_MOST_MEMBERS if it is right"))
def test_members_are_counted_and_the_bound_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(5):
            archive.addfile(tarfile.TarInfo(f"T/{number}"))
    monkeypatch.setenv("SEMANTISEG_MOST_MEMBERS", "4")
    with pytest.raises(DataError, match="at most 4 files.*SEMANTISEG_MOST_MEMBERS"):
        unpack_tar(path, tmp_path / "out", wanted=lambda name: True)
    monkeypatch.setenv("SEMANTISEG_MOST_MEMBERS", "5")
    assert len(unpack_tar(path, tmp_path / "out", wanted=lambda name: True)) == 5


@tried(Fault("A gzip bomb in place of an image", "it is read to a bound and refused", "raise SEMANTISEG_MOST_VOXELS"))
def test_a_gzip_bomb_is_not_unpacked_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setenv("SEMANTISEG_MOST_VOXELS", str(1 << 20))
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(DataError, match="a.nii.gz unpacked: expected at most"):
        fetch._require_whole_gzip(path)


FLIPS = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=5)


@given(st.integers(0, 3), FLIPS, st.integers(0, 700))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_and_cuts_of_an_archive_end_in_files_or_a_typed_error(tmp_path, kind, flips, cut):
    whole = [both(), pax_sparse(), zipped(), sparse(1 << 20)][kind]
    spoiled = bytearray(whole)
    for place, value in flips:
        spoiled[place % len(spoiled)] = value
    path = tmp_path / "archive"
    path.write_bytes(bytes(spoiled[: len(spoiled) - cut]))
    unpack = unpack_zip if kind == 2 else unpack_tar
    try:
        unpack(path, tmp_path / "in/out", wanted=lambda name: True)
    except DataError as error:
        assert "archive" in str(error)
    assert {item.name for item in tmp_path.iterdir()} <= {"archive", "in"}


def line(handler, **patience) -> Line:
    client = httpx.Client(transport=httpx.MockTransport(handler), follow_redirects=True)
    return Line(client, Patience(failures=2, backoff_s=0, **patience), sleep=lambda seconds: None)


@tried(Fault("A listing of a collection that never ends", "it is read to a bound and refused", "fetch it by hand"))
def test_an_answer_of_text_is_bounded():
    def endless():
        while True:
            yield b" " * (1 << 16)

    asked = line(lambda request: httpx.Response(200, content=endless()), largest_text=1 << 20)
    with pytest.raises(DataError, match="at most 1048576 bytes"):
        text_of(Remote("a listing", lambda: "http://127.0.0.1/a"), line=asked)


def synapse(answer, token: str = TOKEN) -> sources._Synapse:
    where = Addresses(synapse="http://127.0.0.1", synapse_files="http://127.0.0.1")
    return sources._Synapse(where, Secret(token, name="SYNAPSE_AUTH_TOKEN"), line(answer))


@tried(
    *(
        Fault(f"Synapse's answer repeats the token {how}", "nothing of the answer is used or kept", "withdraw it", echo)
        for how, echo in {
            "as it is": TOKEN, "reversed": TOKEN[::-1], "in upper case": TOKEN.upper(), "cut": TOKEN[5:14],
        }.items()
    )
)  # fmt: skip
def test_a_token_that_synapse_repeats_goes_nowhere(fault):
    for body in ({"dataFileHandleId": fault.inject}, {"requestedFiles": [{"failureCode": fault.inject}]}):
        with pytest.raises(DataError, match="repeats a part of the token") as caught:
            synapse(lambda request, body=body: httpx.Response(200, json=body)).file(Archive("syn1", None, ""))
        assert not Secret(TOKEN, name="x").shows_in(str(caught.value).replace("token", ""))


@tried(Fault("A line end after SYNAPSE_AUTH_TOKEN", "it is dropped", "nothing", f" {TOKEN}\r\n"))
def test_a_line_end_after_a_token_is_dropped(fault):
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"dataFileHandleId": "1", "requestedFiles": [{}]})

    synapse(answer, fault.inject).file(Archive("syn1", None, ""))
    assert set(seen) == {f"Bearer {TOKEN}"}


@tried(Fault("A line end inside a token", "a sentence names the variable and shows nothing of it", "set it again"))
def test_a_line_end_inside_a_token_is_refused_without_showing_it():
    with pytest.raises(ParameterError, match="SYNAPSE_AUTH_TOKEN") as caught:
        Secret(f"{TOKEN[:9]}\n{TOKEN[9:]}", name="SYNAPSE_AUTH_TOKEN")
    assert TOKEN[:6] not in str(caught.value)


@tried(Fault("Synapse answers 200,000 brackets", "a sentence says it is no JSON", "fetch the archives by hand"))
def test_brackets_are_no_json():
    with pytest.raises(DataError, match="expected JSON"):
        synapse(lambda request: httpx.Response(200, content=b"[" * 200_000)).file(Archive("syn1", None, ""))
