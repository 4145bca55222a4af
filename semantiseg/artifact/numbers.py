"""Keep the README's numbers out of human hands: blocks between markers are filled from published files.

A block reads `<!-- begin table1 -->` ... `<!-- end table1 -->`; its content is the file of that name (see `BLOCKS`).

Does every number a reader meets follow from a file? Tables are computed again, prose is searched.
"""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg import markup
from semantiseg.artifact.compare import NUMBER
from semantiseg.conventions import records_of
from semantiseg.errors import DataError
from semantiseg.paper import breakdown, claims, patients, table1
from semantiseg.paper.table_text import number, percent
from semantiseg.params import read_yaml
from semantiseg.recipes import recipe_of


def _patients(root: Path) -> str:
    """What the recorded runs on real collections found, a table a collection."""
    return patients.short(patients.read())


def _phantoms(root: Path) -> str:
    """The same table of the committed run, whose patients are phantoms."""
    rows = _composed_rows(root)
    named = f"**Phantoms** (the committed run, seed {_seed(root)}), level 3 in words held out from training."
    return "\n".join([named, "", *patients.short_table(rows)])


def _findings(root: Path) -> str:
    """What was found, in sentences whose numbers come from the recorded patients, the tables and the claims."""
    found = [finding for item in patients.read() for finding in _collapse(patients.table([item]), item.name)]
    return "\n".join(
        f"- {sentence}"
        for sentence in [
            *found,
            *_collapse(_composed_rows(root), "Phantoms"),
            _last_line(root / "figures/ablation.md").removeprefix("- "),
            _clinical(_composed_rows(root)),
            f"Of the paper, {claims_summary(root)}: each claim is executed ([all](figures/claims.md)).",
        ]
    )


def _collapse(rows: pd.DataFrame, where: str) -> list[str]:
    """One sentence: what the first model does with nouns and with relations, as they stand and composed."""
    if not len(rows):
        return []
    of = {row["variant"]: row for row in rows[rows["model"] == rows["model"].iloc[0]].to_dict("records")}
    plain, composed = of.get(patients.PLAIN), of.get(patients.COMPOSED)
    if plain is None or composed is None:
        return []
    return [
        f"**{where}** ({plain['patients']} test patients): {recipe_of(plain['model']).label}, marks nouns with Dice "
        f"{number(plain['l1'])} and relations with {number(plain['l3'])}; where the sentence is read first and its "
        f"nouns are composed, with {number(composed['l3'])}. Answers that mark the parent structure fall from "
        f"{percent(plain['collapse_rate'])} to {percent(composed['collapse_rate'])}."
    ]


def _clinical(rows: pd.DataFrame) -> str:
    read = rows[(rows["variant"] == patients.COMPOSED)].iloc[0]
    return (
        f"Sentences as clinicians write them (phantoms, level 3): Dice {number(read['clinical_l3'])} where a reader "
        f"reads them; it reads {percent(read['clinical_rightly_l3'])} rightly."
    )


def claims_summary(root: Path) -> str:
    """How many claims hold, fail, or cannot be tested here: the first line of `figures/claims.md`."""
    return (root / "figures" / "claims.md").read_text(encoding="utf-8").splitlines()[0].rstrip(".")


def _key_claims(root: Path) -> str:
    """Four claims that the paper rests on, with their verdicts."""
    table = pd.read_csv(root / "figures" / "claims.csv").set_index("id")
    head = ("Claim", "Computed here", "Verdict")
    rows = [
        [f"“{row['quotation']}”", str(row["computed"]).partition(". ")[0], row["verdict"]]
        for row in table.loc[[name for name in KEY_CLAIMS if name in table.index]].to_dict("records")
    ]
    return "\n".join([f"{claims_summary(root)}.", "", *markup.markdown_table(head, rows)])


def _composed_rows(root: Path) -> pd.DataFrame:
    """`composition.csv` as the table of patients has it."""
    frame = pd.read_csv(root / "figures" / "composition.csv").astype(object)
    return patients.side_by_side(records_of(frame.where(frame.notna(), None)))


def _seed(root: Path) -> int:
    return int(read_yaml(root / "params.yaml")["seed"])


def _last_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip().splitlines()[-1]


def _cost(root: Path) -> str:
    """What the committed demo run took, in one sentence."""
    run = json.loads((root / "benchmarks" / "demo_run.json").read_text(encoding="utf-8"))
    if not run.get("complete", True):
        return "The committed results were made in several calls; what one whole run takes was not measured yet."
    minutes = run["seconds"] / 60
    return (
        f"Measured for the committed results: {minutes:.1f} minutes and at most {run['peak_gib']:.1f} GiB of memory "
        f"({run['cores']} cores, {run['cpu']}, no GPU), once the environment exists."
    )


KEY_CLAIMS = ("gate-token-bound", "level-3-printed", "token-gating-beats-concatenation", "word-order-matters")
"""Of claims.yaml: what the abstract promises, the printed level 3, and the two mechanisms."""

BLOCKS: dict[str, Callable[[Path], str]] = {
    "findings": _findings,
    "patients": _patients,
    "phantoms": _phantoms,
    "claims": _key_claims,
    "cost": _cost,
}
"""Block name -> what fills it, given the repository root."""


def fill_blocks(text: str, root: Path) -> str:
    """The README text with every block filled from the files under `root`.

    Raises:
        DataError: a marker names no known block, or has no end.
    """
    begun = re.findall(r"<!-- begin (\w+) -->", text)
    for name in begun:
        if name not in BLOCKS:
            raise DataError(f"README.md: expected a block among {sorted(BLOCKS)}, got {name!r}. Correct the marker.")
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise DataError(f"README.md: expected '<!-- end {name} -->' after its beginning, got none. Add the marker.")
        text = pattern.sub(partial(_between, BLOCKS[name](root)), text)
    return text


def _between(content: str, markers: re.Match[str]) -> str:
    return f"{markers[1]}{content}\n{markers[2]}"


METRICS = Path("figures/metrics.json")
TABLES = (
    "metrics.json", "table1.csv", "table1.md", "table1.tex", "table2.csv", "table2.md", "table2.tex", "variables.json",
    "variables.tex",
)  # fmt: skip
VERDICTS = ("claims.csv", "claims.md")

_BLOCK = re.compile(r"<!-- begin (\w+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)
_NO_PROSE = (
    re.compile(r"```.*?```", re.DOTALL),
    re.compile(r"`[^`]*`"),
    re.compile(r"\[\d+(?=\]\()"),  # the number of a notebook, as a link's text
    re.compile(r"\]\([^)]*\)"),  # where a link leads
    re.compile(r"\b(?:Figure|Table|Section|Eq\.|Apache-|CC-BY-SA|level)\s?\d[\d.]*"),
    re.compile(r"^\s*\d+\.\s", re.MULTILINE),  # an ordered list
)


def read_metrics(root: Path) -> dict[str, Any]:
    """The committed numbers.

    Raises:
        DataError: figures/metrics.json is absent or no JSON.
    """
    path = root / METRICS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected the numbers of a run, got {error}. Run `semantiseg reproduce`.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object, got {type(content).__name__}. Run `semantiseg reproduce`.")
    return content


def tables(root: Path) -> tuple[bool, str, list[str], Any]:
    """Are both tables and the quotable numbers what the committed metrics.json gives when they are written again?"""
    metrics = read_metrics(root)
    # JSON is written with sorted keys; the table's rows stand in the order of params.yaml.
    order = read_yaml(root / "params.yaml")["models"]
    if set(order) != set(metrics["models"]):
        raise DataError(f"{METRICS}: expected the models {order} of params.yaml, got {list(metrics['models'])}.")
    ordered = metrics | {"models": {name: metrics["models"][name] for name in order}}
    with tempfile.TemporaryDirectory() as folder:
        frames = [table1.write(ordered, Path(folder)), breakdown.write_table2(metrics, Path(folder))]
        named = breakdown.write_variables(metrics, Path(folder))
        problems = _differences(root, Path(folder), TABLES)
    values = sum(int(frame.select_dtypes("number").notna().to_numpy().sum()) for frame in frames)
    facts = {"source": METRICS.as_posix(), "values": values, "named": len(named), "files": list(TABLES)}
    if problems:
        return False, "the tables are not what metrics.json gives", problems, facts
    words = f"{values} numbers of Tables 1 and 2 and {len(named)} quotable ones"
    return True, f"{words}, written again from metrics.json, give the committed bytes", [], facts


def verdicts(root: Path) -> tuple[bool, str, list[str], Any]:
    """Are the committed verdicts those that claims.yaml and metrics.json give now? Every check is run again."""
    with tempfile.TemporaryDirectory() as folder:
        table = claims.write(root / "claims.yaml", root / METRICS, Path(folder))
        problems = _differences(root, Path(folder), VERDICTS)
    facts = table[["id", "verdict", "place", "printed", "computed"]].to_dict("records")
    if problems:
        return False, f"the committed verdicts are not those computed now. {claims.tally(table)}", problems, facts
    lines = [f"{row['verdict']:<20} {row['id']}" for row in facts]
    return True, claims.tally(table), lines, facts


def _differences(root: Path, made: Path, names: tuple[str, ...]) -> list[str]:
    """Lines in which the committed files differ from those just made."""
    problems = []
    for name in names:
        path = root / "figures" / name
        old, new = path.read_text(encoding="utf-8").splitlines(), (made / name).read_text(encoding="utf-8").splitlines()
        lines = [number for number, (one, other) in enumerate(zip(old, new, strict=False), 1) if one != other]
        if len(old) != len(new):
            lines.append(min(len(old), len(new)) + 1)
        if lines:
            where = ", ".join(map(str, lines[:5])) + (", ..." if len(lines) > 5 else "")
            problems.append(f"figures/{name}: line {where} is not what {METRICS} gives")
    return problems


def start_page(root: Path) -> tuple[bool, str, list[str], Any]:
    """Does every number of README.md stand in a block filled from a file, or in a file that is named here?"""
    text = (root / "README.md").read_text(encoding="utf-8")
    blocks = {name: content for name, content in _BLOCK.findall(text)}
    problems = [f"README.md: no block {name!r}" for name in sorted(set(BLOCKS) - set(blocks))]
    problems += [f"README.md: block {name!r} is not what its file gives" for name in _stale(blocks, root)]
    known = {readme_python(root): "pyproject.toml"}
    loose = untraced(text, known=set(known))
    problems += [f"README.md, line {line}: {number} is in no file; fill it from one" for line, number in loose]
    counts = {name: len(NUMBER.findall(content)) for name, content in blocks.items()}
    facts = {"blocks": counts, "prose": known}
    if problems:
        return False, f"{len(problems)} places of README.md do not follow from a file", problems, facts
    total = sum(counts.values())
    return True, f"{total} numbers of README.md in {len(counts)} blocks filled from files, none typed", [], facts


def _stale(blocks: dict[str, str], root: Path) -> list[str]:
    return [name for name, content in blocks.items() if content.strip() != BLOCKS[name](root).strip()]


def readme_python(root: Path) -> str:
    """The Python version that pyproject.toml asks for, such as "3.11"."""
    asked = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    return re.findall(r"\d+\.\d+", asked)[0]


def untraced(text: str, *, known: set[str]) -> list[tuple[int, str]]:
    """Numbers in Markdown prose outside filled blocks that are not `known`: (line, number).

    Code, link targets, and the labels of figures, tables and lists are no numbers in this sense, nor are digits
    within a name ("KiTS23").
    """

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    for pattern in (_BLOCK, *_NO_PROSE):
        text = pattern.sub(blank, text)
    return [
        (line, number)
        for line, content in enumerate(text.splitlines(), start=1)
        for number in NUMBER.findall(content)
        if number not in known
    ]
