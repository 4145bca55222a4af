from __future__ import annotations

import ast
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from semantiseg.data import image_file
from semantiseg.errors import DataError


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, pixels: bytes = b"\0\0", bits: int = 8, colour: int = 0) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(pixels, 9)) + chunk(b"IEND", b"")


def stored(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (4, 3), 7).save(stream, kind)
    return stream.getvalue()


def read(path, formats=("PNG",)) -> np.ndarray:
    with image_file.opened_picture(path, formats=formats) as image:
        return np.asarray(image)


def test_a_picture_is_read_in_the_formats_that_are_allowed(tmp_path):
    (tmp_path / "a.png").write_bytes(stored("PNG"))
    (tmp_path / "a.jpg").write_bytes(stored("JPEG"))
    assert read(tmp_path / "a.png").shape == (3, 4)
    assert read(tmp_path / "a.jpg", ("PNG", "JPEG")).shape == (3, 4)


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "GIF", "BMP", "PPM", "JPEG", "PDF", "WEBP", "ICO"])
def test_another_format_named_png_is_refused_and_no_other_decoder_sees_it(tmp_path, kind):
    (tmp_path / "a.png").write_bytes(stored(kind))
    with pytest.raises(DataError, match="a.png: expected a complete PNG file"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("width, height", [(60_000, 60_000), (5_000, 5_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_a_picture_too_large_is_refused_by_its_header_before_anything_is_decoded(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png(width, height))
    tracemalloc.start()
    with pytest.raises(DataError, match="a.png: expected at most .* SEMANTISEG_MOST_PIXELS"):
        read(tmp_path / "a.png")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_the_bound_is_raised_by_a_variable(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(5_000, 5_000, bits=1, pixels=bytes(626 * 5_000)))
    monkeypatch.setenv("SEMANTISEG_MOST_PIXELS", "25000000")
    assert read(tmp_path / "a.png").shape == (5_000, 5_000)


def test_a_stream_that_unpacks_to_more_than_its_picture_is_read_no_further(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4, 3, pixels=bytes(300 << 20)))
    tracemalloc.start()
    try:
        read(tmp_path / "a.png")
    except DataError:
        pass
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


WHOLE = [stored("PNG"), png(4, 3, pixels=bytes(15)), stored("JPEG")]


FLIPS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6)


@given(st.sampled_from(WHOLE), FLIPS, st.integers(0, 9))
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_and_cuts_end_in_a_picture_or_a_typed_error(tmp_path, content, flips, cut):
    spoiled = bytearray(content)
    for place, value in flips:
        spoiled[place % len(spoiled)] = value
    (tmp_path / "a.png").write_bytes(bytes(spoiled[: len(spoiled) - cut]))
    try:
        read(tmp_path / "a.png", ("PNG", "JPEG"))
    except DataError as error:
        assert "a.png" in str(error)


def test_no_module_opens_a_picture_past_the_limits_and_the_list_of_formats():
    package = Path(image_file.__file__).parents[1]
    opens = {
        (path.relative_to(package).as_posix(), f"{node.func.value.id}.{node.func.attr}")
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
        if (node.func.value.id, node.func.attr) in {("Image", "open"), ("plt", "imread"), ("imageio", "imread")}
    }
    assert opens == {("data/image_file.py", "Image.open")}
