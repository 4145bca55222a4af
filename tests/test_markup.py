"""Text of others in tables: whatever it is, it stays in its cell, on its line, and shows as it was written."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
import tiny_project
from hypothesis import given
from hypothesis import strategies as st

from semantiseg import markup
from semantiseg.paper import breakdown, composition

HOSTILE = [
    "a|b", "a\nb", "a\r\n\r\n# b", "`a", "<script>alert(1)</script>", "<!-- a", "[a](javascript:b)", "a\\", "a\\|b",
    "\\`a", "a\u2028b", "![a](b)", "a\x00b", "\ud800", "\u202eevil", "$x_$", "\\input{/etc/passwd}", "a & b \\\\ c",
    "% a", "{", "a\n\n\\end{table}",
]  # fmt: skip
pieces = st.sampled_from([*"|\\`<>[]()!\n\r$&%{}_#~^ab", *HOSTILE])
text = st.text(max_size=12) | st.lists(pieces, max_size=6).map("".join)


def cells(row: str) -> list[str]:
    """The cells of a pipe table's line, as GitHub's specification splits them: at bars after no backslash."""
    assert row.startswith("| ") and row.endswith(" |")
    return re.split(r"(?<!\\)\|", row[1:-1])


@given(st.lists(text, min_size=1, max_size=4))
def test_a_row_is_one_line_with_as_many_cells_as_were_given(given_cells):
    row = markup.markdown_row(given_cells)
    assert len(row.splitlines()) == 1 and len(cells(row)) == len(given_cells)
    row.encode("utf-8")


@given(text)
def test_no_tag_code_or_link_begins_in_text(said):
    shown = markup.markdown(said)
    assert not re.search(r"<[A-Za-z/!?]", shown)
    # After an even number of backslashes none of them escapes what follows.
    assert not re.search(r"(?<!\\)(?:\\\\)*(?:[|`]|\][(\[:])", shown)


@given(text)
def test_no_command_comment_or_cell_begins_in_latex(said):
    shown = markup.latex(said)
    for known in ("textbackslash{}", "textasciitilde{}", "textasciicircum{}", *"%&_#${}"):
        shown = shown.replace("\\" + known, "")
    assert not re.search(r"[\\%&_#${}~^\n]", shown)


@pytest.mark.parametrize("honest", ["0.71 [0.60, 0.82]", "p < 0.5", "§3 “a”, –", "12 / 3", "Model (ours)", "**no**"])
def test_honest_text_is_left_as_it_is(honest):
    assert markup.markdown(honest) == honest


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "\ud800"])  # no file of results holds it
def test_tables_keep_their_shape_whatever_a_model_is_called(name):
    estimates = {"dice": 0.5, "dice_low": 0.4, "dice_high": 0.6, "prompts": 3, "patients": 2}
    rows = [{"breakdown": "structure", "name": "liver", "model": model} | estimates for model in ("full", name)]
    said, written = breakdown.markdown(pd.DataFrame(rows), "c"), breakdown.latex(pd.DataFrame(rows), "c")
    head, _, *body = said.splitlines()[2:]
    assert {len(cells(line)) for line in (head, *body)} == {4}
    assert written.count("\\\\\n") == 2 and written.count("\\end{") == 2


def test_the_committed_tables_are_written_as_before():
    metrics = json.loads((tiny_project.ROOT / "figures/metrics.json").read_text(encoding="utf-8"))
    committed = (tiny_project.ROOT / "figures/table2.md").read_text(encoding="utf-8")
    frame, caption = breakdown.table(metrics), committed.splitlines()[0].removeprefix("**Table 2.** ")
    assert breakdown.markdown(frame, caption) == committed
    again = pd.read_csv(tiny_project.ROOT / "figures/composition.csv")
    committed = (tiny_project.ROOT / "figures/composition.md").read_text(encoding="utf-8")
    assert composition.markdown(again, committed.splitlines()[0].removeprefix("**Composition.** ")) == committed


def test_pipe_tables_and_latex_are_escaped_in_one_place():
    """No other module puts cells together: a row's beginning and bars stand in `markup.py` alone."""
    root = tiny_project.ROOT / "semantiseg"
    found = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if path.name != "markup.py" and re.search(r"""' \| '\.join|f"\| \{|textbackslash""", path.read_text("utf-8"))
    ]
    assert found == []
