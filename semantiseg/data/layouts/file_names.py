"""Names of image files: what is a case's own name in them, and what only says the format or the channel."""

from __future__ import annotations

import os
import re
from pathlib import Path

_ENDINGS = re.compile(r"\.(nii\.gz|nii|mha|mhd|nrrd|nhdr|png|tiff?|jpe?g|bmp|img|hdr)$", re.IGNORECASE)


def stem(name: str) -> str:
    """A file's name without folder and format, in any case: `a/b.NII.GZ` -> `b`."""
    return _ENDINGS.sub("", Path(name).name)


def exists(path: Path) -> bool:
    """Whether there is such a file, or folder of slices; a name that no file can have is none (`Path` would raise)."""
    return os.path.isfile(path) or os.path.isdir(path)


def with_channel(path: Path, channel: int) -> Path:
    """nnU-Net's name of one channel: `case.nii.gz` -> `case_0000.nii.gz`."""
    own = stem(path.name)
    return path.with_name(f"{own}_{channel:04d}{path.name[len(own):]}")


def without_channel(own: str) -> str:
    """A stem without nnU-Net's channel number."""
    return re.sub(r"_\d{4}$", "", own)


def is_hidden(path: Path) -> bool:
    """AppleDouble files (`._*`) of the original tars, `.DS_Store` and the like are no images."""
    return path.name.startswith(".")
