"""What can be asked about: structures, their names, and which labels they are made of.

A *leaf* is a label of some collection (`data/labels.py` maps label numbers to leaves). A *structure* is what a prompt
names: a union of leaves. "Kidney" includes its tumour and cyst, as KiTS23's own evaluation class does; "kidney
excluding the tumour" is then a real question. A collection that labels a structure only as a whole (a glioma, a
prostate) has a leaf of its own for it, `whole_...`: no part of it is available, so none is asked about.

Names are split once and for ever into names that training may use and held-out names that only test prompts use.
Terms follow the collections' own papers and reporting lexicons: RENAL and Bosniak (kidney), LI-RADS (liver), PI-RADS
v2.1 (prostate zones), Fleischner Society (lung nodule and mass), BraTS 2024 (ET, NETC, SNFH, RC).

Where the words come from, and which words no prompt may say because neither mask nor intensity can prove them.

RadLex and SNOMED CT are named where a term was checked against them; identifiers only where they were (the prostate's
zones). Everything else follows the reporting lexicon of its organ or the collection's own paper.

Looked up on 2026-11-26: the four arXiv numbers below lead to the papers named, both SNOMED CT codes to these zones (HL7
value sets and DICOM templates use them), Bosniak 2019 is by Silverman et al. and R.E.N.A.L. by Kutikov and Uzzo.
NOT confirmed, written from memory: its year 2009, Al-Hawary 2014, and the numbers of VASARI's features.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from semantiseg.conventions import Side
from semantiseg.errors import OntologyError

Kind = Literal["organ", "lesion", "part"]


@dataclass(frozen=True)
class Structure:
    """One thing that a prompt can name.

    Attributes:
        key: identifier used in programs.
        kind: the atom that names it in programs.
        leaves: labels whose union it is.
        anchors: a collection can be asked about it only if it labels at least one of these.
        main: which of the paper's 14 structures it is counted under (own key for structures beyond those).
        parent: structure that contains it and that a reader who ignores the qualifier would mark, or None.
        names: noun phrases that training may use; the first is the canonical (L1) name.
        held_out: noun phrases that only test prompts use.
        source: the vocabulary that its names and descriptions follow.
        channels: channels on which it can be seen, or None for all.
        side: the side of the midline on which its centroid lies (situs inversus, one person in some 10,000, aside).
        paired: whether a patient has one on each side.
        scattered: whether a slice may show it in several pieces, as lesions always may.
        landmark: whether a relative position is told from it.
        home: the structure whose mention makes clear which "tumour" or "cyst" is meant; its parent, or itself.
        short: nouns that training may use for it where its home is named, such as "the cyst" after "kidney".
        short_held_out: such nouns that only test prompts use.
    """

    key: str
    kind: Kind
    leaves: tuple[str, ...]
    anchors: tuple[str, ...]
    main: str
    parent: str | None
    names: tuple[str, ...]
    held_out: tuple[str, ...]
    source: str
    channels: tuple[str, ...] | None = None
    side: Side | None = None
    paired: bool = False
    scattered: bool = False
    landmark: bool = False
    home: str | None = None
    short: tuple[str, ...] = ()
    short_held_out: tuple[str, ...] = ()

    @property
    def sided_leaves(self) -> dict[str, Side]:
        """Leaf -> the side of the midline on which it lies, of those that lie on one."""
        if self.side is not None:
            return dict.fromkeys(self.anchors, self.side)
        sides: tuple[Side, Side] = ("left", "right")
        return {leaf: side for leaf in self.leaves for side in sides if self.paired and leaf.startswith(f"{side}_")}

    @property
    def container(self) -> Structure | None:
        """The structure that contains it."""
        return STRUCTURES[self.parent] if self.parent else None

    @property
    def lesions(self) -> frozenset[str]:
        """Leaves of the lesions that it contains."""
        found = (item.leaves for item in _ALL if item.kind == "lesion" and item.parent == self.key)
        return frozenset(leaf for leaves in found for leaf in leaves)


def _structure(
    key: str,
    kind: Kind,
    leaves: str,
    names: str,
    held_out: str,
    *,
    source: str,
    anchors: str = "",
    main: str = "",
    parent: str | None = None,
    channels: str = "",
    home: str | None = None,
    short: str = "",
    short_held_out: str = "",
    **facts: Any,
) -> Structure:
    """An entry as it is written below: lists as words, phrases parted by commas."""
    return Structure(
        key=key, kind=kind, leaves=tuple(leaves.split()), anchors=tuple((anchors or leaves).split()), main=main or key,
        parent=parent, names=_phrases(names), held_out=_phrases(held_out), source=source,
        channels=tuple(channels.split()) or None, home=home or parent, short=_phrases(short),
        short_held_out=_phrases(short_held_out), **facts,
    )  # fmt: skip


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(",") if phrase.strip())


RENAL, BOSNIAK = "R.E.N.A.L. nephrometry (Kutikov 2009)", "Bosniak 2019 (Silverman)"
LIRADS, PIRADS = "LI-RADS CT/MRI lexicon", "PI-RADS v2.1 sector map"
FLEISCHNER, BRATS = "Fleischner Society glossary", "BraTS 2024 (arXiv:2405.18368)"
MSD, ATLAS = "Medical Segmentation Decathlon (arXiv:1902.09063)", "label tables of BTCV, AMOS and TotalSegmentator"

_ALL = (
    # The paper's 14 structures and their sub-structures.
    _structure("left_atrium", "organ", "left_atrium",
               "left atrium, left atrial cavity, left atrial chamber, cavity of the left atrium",
               "left atrial blood pool, left cardiac atrium", source=MSD),
    _structure("liver", "organ", "liver_parenchyma liver_tumour",
               "liver, hepatic organ, liver parenchyma with its lesions, whole liver",
               "entire liver, hepatic gland", anchors="liver_parenchyma", source=LIRADS, side="right", landmark=True),
    _structure("liver_tumour", "lesion", "liver_tumour",
               "liver tumour, hepatic tumour, liver lesion, hepatic mass, tumour of the liver, focal hepatic lesion",
               "hepatic lesion, liver mass, hepatic neoplasm", parent="liver", source=LIRADS,
               short="tumour, lesion, mass", short_held_out="neoplasm", landmark=True),
    _structure("hepatic_vessels", "organ", "hepatic_vessels",
               "hepatic vessels, liver vessels, hepatic vasculature, vessels of the liver, intrahepatic vessels",
               "vascular tree of the liver, hepatic vascular tree", source=MSD, scattered=True, home="liver"),
    _structure("spleen", "organ", "spleen", "spleen, splenic organ, splenic parenchyma, whole spleen",
               "entire spleen, splenic tissue", source=MSD, side="left", landmark=True),
    _structure("pancreas", "organ", "pancreas_parenchyma pancreatic_tumour",
               "pancreas, pancreatic gland, whole pancreas, pancreatic organ",
               "entire pancreas, pancreatic tissue with its lesions",
               anchors="pancreas_parenchyma", source=MSD, landmark=True),
    _structure("pancreatic_tumour", "lesion", "pancreatic_tumour",
               "pancreatic tumour, pancreas tumour, pancreatic mass, tumour of the pancreas, pancreatic lesion",
               "mass of the pancreas, lesion of the pancreas, pancreatic neoplasm", parent="pancreas",
               source="SAR/APA template for pancreatic ductal adenocarcinoma (Al-Hawary 2014)",
               short="tumour, lesion, mass", short_held_out="neoplasm"),
    _structure("colon_tumour", "lesion", "colon_tumour",
               "colon tumour, colonic tumour, colon cancer, colonic mass, tumour of the colon",
               "mass of the colon, colonic neoplasm", source=MSD, home="colon"),
    _structure("lung_tumour", "lesion", "lung_tumour",
               "lung tumour, pulmonary tumour, lung cancer, pulmonary mass, tumour of the lung, lung nodule",
               "lung mass, pulmonary nodule, pulmonary neoplasm", source=FLEISCHNER, home="lung",
               short="tumour, mass, nodule", short_held_out="neoplasm"),
    _structure("kidney", "organ", "kidney_parenchyma kidney_tumour kidney_cyst right_kidney left_kidney whole_kidney",
               "kidney, kidneys, renal organ, renal tissue with its masses",
               "renal organs, kidney organ, kidney tissue with its masses",
               anchors="kidney_parenchyma right_kidney left_kidney whole_kidney", source=RENAL, paired=True),
    _structure("kidney_tumour", "lesion", "kidney_tumour",
               "kidney tumour, renal tumour, renal mass, tumour of the kidney, solid renal lesion",
               "kidney mass, solid renal mass, renal neoplasm", main="kidney_tumour", parent="kidney", source=RENAL,
               short="tumour, mass", short_held_out="neoplasm", landmark=True),
    _structure("kidney_cyst", "lesion", "kidney_cyst",
               "kidney cyst, renal cyst, cyst of the kidney, cystic renal lesion",
               "cystic kidney lesion, renal cystic lesion",
               main="kidney", parent="kidney", source=BOSNIAK, short="cyst", short_held_out="cystic lesion"),
    _structure("prostate", "organ", "peripheral_zone transition_zone whole_prostate",
               "prostate, prostate gland, prostatic gland, whole prostate", "entire prostate, prostatic organ",
               source=PIRADS),
    _structure("peripheral_zone", "part", "peripheral_zone",
               "peripheral zone, peripheral zone of the prostate, prostatic peripheral zone, "
               "outer zone of the prostate",
               "peripheral prostate zone, outer prostatic zone", main="prostate", parent="prostate",
               source=f"{PIRADS}; SNOMED CT 279706003"),
    _structure("transition_zone", "part", "transition_zone",
               "transition zone, transition zone of the prostate, prostatic transition zone, "
               "inner zone of the prostate",
               "transition prostate zone, inner prostatic zone", main="prostate", parent="prostate",
               source=f"{PIRADS}; SNOMED CT 399384005"),
    _structure("hippocampus", "organ", "anterior_hippocampus posterior_hippocampus whole_hippocampus",
               "hippocampus, hippocampal formation, whole hippocampus, hippocampal structure",
               "entire hippocampus, hippocampal tissue", source=MSD),
    _structure("anterior_hippocampus", "part", "anterior_hippocampus",
               "anterior hippocampus, hippocampal head, head of the hippocampus, anterior hippocampal part",
               "anterior part of the hippocampus, head of the hippocampal formation", main="hippocampus",
               parent="hippocampus", source=MSD),
    _structure("posterior_hippocampus", "part", "posterior_hippocampus",
               "posterior hippocampus, hippocampal body and tail, body and tail of the hippocampus, "
               "posterior hippocampal part",
               "posterior part of the hippocampus, body and tail of the hippocampal formation",
               main="hippocampus", parent="hippocampus", source=MSD),
    _structure("brain_tumour", "lesion",
               "enhancing_tumour necrotic_core brain_oedema nonenhancing_tumour tumour_cyst whole_brain_tumour",
               "brain tumour, whole brain tumour, glioma, brain tumour with oedema, intracranial tumour",
               "whole glioma, intracranial glioma, whole intracranial tumour", source=f"{BRATS}; VASARI",
               home="brain_tumour"),
    _structure("tumour_core", "part", "enhancing_tumour necrotic_core nonenhancing_tumour tumour_cyst",
               "tumour core, core of the brain tumour, core of the glioma, brain tumour core",
               "glioma core, core of the intracranial tumour", main="brain_tumour", parent="brain_tumour",
               anchors="enhancing_tumour", channels="T1c T2", source=BRATS),
    _structure("enhancing_tumour", "part", "enhancing_tumour",
               "enhancing tumour, enhancing rim, contrast-enhancing tumour, enhancing part of the glioma",
               "enhancing part of the brain tumour, enhancing glioma rim", main="brain_tumour",
               parent="brain_tumour", channels="T1c", source=f"{BRATS}; VASARI F5"),
    _structure("necrotic_core", "part", "necrotic_core",
               "necrotic core, necrotic tumour core, necrosis of the brain tumour, necrotic part of the glioma",
               "necrotic glioma core, necrotic part of the brain tumour", main="brain_tumour",
               parent="brain_tumour", channels="T1c", source=f"{BRATS}; VASARI F7"),
    _structure("brain_oedema", "part", "brain_oedema",
               "peritumoural oedema, oedema around the tumour, surrounding oedema, oedema of the brain",
               "peritumoural brain oedema, surrounding brain oedema", main="brain_tumour",
               parent="brain_tumour", channels="T2 FLAIR", source=f"{BRATS}; VASARI F14", short="oedema"),
    _structure("resection_cavity", "part", "resection_cavity",
               "resection cavity, surgical cavity, postoperative cavity, cavity after resection",
               "postoperative resection cavity, surgical resection cavity", main="brain_tumour", source=BRATS),
    # BraTS-PED tells solid tumour without enhancement from cysts (arXiv:2404.15009); others call both NETC.
    _structure("nonenhancing_tumour", "part", "nonenhancing_tumour",
               "non-enhancing tumour, nonenhancing tumour, solid tumour without enhancement, "
               "non-enhancing part of the glioma",
               "non-enhancing part of the brain tumour, tumour tissue without enhancement", main="brain_tumour",
               parent="brain_tumour", channels="T1c T2 FLAIR", source="BraTS-PEDs (arXiv:2404.15009)"),
    _structure("tumour_cyst", "part", "tumour_cyst",
               "tumour cyst, cystic component of the glioma, cystic part of the brain tumour, intratumoural cyst",
               "cystic component of the brain tumour, cystic part of the glioma", main="brain_tumour",
               parent="brain_tumour", channels="T1c T2 FLAIR", source="BraTS-PEDs (arXiv:2404.15009)"),
    # MEN-RT's gross tumour volume: tumour with its nodular dural tail. Extra-axial, so no part of a brain tumour.
    _structure("meningioma", "lesion", "meningioma",
               "meningioma, intracranial meningioma, meningeal tumour, gross tumour volume of the meningioma",
               "dural tumour, meningeal neoplasm", main="brain_tumour", source="BraTS-MEN-RT (arXiv:2405.18383)"),
    # Further organs of users' own collections.
    _structure("gallbladder", "organ", "gallbladder",
               "gallbladder, gall bladder, whole gallbladder, biliary bladder", "entire gallbladder", source=ATLAS),
    _structure("oesophagus", "organ", "oesophagus", "oesophagus, esophagus, whole oesophagus, oesophageal tube",
               "entire oesophagus, gullet", source=ATLAS),
    _structure("stomach", "organ", "stomach", "stomach, gastric organ, whole stomach, stomach with its contents",
               "entire stomach", source=ATLAS, landmark=True),
    _structure("duodenum", "organ", "duodenum", "duodenum, duodenal loop, whole duodenum", "entire duodenum",
               source=ATLAS),
    _structure("aorta", "organ", "aorta", "aorta, abdominal aorta, aortic vessel, aortic lumen and wall",
               "whole aorta, aortic trunk", source=ATLAS, landmark=True),
    _structure("inferior_vena_cava", "organ", "inferior_vena_cava",
               "inferior vena cava, IVC, postcava, vena cava inferior", "inferior caval vein, caval vein",
               source=ATLAS),
    _structure("portal_and_splenic_veins", "organ", "portal_and_splenic_veins",
               "portal and splenic veins, portal vein and splenic vein, portal venous system, portosplenic veins",
               "splenic and portal veins, portosplenic venous system", source=ATLAS),
    _structure("adrenal_gland", "organ", "right_adrenal_gland left_adrenal_gland adrenal_gland",
               "adrenal gland, adrenal glands, suprarenal gland, suprarenal glands",
               "adrenals, suprarenals, suprarenal organ", source=ATLAS, paired=True),
    _structure("urinary_bladder", "organ", "urinary_bladder", "urinary bladder, bladder, whole urinary bladder",
               "entire urinary bladder", source=ATLAS),
    _structure("lung", "organ", "lung right_lung left_lung", "lung, lungs, pulmonary parenchyma, lung fields",
               "pulmonary tissue", source=ATLAS, paired=True),
    _structure("heart", "organ", "heart", "heart, cardiac silhouette, whole heart", "entire heart", source=ATLAS),
)  # fmt: skip

STRUCTURES: dict[str, Structure] = {structure.key: structure for structure in _ALL}
"""All structures by key."""

PAPER_STRUCTURES: tuple[str, ...] = (
    "left_atrium", "liver", "liver_tumour", "hepatic_vessels", "spleen", "pancreas", "pancreatic_tumour",
               "colon_tumour",
    "lung_tumour", "kidney", "kidney_tumour", "prostate", "hippocampus", "brain_tumour",
)  # fmt: skip
"""The 14 structures that the paper counts."""

LEAVES: frozenset[str] = frozenset(leaf for structure in _ALL for leaf in structure.leaves)
"""Every label that some structure is made of."""


def structure(key: str) -> Structure:
    """Look a structure up.

    Raises:
        OntologyError: the key is unknown.
    """
    if key not in STRUCTURES:
        raise OntologyError(f"expected a structure of the ontology, got {key!r}. Known are {sorted(STRUCTURES)}.")
    return STRUCTURES[key]


def available(labelled: Collection[str], *, channel: str) -> list[Structure]:
    """Structures that a collection which labels the leaves `labelled` can be asked about on `channel`, in ontology
    order."""
    return [
        item
        for item in _ALL
        if any(anchor in labelled for anchor in item.anchors) and (item.channels is None or channel in item.channels)
    ]


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
