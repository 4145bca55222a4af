"""MODEL_CARD.md: the released model in the usual headings, numbers from metrics.json and the run's record.

One archive for an archival DOI: the committed project with prompts and the default model in their places.

The archive holds what Git's HEAD holds, the outputs named in `DATA` as dvc.lock records them, MODEL_CARD.md,
release.json and MANIFEST.sha256 (checked by `sha256sum --check`). Equal commits and data give equal bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from semantiseg import __version__, markup
from semantiseg.artifact import published
from semantiseg.artifact.numbers import read_metrics
from semantiseg.artifact.published import outputs
from semantiseg.artifact.verify import read_run
from semantiseg.errors import DataError
from semantiseg.files import check_file
from semantiseg.paper import style
from semantiseg.paper.table_text import interval, number, percent
from semantiseg.params import read_yaml
from semantiseg.recipes import recipe_of

TEMPLATE = Path("docs/model_card.md")
MODEL = "token"
"""The default model: the one that dvc.yaml registers under `artifacts`."""


def model_card(root: Path, *, model: str = MODEL) -> str:
    """The card of one trained model, from the template docs/model_card.md.

    Raises:
        DataError: the metrics hold no such model, or the template names a value that nobody fills.
    """
    metrics, parameters = read_metrics(root), read_yaml(root / "params.yaml")
    if model not in metrics["models"]:
        raise DataError(f"metrics.json: expected the model {model!r}, got {sorted(metrics['models'])}. Train it first.")
    values = _values(metrics, parameters, model=model) | _cost(root, model=model)
    text = (root / TEMPLATE).read_text(encoding="utf-8")
    try:
        return Template(text).substitute(values)
    except KeyError as error:
        raise DataError(
            f"{TEMPLATE}: expected names among {sorted(values)}, got {error}. Correct the template."
        ) from None


def _values(metrics: dict[str, Any], parameters: Any, *, model: str) -> dict[str, str]:
    found, bench = metrics["models"][model], metrics["bench"]
    return {
        "version": __version__,
        "model": model,
        "label": recipe_of(model).label,
        "origin": style.origin_name(bench["origins"]),
        "interval": metrics["interval"],
        "resamples": str(metrics["resamples"]),
        "seed": str(metrics["seed"]),
        "volumes": str(bench["volumes"]),
        "patients": str(bench["patients"]),
        "structures": ", ".join(name.replace("_", " ") for name in bench["structures"]),
        "modalities": " and ".join(bench["modalities"]),
        "test_prompts": str(found["prompts"]),
        "test_patients": str(found["patients"]),
        "image_size": str(parameters["pretrain"]["image_size"]),
        "spacing": str(parameters["prepare"]["spacing_mm"]),
        "steps": str(parameters["train"]["steps"]),
        "pretrain_steps": str(parameters["pretrain"]["steps"]),
        "text_encoder": str(parameters["encode"]["text_encoder"]),
        "results": _results(found),
        "by_structure": _breakdown(found["by"]["structure"]),
        "by_kind": _breakdown(found["by"]["kind"]),
        "by_modality": _breakdown(found["by"]["modality"]),
    }


def _estimate(entry: dict[str, Any], form: Any = number) -> str:
    return interval({"x": entry["value"], "x_low": entry["low"], "x_high": entry["high"]}, "x", form)


def _results(found: dict[str, Any]) -> str:
    rows = {
        "Dice, level 1 (a noun)": _estimate(found["core"]["l1"]),
        "Dice, level 2 (a description)": _estimate(found["core"]["l2"]),
        "Dice, level 3 (a composition)": _estimate(found["core"]["l3"]),
        "PSS = (L1 - L3) / L1": _estimate(found["core"]["pss"], lambda value: number(value, digits=3)),
        "Collapse rate, level 3": _estimate(found["collapse_rate"], percent),
        "Worst of a paraphrase group, Dice": _estimate(found["paraphrase"]["worst"]),
        "Marks something that is not there": _estimate(found["absent"]["rate"], percent),
    }
    return "\n".join(markup.markdown_table(("", "value [interval]"), rows.items()))


def _breakdown(groups: dict[str, Any]) -> str:
    rows = (
        (name.replace("_", " "), _estimate(entry), entry["prompts"], entry["patients"])
        for name, entry in sorted(groups.items())
    )
    return "\n".join(markup.markdown_table(("", "Dice [interval]", "prompts", "patients"), rows))


def _cost(root: Path, *, model: str) -> dict[str, str]:
    run, weights = read_run(root), outputs(root)[Path("data/models") / model]
    seconds = {entry["stage"]: entry["seconds"] for entry in run["stages"]}
    spent = [seconds.get(name) for name in ("pretrain", f"train@{model}")]
    minutes = "not measured in one run" if None in spent else f"{sum(filter(None, spent)) / 60:.1f} minutes"
    return {
        "md5": weights.md5,
        "size_mib": f"{weights.size / 2**20:.1f}",
        "training_time": minutes,
        "hardware": f"{run['cores']} cores, {run['cpu']}",
    }


PROMPTS = tuple(
    Path("data/bench") / name
    for name in ("prompts.parquet", "rejected.parquet", "account.parquet", "attributes.parquet", "croissant.json")
)
DATA = (*PROMPTS, Path("data/models") / MODEL, Path("data/reader"))

WITHOUT_GIT = "[core]\n    no_scm = true\n"
"""An unpacked archive has no Git; with this DVC and `semantiseg verify` work in it."""


def write_archive(root: Path, output: Path) -> list[str]:
    """Write the archive; return the names in it.

    Args:
        root: a checkout under Git whose results and data are present.
        output: the archive, ending in .tar.gz.

    Raises:
        OutputError: something else bears the archive's name.
        DataError: no Git, uncommitted changes, or data that are absent or not those of dvc.lock; nothing is written.
    """
    if not output.name.endswith(".tar.gz"):
        raise DataError(f"{output}: expected a name ending in .tar.gz. Choose such a name.")
    check_file(output, inputs=[root / ".git"], opening=b"\x1f\x8b")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no").decode()
    if changed:
        raise DataError(f"{root}: expected everything committed, got changes:\n{changed}Commit or undo them first.")
    commit, seconds = _git(root, "log", "-1", "--format=%H %ct").decode().split()
    content = dict(_committed(root))
    content |= dict(_data(root))
    content[".dvc/config.local"] = WITHOUT_GIT.encode()
    content["MODEL_CARD.md"] = model_card(root).encode()
    about = {"name": "semantiseg", "version": __version__, "commit": commit, "model": MODEL}
    content["release.json"] = (json.dumps(about, indent=1) + "\n").encode()
    manifest = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content)]
    content["MANIFEST.sha256"] = "".join(manifest).encode()
    partial = output.with_name(f".{output.name}.partial")
    output.parent.mkdir(parents=True, exist_ok=True)
    _write(partial, content, folder=f"semantiseg-{__version__}", seconds=int(seconds))
    os.replace(partial, output)
    return sorted(content)


def _git(root: Path, *arguments: str) -> bytes:
    answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    if answer.returncode:
        raise DataError(
            f"{root}: expected a Git checkout, got: {answer.stderr.decode().strip()}. Release from a clone."
        )
    return answer.stdout


def _committed(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of HEAD, as Git archives it."""
    with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", "HEAD"))) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield member.name, stream.read()


def _data(root: Path) -> Iterator[tuple[str, bytes]]:
    recorded = published.outputs(root)
    for path in DATA:
        found, wanted = published.dvc_checksum(root / path), recorded[path].md5 if path in recorded else None
        if found is None or found != wanted:
            raise DataError(
                f"{path}: expected MD5 {wanted} as dvc.lock records it, got {found}. Run `semantiseg reproduce`, or "
                "take them from a bundle (`semantiseg reproduce --from BUNDLE`)."
            )
        inside = [root / path] if (root / path).is_file() else sorted((root / path).rglob("*"))
        for item in inside:
            if item.is_file():
                yield item.relative_to(root).as_posix(), item.read_bytes()


def _write(path: Path, content: dict[str, bytes], *, folder: str, seconds: int) -> None:
    """A tar of sorted names, one owner, one time (of the commit), compressed without a name or time of its own."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name in sorted(content):
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size, member.mtime = len(content[name]), seconds
                member.mode = 0o755 if name == ".ci/run" else 0o644
                archive.addfile(member, io.BytesIO(content[name]))
