"""The dataset card: what a reader sees first, and what the Hugging Face library reads to find the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from semantiseg import markup
from semantiseg.bench.export import DESCRIPTIONS
from semantiseg.bench.release.licences import RELEASE_LICENCE, licence_of
from semantiseg.bench.release.tables import ATTRIBUTE_COLUMNS
from semantiseg.bench.shortage import REASONS


def summary_of(volumes: pd.DataFrame, rows: Mapping[str, int]) -> str:
    """What the release is about, phantoms named as such."""
    prompts = sum(count for name, count in rows.items() if name.startswith("prompts/"))
    asked = ", ".join(f"{collection} ({origin})" for collection, origin in _origins(volumes))
    return (
        f"{prompts:,} executable prompts for text-prompted medical image segmentation: every text comes with a program "
        "over the label map, whose value is the target mask, and with the measurements that make it true. No image is "
        f"contained. Collections asked about: {asked}."
    )


def card(volumes: pd.DataFrame, rows: Mapping[str, int], *, version: str) -> str:
    """README.md of a release."""
    licences = [(collection, origin, licence_of(collection, origin)) for collection, origin in _origins(volumes)]
    counts = volumes.groupby("collection").size()
    return "\n".join(
        [
            *_front_matter(rows),
            f"# SemantiBench {version}",
            "",
            summary_of(volumes, rows),
            "",
            *_table(("file", "rows"), [(f"`{name}.parquet`", f"{count:,}") for name, count in sorted(rows.items())]),
            "",
            "## Opening it",
            "",
            "    pandas.read_parquet('prompts/test.parquet')",
            "    duckdb.sql(\"select level, count(*) from 'prompts/*.parquet' group by level\")",
            "    datasets.load_dataset('path/to/this/folder', 'prompts', split='test')",
            "",
            "## Your own copy of the images",
            "",
            "Prompts are about files that you fetch yourself. `semantiseg bench attach THIS_FOLDER YOUR_FOLDER OUTPUT` "
            "finds them by checksum, whatever they are called, prepares them and checks every target.",
            "",
            "## Columns of the prompts",
            "",
            *_table(("column", "what it holds"), [(_code(name), text) for name, text in DESCRIPTIONS.items()]),
            "",
            "## What was measured on the images",
            "",
            "`attributes.parquet`, one row a region (connected piece of a structure) and attribute:",
            "",
            *_table(
                ("column", "what it holds"), [(_code(name), text) for name, (_, text) in ATTRIBUTE_COLUMNS.items()]
            ),
            "",
            "## What could not be made",
            "",
            "`account.parquet` says for every collection, suite and level how many prompts were wanted of the drawn "
            "volumes, made, and short, and counts the reasons; the codes are those of `rejected.parquet` and:",
            "",
            *_table(("code", "reason"), [(_code(code), text) for code, text in REASONS.items()]),
            "",
            "## Licences",
            "",
            f"The tables are released under {RELEASE_LICENCE}. The images are not contained; their terms are:",
            "",
            *_table(
                ("collection", "origin", "volumes", "licence", "terms", "reference"),
                [
                    (name, origin, f"{counts[name]:,}", terms.name, terms.terms, terms.reference)
                    for name, origin, terms in licences
                ],
            ),
            "",
        ]
    )


def _origins(volumes: pd.DataFrame) -> list[tuple[str, str]]:
    return sorted(set(zip(volumes["collection"], volumes["origin"], strict=True)))


def _front_matter(rows: Mapping[str, int]) -> list[str]:
    """YAML that names a configuration for each table, with its splits."""
    lines = ["---", "license: cc-by-nc-sa-4.0", "language: [en]", "pretty_name: SemantiBench", "configs:"]
    for config in ("prompts", "training"):
        lines += [f"- config_name: {config}", "  data_files:"]
        for name in (name for name in rows if name.startswith(f"{config}/")):
            lines += [f"  - split: {name.partition('/')[2]}", f"    path: {name}.parquet"]
    for config in ("volumes", "rejected", "attributes", "account"):
        # The library cannot open a table without rows, which that of rejections may well be.
        if rows[config]:
            lines += [f"- config_name: {config}", f"  data_files: {config}.parquet"]
    return [*lines, "---", ""]


def _code(name: str) -> markup.Markdown:
    return markup.Markdown(f"`{name}`")


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return markup.markdown_table(head, rows)
