"""Notebooks as text: what is read from a source, what is stripped, what is made the same at every run."""

from __future__ import annotations

import nbformat
import pytest
from tiny_project import tiny_notebook

from semantiseg.errors import NotebookError
from semantiseg.pipeline import notebook


def write(path, made):
    path.write_text(notebook.write_text(made))
    return path


def executed(*outputs: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook as papermill leaves it."""
    made = tiny_notebook("x", parameters="a = 1\nstaging = '.'")
    made.cells.insert(2, nbformat.v4.new_code_cell('# Parameters\na = 2\nstaging = "data/.staging/x"\n'))
    made.cells[2].metadata["tags"] = ["injected-parameters"]
    made.metadata.papermill = {"duration": 1.5, "input_path": "/home/me/a.ipynb"}
    made.metadata.language_info = {"name": "python", "version": "3.11.7"}
    made.metadata.widgets = {"state": {}}
    for count, cell in enumerate(made.cells):
        cell.metadata.papermill = {"start_time": "today"}
        cell.metadata.execution = {"iopub.status.busy": "now"}
        if cell.cell_type == "code":
            cell.execution_count = count
    made.cells[-1].outputs = list(outputs)
    return made


def stream(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_parameters_are_read_with_their_values_in_order(tmp_path):
    made = tiny_notebook(parameters="b = 2  # steps\na: float = -1e-4\nwords = ['x', \"y\"]\nstaging = '.'")
    found = notebook.parameters(write(tmp_path / "a.ipynb", made))
    assert list(found.items()) == [("b", 2), ("a", -1e-4), ("words", ["x", "y"]), ("staging", ".")]


@pytest.mark.parametrize("source", ["import os", "a = b = 1", "a = 1 + x", "a, b = 1, 2", "a: int", "f(1)"])
def test_a_parameters_cell_holds_plain_assignments_only(tmp_path, source):
    with pytest.raises(NotebookError, match="a.ipynb: expected only plain assignments"):
        notebook.parameters(write(tmp_path / "a.ipynb", tiny_notebook(parameters=source)))


def test_two_parameters_cells_are_refused(tmp_path):
    made = tiny_notebook("a = 1")
    made.cells[-1].metadata["tags"] = ["parameters"]
    with pytest.raises(NotebookError, match="exactly one.*got 2"):
        notebook.parameters(write(tmp_path / "a.ipynb", made))


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}{")
    with pytest.raises(NotebookError, match="a.ipynb: expected a notebook of format 4"):
        notebook.read(tmp_path / "a.ipynb")
    with pytest.raises(NotebookError, match="b.ipynb.*No such file"):
        notebook.read(tmp_path / "b.ipynb")


def test_stripping_leaves_text_and_tags_only_and_is_a_fixed_point():
    bare = notebook.strip(executed(stream("hello")))
    assert [cell.id for cell in bare.cells] == ["cell-00", "cell-01", "cell-02"]
    assert [dict(cell.metadata) for cell in bare.cells] == [{}, {"tags": ["parameters"]}, {}]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in bare.cells[1:])
    text = notebook.write_text(bare)
    assert "injected" not in text and "papermill" not in text and "3.11.7" not in text
    assert notebook.write_text(notebook.strip(nbformat.reads(text, as_version=4))) == text


def test_normalising_drops_times_paths_and_random_ids_but_no_result():
    plain = notebook.normalise(executed(stream("hello")))
    text = notebook.write_text(plain)
    for word in ("today", "now", "papermill", "/home/me", "3.11.7", "data/.staging", "widgets"):
        assert word not in text
    assert plain.cells[2].source.splitlines()[1:] == ["a = 2", 'staging = "."']
    assert plain.cells[-1].outputs[0].text == "hello" and plain.cells[-1].execution_count == 3
    other = executed(stream("hello"))
    for number, cell in enumerate(other.cells):
        cell.id = f"random{number}"
    assert notebook.write_text(notebook.normalise(other)) == text


def test_how_the_kernel_cuts_printed_text_makes_no_difference():
    picture = nbformat.v4.new_output("display_data", data={"text/plain": "picture"})
    whole = executed(stream("one two"), stream("careful", "stderr"), picture, stream("three"))
    cut = executed(stream("one "), stream("careful", "stderr"), stream("two"), picture, stream("th"), stream("ree"))
    assert notebook.normalise(cut) == notebook.normalise(whole)
    assert [output.get("text") for output in notebook.normalise(whole).cells[-1].outputs] == [
        "one two",
        "careful",
        None,
        "three",
    ]


def test_paths_in_outputs_are_replaced_but_pictures_are_left_alone():
    picture = nbformat.v4.new_output("display_data", data={"image/png": "abc/place/def", "text/plain": "at /place/x"})
    warned = stream("/tmp/ipykernel_123/456.py:3: UserWarning in /place/main", "stderr")
    outputs = notebook.normalise(executed(warned, picture), replace={"/place": "."}).cells[-1].outputs
    assert outputs[0].text == "cell.py:3: UserWarning in ./main"
    assert outputs[1].data == {"image/png": "abc/place/def", "text/plain": "at ./x"}
