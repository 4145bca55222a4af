"""Where the words come from, and which words no prompt may say because neither mask nor intensity can prove them.

RadLex and SNOMED CT are named where a term was checked against them; identifiers only where they were (the prostate's
zones). Everything else follows the reporting lexicon of its organ or the collection's own paper.

Looked up on 2026-11-26: the four arXiv numbers below lead to the papers named, both SNOMED CT codes to these zones (HL7
value sets and DICOM templates use them), Bosniak 2019 is by Silverman et al. and R.E.N.A.L. by Kutikov and Uzzo.
NOT confirmed, written from memory: its year 2009, Al-Hawary 2014, and the numbers of VASARI's features.
"""

from __future__ import annotations

import re

RENAL, BOSNIAK = "R.E.N.A.L. nephrometry (Kutikov 2009)", "Bosniak 2019 (Silverman)"
LIRADS, PIRADS = "LI-RADS CT/MRI lexicon", "PI-RADS v2.1 sector map"
FLEISCHNER, BRATS = "Fleischner Society glossary", "BraTS 2024 (arXiv:2405.18368)"
MSD, ATLAS = "Medical Segmentation Decathlon (arXiv:1902.09063)", "label tables of BTCV, AMOS and TotalSegmentator"

SOURCE: dict[str, str] = {
    "left_atrium": MSD, "liver": LIRADS, "liver_tumour": LIRADS, "hepatic_vessels": MSD, "spleen": MSD,
    "pancreas": MSD, "pancreatic_tumour": "SAR/APA template for pancreatic ductal adenocarcinoma (Al-Hawary 2014)",
    "colon_tumour": MSD, "lung_tumour": FLEISCHNER, "kidney": RENAL, "kidney_tumour": RENAL, "kidney_cyst": BOSNIAK,
    "prostate": PIRADS, "peripheral_zone": f"{PIRADS}; SNOMED CT 279706003",
    "transition_zone": f"{PIRADS}; SNOMED CT 399384005",
    "hippocampus": MSD, "anterior_hippocampus": MSD, "posterior_hippocampus": MSD,
    "brain_tumour": f"{BRATS}; VASARI", "tumour_core": BRATS, "enhancing_tumour": f"{BRATS}; VASARI F5",
    "necrotic_core": f"{BRATS}; VASARI F7", "brain_oedema": f"{BRATS}; VASARI F14", "resection_cavity": BRATS,
    "nonenhancing_tumour": "BraTS-PEDs (arXiv:2404.15009)", "tumour_cyst": "BraTS-PEDs (arXiv:2404.15009)",
    "meningioma": "BraTS-MEN-RT (arXiv:2405.18383)",
    **dict.fromkeys(
        ("gallbladder", "oesophagus", "stomach", "duodenum", "aorta", "inferior_vena_cava", "portal_and_splenic_veins",
         "adrenal_gland", "urinary_bladder", "lung", "heart"),
        ATLAS,
    ),
}  # fmt: skip
"""Structure -> the vocabulary that its names and descriptions follow."""

NEVER: dict[str, str] = {
    "histology": r"clear[- ]cell|papillary|chromophobe|oncocytoma|angiomyolipoma|adenocarcinoma|glioblastoma|"
    r"astrocytoma",
    "grade": r"(?:high|low)[- ]grade|grade [1-4iv]+|isup|fuhrman|sarcomatoid|rhabdoid",
    "malignancy": r"malignant|benign|aggressive",
    "stage": r"\bp?t[1-4][ab]?\b|staging|metastatic",
    "several phases": r"wash[- ]?out|arterial[- ]phase|aphe|progressive enhancement|non-?rim enhancement",
    "diffusion": r"restricted diffusion|diffusion[- ]restrict\w*",
    "ducts and vessels": r"duct(?:al)? dilatation|dilated duct|vascular invasion|encase\w*|thrombus",
    "growth": r"grow(?:ing|th)|enlarging|new lesion|stable|interval",
    "margins of the eye": r"spiculat\w+",
    "atlas": r"segment (?:[1-8]|i{1,3}|iv[ab]?|v|vi{1,3})\b|(?:frontal|temporal|parietal|occipital) lobe|eloquent",
    "lobe": r"(?:upper|middle|lower|left|right|caudate|quadrate)(?: hepatic| pulmonary| lung| liver)? lobes?\b|"
    r"\blobes? of the (?:lung|liver)|lingul\w+",
    "person": r"year[- ]old|\b(?:male|female|man|woman|smoker)\b",
}
"""What cannot be proven -> words that would claim it. Histology, grade and the like are not visible; phases, growth and
diffusion need images that are not there; lobes of brain, lung and liver and their segments need an atlas: no collection
labels them, and the fissures and veins that part them are in no mask; spiculation is strands that a mask does not
hold."""

_NEVER = {claim: re.compile(pattern, re.IGNORECASE) for claim, pattern in NEVER.items()}


def unprovable(text: str) -> list[tuple[str, str]]:
    """What a text claims that nothing stored can prove: (claim, the words), in the order of `NEVER`."""
    return [(claim, found[0]) for claim, pattern in _NEVER.items() if (found := pattern.search(text))]
