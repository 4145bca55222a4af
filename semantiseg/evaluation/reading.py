"""How well the readers of a composed model read: which sentences they understand, and which rightly."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from semantiseg.bench.labelled_slice import read_slice
from semantiseg.bench.program import Program, parse
from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError
from semantiseg.models.compose import READERS, Read


def read_prompts(
    prompts: pd.DataFrame, store: VolumeStore, *, readers: Mapping[str, Read] | None = None
) -> pd.DataFrame:
    """Put every prompt's text to every reader.

    A text is read rightly if what was heard denotes the target on the slice that the prompt asks about, pixel by
    pixel; "tumour in the liver" may be heard as "liver tumour".

    Args:
        prompts: rows of `prompts.parquet`.
        store: the prepared volumes.
        readers: name -> reader; None: those of `models/compose.py`.

    Returns:
        One row a prompt and reader: `prompt_id`, `reader`, `heard` (a program, "" where nothing was understood),
        `read`, `rightly`.
    """
    records = []
    for (volume_id, index), asked in prompts.groupby(["volume_id", "slice"], sort=True):
        shown = read_slice(store, str(volume_id), int(index), seen=False)
        for row in asked.itertuples():
            target = parse(row.program)
            for name, read in (READERS if readers is None else readers).items():
                heard = _heard(read, row.text)
                right = heard is not None and shown.labels_all_of(heard) and shown.same(heard, target)
                records.append((row.prompt_id, name, str(heard or ""), heard is not None, right))
    return pd.DataFrame(records, columns=["prompt_id", "reader", "heard", "read", "rightly"])


def _heard(read: Read, text: str) -> Program | None:
    try:
        return read(text)
    except PromptError:
        return None
