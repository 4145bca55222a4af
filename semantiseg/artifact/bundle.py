"""The DVC cache of a commit as one archive, and back from it: results without training, where somebody hosts a file.

The archive is an uncompressed tar of one folder: `bundle.json` (commit, outputs with their checksums), `SHA256SUMS`
(`sha256sum --check` reads it), and the cache's objects under the names that DVC gives them. Equal caches give equal
bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semantiseg import files
from semantiseg.artifact import published, verify
from semantiseg.data.official.archives import unpack_tar
from semantiseg.errors import DataError, StageError
from semantiseg.pipeline import mending, runner
from semantiseg.pipeline.execution import dvc

_FOLDER, _ABOUT, _SUMS = "semantiseg-bundle", "bundle.json", "SHA256SUMS"
_OBJECT = re.compile(r"md5/([0-9a-f]{2})/([0-9a-f]{30})(\.dir)?")
"""Name of an object in a bundle: its MD5, a folder's list of files with the ending that DVC gives it."""
_RAW = Path("data/raw")


def write_bundle(root: Path, output: Path) -> int:
    """Write the objects of every output that dvc.lock records and the cache keeps; return their number.

    Args:
        root: a project that was run.
        output: the archive, ending in .tar.

    Raises:
        OutputError: something else bears the archive's name.
        DataError: an object is absent or spoilt, or the run was one on images of others: their terms need not allow
            that they are passed on; nothing is written.
    """
    if output.suffix != ".tar":
        raise DataError(f"{output}: expected a name ending in .tar. Choose such a name.")
    files.check_file(output, inputs=[root / ".dvc", root / "data"], opening=_FOLDER.encode())
    kept, cache = _kept(root), _cache(root)
    _require_phantoms(cache, kept)
    objects = {name: _place(cache, name) for md5 in kept.values() for name in _objects(cache, md5)}
    sums = {name: str(files.fingerprint(_sound(path, name))) for name, path in sorted(objects.items())}
    about = {"commit": verify.commit(root), "outputs": {path.as_posix(): md5 for path, md5 in sorted(kept.items())}}
    small = {
        _ABOUT: (json.dumps(about, indent=1) + "\n").encode(),
        _SUMS: "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode(),
    }
    with files.complete(output) as [partial], tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in small.items():
            archive.addfile(_member(name, len(content)), io.BytesIO(content))
        for name in sums:
            with objects[name].open("rb") as stream:
                archive.addfile(_member(name, objects[name].stat().st_size), stream)
    return len(sums)


def restore(bundle: Path, root: Path) -> int:
    """Put a bundle's objects into the cache of `root` and its outputs into their places; return the objects' number.

    Nothing is put anywhere before every name and checksum was looked at.

    Raises:
        DataError: no bundle, one that is damaged or hostile, or one of another commit's results.
        StageError: DVC did not put the outputs into place, as where files of the user's lie there.
    """
    if not bundle.is_file():
        raise DataError(f"{bundle}: expected a bundle that `semantiseg bundle` wrote, got no file. Give its path.")
    cache = _cache(root)
    cache.mkdir(parents=True, exist_ok=True)
    # On the cache's own disk, so that objects are moved and never half copied.
    with mending.alone(root), tempfile.TemporaryDirectory(dir=cache.parent, prefix="bundle-") as scratch:
        folder = Path(scratch) / _FOLDER
        names = {path.relative_to(folder).as_posix() for path in unpack_tar(bundle, folder, wanted=lambda name: True)}
        outputs = _require_same_results(bundle, folder, root)
        sums = _listed(bundle, folder)
        if names != {_ABOUT, _SUMS, *sums}:
            raise DataError(_damaged(bundle, f"{len(names ^ {_ABOUT, _SUMS, *sums})} files more or fewer than listed"))
        for name, digest in sums.items():
            if files.fingerprint(folder / name) != digest or not _is_object(folder / name, name):
                raise DataError(_damaged(bundle, f"another content of {name}"))
        for name in sums:
            (folder / name).chmod(0o444)  # as DVC protects what it keeps
            files.replace(folder / name, _place(cache, name))
        if dvc("checkout", "--quiet", *outputs, root=root).returncode:
            raise StageError(f"{root}: expected DVC to put the outputs in place, got an error, which stands above.")
    return len(sums)


def _kept(root: Path) -> dict[Path, str]:
    """Outputs in the cache -> MD5, as dvc.lock records them; what Git keeps is not among them."""
    cached = {Path(out.def_path) for stage in runner.stages(root).values() for out in stage.outs if out.use_cache}
    return {path: out.md5 for path, out in published.outputs(root).items() if path in cached}


def _cache(root: Path) -> Path:
    """Folder of DVC's objects, wherever the project keeps it."""
    from dvc.repo import Repo  # two seconds to import

    with Repo(str(root)) as repo:
        return Path(repo.cache.local.path)


def _objects(cache: Path, md5: str) -> list[str]:
    """Names of the objects of one output: a folder's list and its files, or one file."""
    return [_name(md5), *(_name(entry["md5"]) for entry in _entries(cache, md5))]


def _name(md5: str) -> str:
    return f"md5/{md5[:2]}/{md5[2:]}"


def _place(cache: Path, name: str) -> Path:
    """Where the cache keeps the object of a name; its folder already is the `md5/` of the name."""
    return cache / name.partition("/")[2]


def _entries(cache: Path, md5: str) -> list[Mapping[str, str]]:
    if not md5.endswith(".dir"):
        return []
    path = _sound(_place(cache, _name(md5)), _name(md5))
    entries: list[Mapping[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def _sound(path: Path, name: str) -> Path:
    """An object of this project's cache.

    Raises:
        DataError: it is not there, or is damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: expected an object of DVC's cache, got none. Run `semantiseg reproduce` first.")
    if not _is_object(path, name):
        raise DataError(f"{path}: expected the content that its name says, got another. Remove it and run again.")
    return path


def _is_object(path: Path, name: str) -> bool:
    """Has the file the MD5 that the object is named for?"""
    parts = _OBJECT.fullmatch(name)
    if parts is None:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest() == parts[1] + parts[2]


def _require_phantoms(cache: Path, kept: Mapping[Path, str]) -> None:
    for entry in _entries(cache, kept[_RAW]) if _RAW in kept else []:
        if entry["relpath"] == "sources.json":
            path = _sound(_place(cache, _name(entry["md5"])), _name(entry["md5"]))
            found = json.loads(path.read_text(encoding="utf-8"))
            others = sorted(item["collection"] for item in found if item["origin"] != "phantom")
            if others:
                raise DataError(
                    f"{_RAW}: expected phantoms, got images of {others}. A bundle holds images, and their terms need "
                    "not allow that: share with your own group through a DVC remote (docs/publish_artifacts.md)."
                )


def _require_same_results(bundle: Path, folder: Path, root: Path) -> list[str]:
    """The bundle's outputs, which must be those that dvc.lock here records."""
    try:
        about: Any = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        outputs, commit = dict(about["outputs"]), str(about["commit"])[:40]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(_damaged(bundle, f"no readable {_ABOUT} ({type(error).__name__})")) from None
    here = {path.as_posix(): md5 for path, md5 in _kept(root).items()}
    if outputs != here:
        apart = sorted(name for name in {*outputs, *here} if outputs.get(name) != here.get(name))
        raise DataError(
            f"{bundle}: expected the results that dvc.lock here records, got others of commit {commit} ({apart[:3]}). "
            "Check that commit out, or take its own bundle."
        )
    return sorted(outputs)


def _listed(bundle: Path, folder: Path) -> dict[str, str]:
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError):
        raise DataError(_damaged(bundle, f"no readable {_SUMS}")) from None


def _damaged(bundle: Path, found: str) -> str:
    return f"{bundle}: expected a bundle as `semantiseg bundle` writes it, got {found}. Fetch it again."


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(f"{_FOLDER}/{name}")
    member.size, member.mode, member.mtime = size, 0o644, 0
    return member
