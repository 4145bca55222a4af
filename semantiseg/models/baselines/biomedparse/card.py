"""What BiomedParse v1 declares about itself."""

from __future__ import annotations

from semantiseg.models.protocol import ModelCard

FILE = "biomedparse_v1.pt"
SIZE = 1024
"""Rows and columns of the network's official input."""

CARD = ModelCard(
    label="BiomedParse v1",
    reads=("text",),
    input_size=SIZE,
    normalisation="squashed to 1024 (bicubic), SAM's mean and deviation",
    code_licence="Apache-2.0",
    weights_licence="CC-BY-NC-SA-4.0",
    training_data=("AMOS22", "MSD", "KiTS23", "BTCV-Cervix", "LIDC", "ACDC", "M&Ms", "PROMISE12", "and others"),
    remark="its data page also names TotalSegmentator, BraTS2023 and AbdomenCT-1K",
)
