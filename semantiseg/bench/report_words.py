"""Words of radiology reports and requests that the lexicon adds to those of the ontology.

Written before the clinical sentences (`bench/clinical.yaml`) and not changed to fit them: the share of them that the
reader understands is a result. Terms follow common reporting usage (RSNA RadLex, BraTS, RENAL, PI-RADS); where a phrase
of the lexicon proper has the same words, that one counts.
"""

from __future__ import annotations

FILLERS = (
    "identified|noted|visualised|visualized|demonstrated|evident|present|known|previously described|described|reported|"
    "kindly|could you|can you|would you|we need|i would like|extract|isolate|capture|depict|annotate|quantify|measure|"
    "volume of|extent of|full extent of|delineation of|boundary of|boundaries of|pixels of|voxels of|"
    "in this patient|on this slice|on this image|in this image|in this slice|at this level|on this section|axial|"
    "on ct|on mri|on mr|any|every|each|complete|now|also|as seen|as shown"
)
PLACES = "arising from|arising in|originating from|originating in|centred in|centered in|occupying|involving"
BEARERS = "with evidence of|harbors"
FREES = "without evidence of|with no evidence of|negative for|not harbouring|spared by"
EXCLUSIONS = (
    "with the exception of|to the exclusion of|excluding any|do not include|not to include|avoiding|avoid|but spare|"
    "subtracting|net of|but not including|but avoid|but do not include"
)
LARGEST = "bulkiest|greatest|index|most sizeable"
SMALLEST = "most minute"
HALVES = "aspect"
NAMES = {
    "brain_oedema": "vasogenic oedema|perilesional oedema|perifocal oedema",
    "necrotic_core": "necrotic centre|necrotic component|central necrosis|necrotic portion of the tumour",
    "enhancing_tumour": "enhancing component|enhancing portion|enhancing portion of the tumour|contrast-enhancing rim|"
    "contrast-enhancing component",
    "brain_tumour": "glioblastoma|gbm",
    "kidney_tumour": "renal cell carcinoma|rcc",
    "liver_tumour": "hepatocellular carcinoma|hcc|liver metastasis|liver metastases",
    "lung_tumour": "bronchial carcinoma|bronchogenic carcinoma",
    "pancreatic_tumour": "pancreatic adenocarcinoma",
    "colon_tumour": "colorectal tumour|colorectal carcinoma",
    "transition_zone": "transitional zone|transition zone of the gland",
    "peripheral_zone": "peripheral zone of the gland",
    "hippocampus": "hippocampal volume|hippocampi",
    "left_atrium": "left atrial body",
    "hepatic_vessels": "hepatic vascular structures|intrahepatic vasculature|liver vasculature",
}
"""Structure -> further names, in British spelling (`lexicon.SPELLINGS` turns the others)."""
