"""What clinicians write beyond the lexicon: abbreviations, requests, reasons, ways to leave something out.

The structured reader (`structured.py`) knows these beside the lexicon; the strict reader, which verifies
prompts, does not. Made from the kinds of the language reference and from reporting usage (RSNA RadLex, RANO, BraTS,
PI-RADS, RENAL), never from the clinical sentences, which are a test set.
"""

from __future__ import annotations

from collections.abc import Iterator

from semantiseg.language.program import Program, atom, call
from semantiseg.language.reader.lexicon import LEXICON, Kind, Lexeme

ABBREVIATIONS: tuple[tuple[str, str], ...] = (
    (r"\bw/o\b", "without"), (r"\bw/", "with "), (r"\bexcl\.?(?=\s|$)", "excluding"),
    (r"\bincl\.?(?=\s|$)", "including"),
    (r"\bs/p\b", "status post"), (r"\bhx\b", "history of"), (r"\blt\.?(?=\s)", "left"), (r"\brt\.?(?=\s)", "right"),
    (r"\(l\)", ", left side"), (r"\(r\)", ", right side"), (r"\bl(?= (?:kidney|lung|adrenal|renal))", "left"),
    (r"\br(?= (?:kidney|lung|adrenal|renal))", "right"), (r"\bant\.?(?=\s)", "anterior"),
    (r"\bpost\.(?=\s)", "posterior"), (r"\bpls\b|\bplz\b", "please"), (r"\bdon't\b", "do not"),
    (r"\bdoesn't\b", "does not"), (r"\bisn't\b", "is not"), (r"\bi'd like\b", "i would like"), (r"\bn't\b", " not"),
    (r"\be\.g\.", "such as"), (r"\s\+\s", " and "), (r"\s&\s", " and "), (r"\s[-\u2013\u2014]\s", ", "),
    (r"\b((?:all|everything|whole|entire)\b[^,;]*?)\bbut\b(?! (?:not|without|leave|exclude|omit|spare|avoid|do))",
     r"\1except"),
    (r"[()\[\]\"]", ", "), (r"(?<!\d)\.(?=\s|$)|\?(?=\s|$)|!(?=\s|$)", " ; "), (r"(?<=[a-z])/(?=[a-z])", " and "),
)  # fmt: skip
"""Pattern -> what it stands for, in lower case."""

NAMES: dict[str, str] = {
    "left_atrium": "la|la cavity|la chamber|left atrial lumen",
    "liver": "total liver|liver including its lesions|liver as a whole",
    "liver_tumour": "liver deposit|liver deposits|hepatic deposit|hepatic deposits|"
    "hepatic metastasis|hepatic metastases|"
    "liver mets|liver met|hepatic mets|hepatic malignancy|focal liver lesion|focal liver lesions|liver cancer",
    "hepatic_vessels": "hepatic and portal vessels|liver vascular tree|intrahepatic vasculature",
    "pancreas": "pancreas including the mass|pancreas including the tumour",
    "pancreatic_tumour": "pdac|pancreatic primary|pancreatic cancer|pancreatic head mass",
    "colon_tumour": "colonic primary|colon carcinoma|large-bowel tumour|large bowel tumour|"
    "bowel tumour|colorectal cancer|"
    "crc|colorectal primary",
    "lung_tumour": "lung primary|pulmonary lesion|nsclc|lung lesion|pulmonary nodules|lung met|lung mets",
    "kidney": "kidneys including masses|kidney including its lesions",
    "kidney_tumour": "renal cancer|enhancing renal mass|renal cell cancer|renal malignancy|kidney cancer",
    "kidney_cyst": "simple renal cyst|cortical cyst|benign cyst|renal cortical cyst",
    "prostate": "whole gland|prostate as a whole",
    "peripheral_zone": "pz",
    "transition_zone": "tz|central gland|transitional zone",
    "hippocampus": "hippocampal complex|hippocampal formation",
    "anterior_hippocampus": "pes hippocampi|anterior hippocampal segment|hippocampus head|hippocampal heads",
    "posterior_hippocampus": "hippocampal body-tail segment|body-tail segment|posterior hippocampal segment|"
    "hippocampal body and hippocampal tail|hippocampal body plus tail",
    "brain_tumour": "whole tumour|wt|tumour with its oedema|tumour with surrounding oedema|tumour including oedema|"
    "total lesion including flair abnormality|glioma with its oedema|flair abnormality",
    "tumour_core": "tc|enhancing plus necrotic tumour",
    "enhancing_tumour": "et|contrast-enhancing component|enhancing disease|contrast enhancement|enhancement|"
    "enhancing component|enhancing part",
    "necrotic_core": "ncr|central necrosis",
    "brain_oedema": "vasogenic oedema|perilesional oedema|snfh|oedema around the mass",
    "resection_cavity": "rc|operative cavity|surgical bed cavity|resection cavities",
    "gallbladder": "gb",
    "portal_and_splenic_veins": "portosplenic confluence",
    "inferior_vena_cava": "cava",
}  # fmt: skip
"""Structure -> further names, in British spelling."""

SHORT: dict[str, tuple[str, ...]] = {
    "head": ("anterior_hippocampus",),
    "heads": ("anterior_hippocampus",),
    "body and tail": ("posterior_hippocampus",),
    "body and the tail": ("posterior_hippocampus",),
    "body plus tail": ("posterior_hippocampus",),
    "tail and body": ("posterior_hippocampus",),
    "core": ("tumour_core",),
    "rim": ("enhancing_tumour",),
    "necrotic centre": ("necrotic_core",),
    "vessels": ("hepatic_vessels",),
    "vasculature": ("hepatic_vessels",),
    "metastases": ("liver_tumour",),
    "mets": ("liver_tumour", "lung_tumour"),
    "deposits": ("liver_tumour",),
    "primary": ("pancreatic_tumour", "colon_tumour", "lung_tumour"),
}
"""Short nouns -> the structures that they may be, told by what else the sentence names ("its head")."""

_KINDS: tuple[tuple[Kind, str], ...] = (
    (
        Kind.EXCLUDE,
        "do not include|does not include|not to be included|should not include|must not include|other than|sparing|"
        "net of|leaving out|but leaving out|but not its|with the exception of|with the omission of|omitting|"
        "but without|and leave out|no need for|not interested in|not needed|do not outline|do not contour|"
        "do not segment|do not mark|do not draw|stay out of|keep out of|keep clear of|short of|devoid of|"
        "with no part of|but omit|ignoring|disregard|skip|skipping|and exclude|then subtract|"
        "and subtract|then remove|and remove|subtract|remaining outside|outside|exclude|excluding|excludes|excepting",
    ),
    (
        Kind.EXCLUDED,
        "excluded|omitted|spared|left out|subtracted|removed|not included|to be excluded|is excluded|are excluded|"
        "to be left out|is to be left out|should be left out|should be excluded|must be excluded|aside|not wanted|"
        "is not included|are not included|should not be included|must not be included|not to be included|"
        "is omitted|are omitted|is not wanted|are not wanted|is not needed|not needed|taken off|disregarded",
    ),
    (
        Kind.FILLER,
        "i want|we want|i need|we need|i would like|we would like|want|need|to have|to see|see|give|give us|provide|"
        "return|generate|create|produce|obtain|perform|get|make|requested|required|needed|wanted|to be|contoured|"
        "outlined|segmented|marked|delineated|measured|contouring|segmenting|outlining|delineating|delineation|"
        "volumetry|volumetry of|measurement of|contour|contours|contours of|a contour|outlines|a mask|annotation of|"
        "annotation|gtv of|gtv|ctv|roi of|roi|structure set|manual|accurate|precise|careful|carefully|exact|exactly|"
        "request for|request|requesting|would you mind|would you|could we|may i|may we|let us|do|does|what|what does|"
        "look like|looks like|how|how does|where does|lie|where do|show us|us|me|you|we|i|your|my|our|on this scan|"
        "on the scan|in the scan|this scan|in the picture|on this study|on this examination|in the patient|pixels|"
        "voxels|pixels belonging to|belonging to|that belong to|the region of|region|area|structure|itself|as such|"
        "alone|solely|exclusively|namely|thanks|thank you|kindly|today|would|should|must|may|and nothing else|"
        "nothing else|obvious|clearly|for me|for us|there is|there are|seen here|the whole of|whole of|entirety of|"
        "overall|total|his|her|hers|its own|same|full|also|then|next|so|such as",
    ),
    (Kind.AND, "along with|together with|including its|including|as well as|in one contour with|plus"),
    (Kind.FREE, "spared by|with no evidence of|not harbouring|from which no arises|free of any|clear of any|lacking"),
    (Kind.BEAR, "from which|harbouring|involved by|affected by|bearing"),
    (Kind.PLACE, "arising from|arising in|sitting in|sited in"),
)

REASONS = (
    "for", "prior to", "before", "in view of", "because", "because of", "to assess", "to evaluate",
    "to rule out", "given", "due to",
    "as part of", "since", "so that", "in preparation for", "following", "status post", "in order to",
    "as we", "to plan", "to guide", "to help", "to monitor", "to check", "with a view to", "ahead of",
    "in the context of", "on account of", "owing to", "when", "while", "who", "as the patient", "in a patient",
    "to compare", "to follow", "to quantify",
)  # fmt: skip
"""Words that begin a reason; what follows up to the next stop says nothing of the mask, if a target came before."""

HISTORIES = frozenset(
    "history known patient pt year-old years-old yo y-o y/o man woman male female gentleman lady boy girl indication "
    "clinical background diagnosed diagnosis follow-up followup status referral referred "
    "question complains complaining presents presenting admitted treated smoker epilepsy headache pain dyspnoea "
    "haematuria seizures since aged postoperative preoperative planned planning scheduled day days week weeks month "
    "months year years old chemotherapy radiotherapy".split()
)
"""A segment of a sentence that holds one of these tells of the patient and asks for nothing."""

DANGEROUS = frozenset(
    "no not never neither nor none cannot without but except unless two three four five second third fourth other "
    "another some most few several many near nearby adjacent beside next beyond between upper lower superior inferior "
    "medial lateral apical basal cranial caudal proximal distal rim margin border boundary edge capsule wall surface "
    "centre quarter third thirds pole lobe segment vein artery duct contralateral ipsilateral opposite if either "
    "least more less than under over above below mirrored twice double volume length height depth thickness screen "
    "viewer previous previously earlier former formerly".split()
)
"""Unknown words that no reader may guess around, wherever they stand."""


def _meanings() -> Iterator[tuple[str, Kind, object]]:
    for key, names in NAMES.items():
        yield from ((name, Kind.THING, atom(key)) for name in names.split("|"))
    for noun, keys in SHORT.items():
        yield noun, Kind.NOUN, keys
    for kind, phrases in _KINDS:
        yield from ((phrase, kind, None) for phrase in phrases.split("|"))
    yield from ((phrase, Kind.REASON, None) for phrase in REASONS)
    yield from ((word, Kind.TAKE, None) for word in ("leaving", "taking"))
    yield "out", Kind.EXCLUDED, None
    for organ, lesion in (("liver", "liver_tumour"), ("pancreas", "pancreatic_tumour")):
        spared: Program = call("minus", atom(organ), atom(lesion))
        for front in ("healthy", "normal", "uninvolved", "unaffected", "tumour-free", "lesion-free", "non-tumorous"):
            for noun in {"liver": ("liver", "hepatic parenchyma", "liver parenchyma", "liver tissue"),
                         "pancreas": ("pancreas", "pancreatic parenchyma", "pancreatic tissue")}[organ]:  # fmt: skip
                yield f"{front} {noun}", Kind.THING, spared


def _lexicon() -> dict[str, list[Lexeme]]:
    merged = {lexeme.words: lexeme for lexemes in LEXICON.values() for lexeme in lexemes}
    for phrase, kind, value in _meanings():
        words = tuple(phrase.split())
        # A name of the ontology stays what it is.
        if words not in merged or merged[words].kind not in (Kind.THING, Kind.NOUN):
            merged[words] = Lexeme(words, kind, value)
    table: dict[str, list[Lexeme]] = {}
    for words in sorted(merged, key=len, reverse=True):
        table.setdefault(words[0], []).append(merged[words])
    return table


CLINICAL_LEXICON: dict[str, list[Lexeme]] = _lexicon()
"""The lexicon and what clinicians write beyond it; first word -> lexemes that begin with it, longest first."""
