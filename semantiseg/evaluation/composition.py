"""How well the readers of a composed model read: which sentences they understand, and which rightly.

Every text-reading model asked plainly and composed: SemantiBench's core prompts and the clinical sentences.

Composed variants differ only in who reads the sentence: `strict` and `lenient` are the readers of `composed.py`,
`learned` is that of `composition/readers.py`; `stated` is told the program, so it shows what perfect reading would
give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from semantiseg.bench.ask.clinical import SUITE, clinical_questions
from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.composition.composed import READERS, Composed, Read
from semantiseg.composition.readers import LEARNED, LearnedReader, ProgramClassifier
from semantiseg.conventions import groups_of, rows_of
from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError
from semantiseg.evaluation import predict
from semantiseg.evaluation.sensitivity import HEADLINE, join, suite_of
from semantiseg.files import read_table
from semantiseg.language.program import Program, parse
from semantiseg.measure import usable_cores
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import PromptedSegmenter
from semantiseg.models.registry import Accelerator, load
from semantiseg.models.text import encode_texts, open_encoder
from semantiseg.parallel import Call, for_each
from semantiseg.recipes import RECIPES
from semantiseg.training.reader import train_reader, training_phrases


def put_to_readers(
    prompts: pd.DataFrame, store: VolumeStore, *, readers: Mapping[str, Read] | None = None
) -> pd.DataFrame:
    """Put every prompt's text to every reader.

    A text is read rightly if what was heard denotes the target on the slice that the prompt asks about, pixel by
    pixel; "tumour in the liver" may be heard as "liver tumour".

    Args:
        prompts: rows of `prompts.parquet`.
        store: the prepared volumes.
        readers: name -> reader; None: those of `composition/composed.py`.

    Returns:
        One row a prompt and reader: `prompt_id`, `reader`, `heard` (a program, "" where nothing was understood),
        `read`, `rightly`.
    """
    records = []
    for (volume_id, index), asked in groups_of(prompts, ["volume_id", "slice"]):
        shown = read_slice(store, volume_id, int(index), seen=False)
        for row in rows_of(asked):
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


PLAIN, STATED = "plain", "stated"
VARIANTS: Mapping[str, tuple[str, ...]] = {"core": (PLAIN, "strict"), SUITE: (PLAIN, *READERS, LEARNED, STATED)}
"""Suite -> the ways in which it is put to a model. Core sentences are the grammar's, which the readers understand."""


def text_models(models: Sequence[str]) -> list[str]:
    """Those of the named models that read text and can be composed."""
    return [name for name in models if not RECIPES[name].needs_box]


def questions(volumes: Path, prompts: Path, *, seed: int) -> pd.DataFrame:
    """Core test prompts in held-out words, and the clinical sentences; columns of `prompts.parquet`.

    Args:
        volumes: folder of prepared volumes.
        prompts: `prompts.parquet`.
        seed: of stage `verify`.
    """
    table = read_table(prompts, what="prompts", remedy="Run the stage 'verify' again.")
    core = suite_of(table[table["split"] == "test"], "core", phrasing=HEADLINE)
    return pd.concat([core, clinical_questions(volumes, seed=seed)], ignore_index=True)


def learn_to_read(data: Path, *, seed: int, threads: int) -> ProgramClassifier:
    """The learned reader's network, trained on the texts of the training split in `data/bench`, `data/text`."""
    phrases = training_phrases(data / "bench/training.parquet")
    return train_reader(phrases, TextFeatures.load(data / "text/features.h5"), seed=seed, threads=threads)


def reading(asked: pd.DataFrame, classifier: ProgramClassifier, *, data: Path) -> pd.DataFrame:
    """How the readers of words and the learned one read `questions`; columns of `put_to_readers` and `suite`,
    `level`."""
    readers: dict[str, Read] = {**READERS, LEARNED: LearnedReader(classifier)}
    with VolumeStore(data / "volumes") as store:
        found = put_to_readers(asked, store, readers=readers)
    return found.merge(asked[["prompt_id", "suite", "level"]], on="prompt_id")


def answers(
    models: Sequence[str],
    asked: pd.DataFrame,
    heard: pd.DataFrame,
    *,
    data: Path,
    nsd_tolerance_mm: float,
    accelerator: Accelerator,
    threads: int,
) -> pd.DataFrame:
    """Ask every model in every variant; models side by side, one process each.

    Args:
        models: names of text-reading models.
        asked: `questions`.
        heard: `reading` of them: sentences are read once for all models.
        data: folder with `models`, `results`, `volumes`, `text` and `bench`.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.
        accelerator: where models answer.
        threads: PyTorch threads of each process.

    Returns:
        Columns of `results.parquet` and `variant`, `suite`, `level`, `kind`, `structure`; none without a model.
    """
    calls: list[Call] = [((name, asked, heard, data, nsd_tolerance_mm, accelerator, threads), {}) for name in models]
    parts = list(for_each(_model_answers, calls, workers=max(1, usable_cores() // threads)))
    about = asked[["prompt_id", "suite", "level", "kind", "structure"]]
    if not parts:
        return pd.DataFrame(columns=["prompt_id", "patient_id", "model", "variant", "dice", *about.columns[1:]])
    return pd.concat(parts, ignore_index=True).merge(about, on="prompt_id", validate="many_to_one")


def _model_answers(
    model: str,
    asked: pd.DataFrame,
    heard: pd.DataFrame,
    data: Path,
    nsd_tolerance_mm: float,
    accelerator: Accelerator,
    threads: int,
) -> pd.DataFrame:
    import torch

    torch.set_num_threads(threads)
    core, clinical = (asked[asked["suite"] == suite] for suite in VARIANTS)
    again = f"Run the stage 'evaluate@{model}' again."
    results = read_table(data / "results" / model / "results.parquet", what="results", remedy=again)
    prompts = read_table(data / "bench/prompts.parquet", what="prompts", remedy="Run the stage 'verify' again.")
    join(prompts, results, origin=f"results of {model}")  # complete?
    parts = [results[results["prompt_id"].isin(core["prompt_id"])].assign(variant=PLAIN)]
    network = load(data / "models" / model, accelerator=accelerator)
    # One set of features a suite: which texts are encoded together decides the last digits.
    given = TextFeatures.load(data / "text/features.h5")
    features = {"core": given, SUITE: encode_texts(clinical["text"].tolist(), encoder=open_encoder(given.encoder))}
    with VolumeStore(data / "volumes") as store:
        for suite, rows in (("core", core), (SUITE, clinical)):
            for variant in VARIANTS[suite]:
                if not len(rows) or (suite, variant) == ("core", PLAIN):
                    continue  # core prompts were asked plainly by stage evaluate
                found, _ = predict.predict(
                    _segmenter(network, variant, rows, heard), model=model, store=store, prompts=rows,
                    features=features[suite], nsd_tolerance_mm=nsd_tolerance_mm,
                )  # fmt: skip
                parts.append(found.assign(variant=variant))
    return pd.concat(parts, ignore_index=True)


def _segmenter(
    network: PromptedSegmenter, variant: str, rows: pd.DataFrame, heard: pd.DataFrame
) -> PromptedSegmenter:
    if variant == PLAIN:
        return network
    told = rows.assign(heard=rows["program"])
    if variant != STATED:
        told = rows.merge(heard[heard["reader"] == variant][["prompt_id", "heard"]], on="prompt_id")
    programs = dict(zip(told["text"], told["heard"], strict=True))

    def read(text: str) -> Program:
        if not programs[text]:
            raise PromptError(f"expected a sentence that the {variant} reader understands, got {text!r}.")
        return parse(programs[text])

    return Composed(network, read=read)
