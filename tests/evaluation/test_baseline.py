"""Running baselines and installed models on the benchmark: what is asked how."""

from __future__ import annotations

import plugged
import pytest

from semantiseg.baselines import boxes
from semantiseg.errors import DataError, ModelError, ParameterError
from semantiseg.evaluation.baseline import by_protocol, evaluate_row, open_protocol

SOURCE = """
from semantiseg.models.protocol import ModelCard

class Reads:
    card = ModelCard(label="Reads", reads=("text",))
    needs_box = False
    def segment(self, image, texts, *, features=None, boxes=None):
        raise NotImplementedError

class Boxed(Reads):
    needs_box = True
"""


@pytest.fixture(autouse=True)
def installed(tmp_path, monkeypatch):
    with plugged.installed(tmp_path, monkeypatch, source=SOURCE, models={"reads": "Reads", "boxed": "Boxed"}):
        yield


def test_protocols_by_name(tmp_path):
    places = {"weights": tmp_path, "models": tmp_path}
    assert open_protocol("oracle_target", **places) is boxes.TARGET
    assert open_protocol("oracle_parent", **places) is boxes.PARENT
    assert open_protocol("grounder_reads", **places).name == "grounder_reads"
    with pytest.raises(ParameterError, match="oracle"):
        open_protocol("oracle", **places)
    with pytest.raises(ModelError, match="boxed, which needs a box"):
        open_protocol("grounder_boxed", **places)
    with pytest.raises(ModelError, match="expected a weight file"):
        open_protocol("grounder_biomedparse", **places)


def test_a_model_of_boxes_is_never_asked_without_a_named_protocol(sam_med2d):
    with pytest.raises(ParameterError, match="sam_med2d: expected a box protocol.*oracle_target"):
        by_protocol(sam_med2d, name="sam_med2d", protocol=None)
    assert by_protocol(sam_med2d, name="sam_med2d", protocol="oracle_parent") is sam_med2d


def test_a_model_that_reads_text_alone_gets_no_boxes(tmp_path):
    with pytest.raises(ParameterError, match="reads: expected no box protocol"):
        evaluate_row("reads", protocol="oracle_target", weights=tmp_path, data=tmp_path, nsd_tolerance_mm=1.0)


def test_without_a_benchmark_there_is_nothing_to_ask(tmp_path):
    with pytest.raises(DataError, match="prompts.parquet.*semantiseg reproduce"):
        evaluate_row("reads", protocol=None, weights=tmp_path, data=tmp_path, nsd_tolerance_mm=1.0)


def test_absent_weights_stop_the_run_before_anything_is_written(tmp_path):
    with pytest.raises(ModelError, match="biomedparse_v1.pt: expected a weight file"):
        evaluate_row("biomedparse", protocol=None, weights=tmp_path, data=tmp_path, nsd_tolerance_mm=1.0)
    assert not (tmp_path / "baselines").exists()
