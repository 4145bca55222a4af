"""A file arrives whole and right, or not at all, whatever the server does."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from email.utils import formatdate

import pytest

from semantiseg.data.official import transfer
from semantiseg.data.official.transfer import Remote, download, retry_after
from semantiseg.errors import DataError

CONTENT = bytes(range(256)) * 200
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def get(site, line, tmp_path):
    """Fetches /file (or a stretch of it) with little patience; returns what arrived."""
    site.files["/file"] = CONTENT

    def call(*, progress=lambda count: None, **remote):
        target = tmp_path / "file.bin"
        described = Remote("the file", lambda: f"{site.address}/file", **remote)
        download(described, target, line=dataclasses.replace(line, progress=progress))
        assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]
        return target.read_bytes()

    return call


def test_a_file_arrives_as_it_is(get, site):
    assert get(checksum=MD5) == CONTENT
    assert site.asked == [("/file", "")]


def test_after_a_cut_only_the_rest_is_asked_for(get, site, waits):
    site.faults["/file"] = [("cut", 20_000), ("cut", 5_000)]
    assert get(checksum=MD5) == CONTENT
    assert site.requests("/file") == ["", "bytes=20000-", "bytes=25000-"]
    assert len(waits) == 2


def test_cuts_without_end_are_survived_as_long_as_bytes_arrive(get, site):
    site.faults["/file"] = [("cut", 3000)] * 17
    assert get() == CONTENT


def test_cuts_that_bring_nothing_end_the_transfer_and_keep_what_arrived(get, site, tmp_path):
    site.faults["/file"] = [("cut", 20_000)] + [("cut", 10)] * 9
    with pytest.raises(DataError, match="the file: expected to fetch it, got .* at the 4. try. What arrived is kept"):
        get()
    assert (tmp_path / ".file.bin.partial").stat().st_size == 20_030
    site.faults.clear()
    assert get() == CONTENT
    assert site.asked[-1] == ("/file", "bytes=20030-")


def test_what_a_killed_process_left_is_not_gone_on_with_when_the_file_has_changed(get, site, tmp_path):
    site.faults["/file"] = [("cut", 20_000)] + [("status", 404, {})]
    with pytest.raises(DataError):
        get()
    site.files["/file"] = changed = CONTENT[::-1]
    assert get() == changed


def test_without_entity_tag_and_checksum_a_cut_file_is_fetched_from_the_start(get, site):
    site.tags = False
    site.faults["/file"] = [("cut", 20_000)]
    assert get() == CONTENT
    assert site.requests("/file") == ["", ""]


def test_wrong_bytes_are_fetched_once_more_and_then_refused(get, site, tmp_path):
    site.faults["/file"] = [("wrong", CONTENT[::-1])]
    assert get(checksum=MD5) == CONTENT
    (tmp_path / "file.bin").unlink()
    site.faults["/file"] = [("wrong", CONTENT[::-1])] * 2
    with pytest.raises(DataError, match=f"expected {MD5}, got md5:.* twice"):
        get(checksum=MD5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_not_asked_again_and_names_the_remedy(get, site, waits, status):
    site.faults["/file"] = [("status", status, {})]
    with pytest.raises(DataError, match=f"the file: expected the file, got status {status}. Ask for access."):
        get(remedy="Ask for access.")
    assert len(site.asked) == 1 and waits == []


def test_416_at_the_end_of_another_file_starts_anew(get, site, tmp_path):
    (tmp_path / ".file.bin.partial").write_bytes(b"x" * (len(CONTENT) + 5))
    assert get(checksum=MD5) == CONTENT
    assert site.requests("/file") == [f"bytes={len(CONTENT) + 5}-", ""]


def test_416_for_a_stretch_beyond_the_end_says_how_long_the_file_is(get):
    with pytest.raises(DataError, match=f"got a file of {len(CONTENT)} bytes"):
        get(start=len(CONTENT), stop=len(CONTENT) + 10)


def test_429_waits_as_long_as_the_server_says(get, site, waits):
    site.faults["/file"] = [("status", 429, {"Retry-After": "7"}), ("status", 503, {})]
    assert get() == CONTENT
    assert waits == [7.0, 1.0]


def test_a_wait_beyond_patience_ends_the_transfer_instead_of_disobeying(get, site, waits):
    site.faults["/file"] = [("status", 429, {"Retry-After": "3600"})]
    with pytest.raises(DataError, match="status 429"):
        get()
    assert waits == []


def test_retry_after_may_be_a_date_or_nonsense():
    assert 25 < retry_after(formatdate(time.time() + 30, usegmt=True)) <= 30
    assert retry_after("soon") is None and retry_after("") is None


def test_a_slow_drip_is_given_up_and_gone_on_with(get, site):
    site.faults["/file"] = [("drip", 0.002)]
    assert get() == CONTENT
    assert len(site.asked) == 2


def test_a_silent_server_is_given_up(get, site):
    site.faults["/file"] = [("silence", 5)]
    started = time.monotonic()
    assert get() == CONTENT
    assert time.monotonic() - started < 3 and len(site.asked) == 2


def test_a_server_without_ranges_sends_everything_again(get, site):
    site.ranges = False
    site.faults["/file"] = [("cut", 20_000)]
    assert get(checksum=MD5) == CONTENT


def test_a_stretch_is_exactly_those_bytes(get, site):
    site.faults["/file"] = [("cut", 100)]
    assert get(start=1000, stop=1500) == CONTENT[1000:1500]
    assert site.requests("/file") == ["bytes=1000-1499", "bytes=1100-1499"]


def test_a_stretch_from_a_server_without_ranges_is_refused_before_a_byte_is_written(get, site, tmp_path):
    site.ranges = False
    with pytest.raises(DataError, match="expected a server that answers range requests"):
        get(start=1000, stop=1500)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_with_another_stretch_than_asked_is_not_written(get, site):
    site.faults["/file"] = [("shift", 3)]
    assert get(start=1000, stop=1500) == CONTENT[1000:1500]


def test_another_size_than_promised_is_refused(get):
    with pytest.raises(DataError, match=f"expected 7 bytes, got {len(CONTENT)}"):
        get(size=7)


def test_progress_adds_up_to_the_file_whatever_happened(get, site):
    told = []
    site.faults["/file"] = [("cut", 20_000), ("wrong", CONTENT[::-1]), ("cut", 9_000)]
    get(checksum=MD5, progress=told.append)
    assert sum(told) == len(CONTENT) and min(told) < 0


def test_a_full_disk_is_told_before_it_is_full(get, monkeypatch, tmp_path):
    free = type("Usage", (), {"free": transfer.SPARE + len(CONTENT) - 1})
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: free)
    with pytest.raises(DataError, match="GiB free for the file, got 1.0 GiB. Free some space"):
        get()
    assert not (tmp_path / "file.bin").exists()
