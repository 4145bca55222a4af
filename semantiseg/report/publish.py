"""Publish: copy what people read (figures, tables, rendered notebooks) from the cached outputs to Git-tracked folders.

The only stage whose outputs are not in the DVC cache: run as `python -m semantiseg.report.publish`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from semantiseg import files
from semantiseg.errors import StageError

PUBLISHED = {Path("data/report"): Path("figures"), Path("data/rendered"): Path("notebooks/rendered")}


def publish(*, root: Path) -> None:
    """Make each published folder an exact copy of its source; what is no longer produced goes.

    Raises:
        StageError: a source is absent or empty; nothing is published then.
    """
    for source in PUBLISHED:
        if not (root / source).is_dir() or not any((root / source).iterdir()):
            raise StageError(
                f"publish: expected reports in {source}, got none. Run `dvc repro`, which makes them first."
            )
    for source, target in PUBLISHED.items():
        partial = root / target.parent / f".{target.name}.partial"
        files.remove(partial)
        shutil.copytree(root / source, partial, ignore=shutil.ignore_patterns(".*"))
        files.replace(partial, root / target)


if __name__ == "__main__":
    publish(root=Path.cwd())
