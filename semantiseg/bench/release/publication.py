"""A bench made public: one folder of Parquet tables, Croissant description, card and licences."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from semantiseg import __version__, files, output
from semantiseg.bench.release.card import card, summary_of
from semantiseg.bench.release.croissant import write_croissant
from semantiseg.bench.release.tables import VOLUMES, write_tables
from semantiseg.data.collections import read_cases
from semantiseg.data.labels import read_mapping

VERB = "bench release"


def release(
    raw: Path, volumes: Path, bench: Path, out: Path, *, mapping: str = "", published: str = ""
) -> dict[str, int]:
    """Write a release; it appears under its name only when complete, and an earlier one is replaced.

    Args:
        raw: folder of the raw collections (only descriptions are read).
        volumes: folder of prepared volumes (only the manifest is read).
        bench: folder with `prompts`, `training` and `rejected` (Parquet).
        out: folder to write.
        mapping: as in `prepare`.
        published: date of publication, or empty.

    Returns:
        File name without suffix -> rows.

    Raises:
        OutputError: `out` is a folder of something else.
        DataError: something is missing.
    """
    output.check_folder(out, verb=VERB, inputs=[raw, volumes, bench])
    partial = out.with_name(f".{out.name}.partial")
    output.renew(partial, verb=VERB)
    rows = write_tables(partial, bench, volumes, read_cases(raw, mapping=read_mapping(mapping)))
    table = pd.read_parquet(partial / VOLUMES)
    write_croissant(partial, rows=rows, version=__version__, summary=summary_of(table, rows), published=published)
    files.write(partial / "README.md", card(table, rows, version=__version__))
    files.replace(partial, out)  # its marker with it
    return rows
