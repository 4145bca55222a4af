"""What the label maps and the answers say, held against clinical records that know nothing of either.

    python benchmarks/clinical_record.py sizes KITS23_FOLDER OUT    # case_*/segmentation.nii.gz and kits23.json
    python benchmarks/clinical_record.py sides WORKSPACE CLINICAL_CSV OUT [--model token]

`sizes`: the diameter that a sentence says of the largest kidney tumour against `radiographic_size`, as a Bland-Altman
plot (difference against mean, bias, limits of agreement: bias +- 1.96 standard deviations). `sides`: of every test
patient of a workspace with a recorded side, how many pixels the model marks for "the tumour on the left" and "on the
right", slice by slice, read and composed; and where they lie. Both write OUT.json, `sizes` OUT.png too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from semantiseg.bench.measure import regions
from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.composition.composed import compose
from semantiseg.data import grid, nifti
from semantiseg.data.labels import KITS23
from semantiseg.data.store import VolumeStore
from semantiseg.evaluation.predict import THRESHOLD
from semantiseg.models.registry import load
from semantiseg.paper import style

TUMOUR = next(number for number, leaf in KITS23.items() if leaf == "kidney_tumour")
LEAST, ON_SIDE, OTHER = 20, 0.9, 0.1
"""A recorded side is found where its prompt marks so many pixels, of which this share lies there, and the other side's
prompt marks less than this share of them."""


def diameters(folder: Path) -> pd.DataFrame:
    """Columns `case`, `measured` and `recorded`, both in cm: longest axial diameter of the largest tumour."""
    recorded = {case["case_id"]: case["radiographic_size"] for case in json.loads((folder / "kits23.json").read_text())}
    rows = []
    for path in sorted(folder.glob("case_*/segmentation.nii.gz")):
        values, geometry = nifti.read(path)
        labels = nifti.label_values(values, known=set(KITS23), path=path, described_in="KiTS23's label table")
        turned, canonical = grid.to_canonical(labels, geometry.affine)
        mask = turned == TUMOUR
        if not mask.any() or recorded.get(path.parent.name) is None:
            continue
        right, anterior, _ = grid.source_spacing(canonical)
        assert np.isclose(right, anterior), path
        largest = regions.regions(mask[ndimage.find_objects(mask.astype(np.uint8))[0]], spacing_mm=right)[0]
        measured = next(
            found.number for found in regions.geometry(largest, spacing_mm=right, slice_mm=right)
            if found.attribute == "renal_size"
        )  # fmt: skip
        rows.append((path.parent.name, measured / 10, float(recorded[path.parent.name])))
    return pd.DataFrame(rows, columns=["case", "measured", "recorded"])


def agreement(found: pd.DataFrame) -> dict[str, object]:
    """Bland and Altman's numbers in cm, measured - recorded, and the cases outside the limits."""
    apart = found["measured"] - found["recorded"]
    bias, spread = float(apart.mean()), float(apart.std(ddof=1))
    low, high = bias - 1.96 * spread, bias + 1.96 * spread
    return {
        "cases": len(found), "bias_cm": round(bias, 3), "limits_cm": [round(low, 3), round(high, 3)],
        "mean_absolute_cm": round(float(apart.abs().mean()), 3),
        "outside": found.loc[(apart < low) | (apart > high), "case"].tolist(),
    }  # fmt: skip


def draw(found: pd.DataFrame, said: dict, path: Path) -> None:
    """Difference against mean, a point a case."""
    import matplotlib.pyplot as plt

    with style.applied():
        figure, axes = plt.subplots(figsize=(4.2, 2.8), layout="constrained")
        axes.scatter(found[["measured", "recorded"]].mean(axis=1), found["measured"] - found["recorded"], s=12)
        for height, line in ((said["bias_cm"], "solid"), *((limit, "dashed") for limit in said["limits_cm"])):
            axes.axhline(height, color=style.GREY, linestyle=line, linewidth=0.8)
        axes.set(xlabel="mean of both (cm)", ylabel="label map - clinical record (cm)",
                 title=f"Largest kidney tumour, {said['cases']} cases of KiTS23")  # fmt: skip
        figure.savefig(path, dpi=200)


def marked(workspace: Path, model: str, recorded: pd.Series) -> Iterator[dict[str, object]]:
    """Of each test patient: pixels marked for each side's prompt, and the share of the recorded side's that lie there,
    over the axial slices of the first channel that shows a tumour."""
    data = workspace / "data"
    prompts = pd.read_parquet(data / "bench/prompts.parquet")
    network = compose(load(data / "models" / model))
    with VolumeStore(data / "volumes") as store:
        tested = store.manifest[store.manifest["split"] == "test"].reset_index()
        asked = tested[tested["volume_id"].isin(prompts["volume_id"])]
        for patient, volumes in asked.groupby("patient_id"):
            side = recorded.get(patient)
            if side not in ("left", "right"):
                continue
            volume, pixels, there = volumes.iloc[0], dict.fromkeys(("left", "right"), 0), 0
            for index in np.flatnonzero((store.labels(volume["volume_id"]) > 0).any(axis=(1, 2))):
                shown = read_slice(store, volume["volume_id"], int(index))
                texts = [f"brain tumour on the {name}" for name in pixels]
                answers = network.segment(shown.picture, texts, midline=shown.midline).probabilities > THRESHOLD
                for name, answer in zip(pixels, answers, strict=True):
                    pixels[name] += int(answer.sum())
                columns = np.arange(shown.labels.shape[1])
                half = columns > shown.midline if side == "right" else columns < shown.midline
                there += int(answers[list(pixels).index(side)][:, half].sum())
            own, other = pixels[side], pixels["left" if side == "right" else "right"]
            right = own >= LEAST and there >= ON_SIDE * own and other < OTHER * own
            yield {"patient": patient, "recorded": side, "marked": own, "of_it_there": there, "marked_opposite": other,
                   "found": right}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    sizes, sides = verbs.add_parser("sizes"), verbs.add_parser("sides")
    for verb in (sizes, sides):
        verb.add_argument("folder", type=Path)
    sides.add_argument("clinical", type=Path)
    sides.add_argument("--model", default="token")
    for verb in (sizes, sides):
        verb.add_argument("out", type=Path)
    given = parser.parse_args()
    if given.verb == "sizes":
        found = diameters(given.folder)
        said = agreement(found) | {"rows": found.round(2).to_dict("records")}
        draw(found, said, given.out.with_suffix(".png"))
    else:
        rows = list(marked(given.folder, given.model, pd.read_csv(given.clinical).set_index("patient")["side"]))
        said = {"patients": len(rows), "found": sum(bool(row["found"]) for row in rows), "rows": rows}
    given.out.with_suffix(".json").write_text(json.dumps(said, indent=1) + "\n")
    print({name: value for name, value in said.items() if name != "rows"})


if __name__ == "__main__":
    main()
