"""What clinicians write beyond the lexicon: abbreviations, requests, reasons, ways to leave something out.

The structured reader (`structured.py`) knows these beside the lexicon; the strict reader, which verifies
prompts, does not. Made from the kinds of the language reference and from reporting usage (RSNA RadLex, RANO, BraTS,
PI-RADS, RENAL), never from the clinical sentences, which are a test set.
"""

from __future__ import annotations

from collections.abc import Iterator

from semantiseg.language.program import Program, atom, call
from semantiseg.language.reader.lexicon import LEXICON, TUMOURS, Kind, Lexeme
from semantiseg.language.reader.tokens import split

_SCAN = (
    r"(?:(?:the|this|an?|these|today's|current|axial|coronal|sagittal|portal|venous|arterial|late|early|delayed|"
    r"contrast|enhanced|contrast-enhanced|native|non-contrast|unenhanced|follow-up|baseline|planning|staging|weighted|"
    r"post-contrast|pre-contrast|t1|t2|t1c|t1w|t2w|flair|adc|dwi|ct|mr|mri)[- ])*"
    r"(?:ct|mri|mr|t1c?|t2|t1w|t2w|flair|scans?|images?|slices?|study|sequences?|series|phase|section|exam|"
    r"examination)\b"
    r"(?! (?:left|right))"
)
"""What a sentence calls the picture; no side of a picture is meant by it, where no side stands before."""

ABBREVIATIONS: tuple[tuple[str, str], ...] = (
    (r"\bw/o\b", "without"), (r"\bw/", "with "), (r"\bexcl\.?(?=\s|$)", "excluding"),
    (r"\bincl\.?(?=\s|$)", "including"),
    (r"\bs/p\b", "status post"), (r"\bhx\b", "history of"), (r"\blt\.?(?=\s)", "left"), (r"\brt\.?(?=\s)", "right"),
    (r"\(l\)", ", left side"), (r"\(r\)", ", right side"), (r"\bl(?= (?:kidney|lung|adrenal|renal))", "left"),
    (r"\br(?= (?:kidney|lung|adrenal|renal))", "right"), (r"\bant\.?(?=\s)", "anterior"),
    (r"\bpost\.(?=\s)", "posterior"), (r"\bpls\b|\bplz\b", "please"), (r"\bdon't\b", "do not"),
    (r"\bdoesn't\b", "does not"), (r"\bisn't\b", "is not"), (r"\bi'd like\b", "i would like"), (r"\bn't\b", " not"),
    (r"\be\.g\.", "such as"), (r"\bi\.e\.,?", ", "), (r"\b(?:that is|namely|viz\.?),", ", "),
    (r"\bteh\b|\bhte\b", "the"), (r"\badn\b|\bnad\b", "and"), (r"\bwiht\b|\bwtih\b", "with"),
    (r"\bsans\b", "without"),
    (r"\bnon[- ](?=tumo|involved|affected|lesion)", "un"), (r"\b(?:pre|post)[- ]?op\b", "perioperative"),
    (r"(?<!\bleft )(?<!\bright )\b(?:on|in|from) " + _SCAN, ""),
    (r"\s\+\s", " and "), (r"\s&\s", " and "), (r"\s[-\u2013\u2014]\s", ", "),
    (r"\b((?:all|everything|whole|entire)\b[^,;]*?)\bbut\b(?! (?:not|without|leave|exclude|omit|spare|avoid|do))",
     r"\1except"),
    (r",? ?\bbut (?=(?:please |kindly |then )*(?:leave|exclude|omit|not\b|without|remove|subtract|spare|avoid|do not))",
     ", "),
    (r"[()\[\]\"]", ", "), (r"(?<!\d)\.(?=\s|$)|\?(?=\s|$)|!(?=\s|$)", " ; "), (r"(?<=[a-z])/(?=[a-z])", " and "),
)  # fmt: skip
"""Pattern -> what it stands for, in lower case."""

NAMES: dict[str, str] = {
    "left_atrium": "la|la cavity|la chamber|left atrial lumen",
    "liver": "total liver|liver including its lesions|liver as a whole",
    "liver_tumour": "liver deposit|liver deposits|hepatic deposit|hepatic deposits|"
    "hepatic metastasis|hepatic metastases|"
    "colorectal liver metastases|colorectal liver metastasis|colorectal metastases|crlm|liver mets|liver met|"
    "hepatic mets|hepatic malignancy|focal liver lesion|focal liver lesions|liver cancer",
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
    "brain_oedema": "vasogenic oedema|perilesional oedema|snfh|oedema around the mass|oedema around the glioma|"
    "oedema around the lesion|oedema surrounding the tumour|oedema surrounding the mass|oedema surrounding the glioma|"
    "oedema surrounding the lesion|tumour oedema|perifocal oedema|tumour-associated oedema",
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
    "enhancing rim": ("enhancing_tumour",),
    "enhancing portion": ("enhancing_tumour",),
    "zones": ("peripheral_zone", "transition_zone"),
    "head, body and tail": ("anterior_hippocampus", "posterior_hippocampus"),
    "head and body and tail": ("anterior_hippocampus", "posterior_hippocampus"),
    **dict.fromkeys(("gtv", "gross tumour", "gross tumour volume"), TUMOURS),
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
        "is left without|are left without|remains without|without any of|without any of its|without all of its|"
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
        "volumetry|volumetry of|volumes|volume|volumetric|total volume|belong|belongs|belong to|belongs to|"
        "which pixels|pixel|voxel|every pixel|every voxel|"
        "which voxels|exactly|head to tail|from head to tail|in its entirety|in full|throughout|any of|any of its|"
        "all of its|all its|each of|arises|arise|arose|as a whole|as a single volume|as one structure|as one|together|"
        "in one mask|in one volume|one contour|a single contour|single contour|one mask|in total|as target|"
        "as organ at risk|as an organ at risk|as organs at risk|as oar|organ at risk|organs at risk|at risk|oar|"
        "bilateral|"
        "residual|recurrent|biopsy-proven|proven|incidental|planning|dosimetry|staging|measurement|"
        "measurements|quantification|auto|automatic|automatically|manually|semi-automatic|segmenting|segmentations|"
        "identify|locate|localise|localize|label|labelled|define|defined|display|present|report|compute|calculate|"
        "determine|estimate|derive|prepare|produce|render|save|export|add|apply|assist|help|make|kindly|grateful|"
        "appreciated|ask|asked|asking|wish|want to see|looking for|look for|interested in|interest|of interest|"
        "structure of interest|region of interest|target|targets|target volume|boundaries|borders of|outer contour|"
        "outer contour of|endocardial|gross|of the patient|in this case|in our patient|in this patient|on both sides|"
        "both sides|each side|respectively|as requested|as discussed|as usual|here|there|now|again|asap|urgent|"
        "urgently|"
        "routine|routinely|following structure|the following|the extent of|full extent|extent|it out|out for us|"
        "out for me|dear colleague|hello|hi|good morning|colleague|team|"
        "measurement of|contour|contours|contours of|a contour|outlines|a mask|annotation of|"
        "annotation|gtv of|gtv|ctv|roi of|roi|structure set|manual|accurate|precise|careful|carefully|exact|exactly|"
        "request for|request|requesting|would you mind|would you|could we|may i|may we|let us|do|does|what|what does|"
        "look like|looks like|how|how does|where does|lie|where do|show us|us|me|you|we|i|your|my|our|on this scan|"
        "on the scan|in the scan|this scan|in the picture|on this study|on this examination|in the patient|pixels|"
        "voxels|pixels belonging to|belonging to|that belong to|the region of|region|area|structure|itself|as such|"
        "alone|solely|exclusively|namely|thanks|thank you|kindly|today|would|should|must|may|and nothing else|"
        "nothing else|obvious|clearly|for me|for us|there is|there are|seen here|the whole of|whole of|entirety of|"
        "overall|total|his|her|hers|its own|same|full|also|then|so|such as",
    ),
    (Kind.WITH, "with its|with their|with its own|with his|with her"),
    (Kind.AND, "included|is included|are included|to be included|should be included|including any|including all|"
        "including the|including all of its|including both|including its own|together with its|together with their|"
        "along with its|along with their|plus its|plus any|and its|and their|combined with its|inclusive of|"
        "along with|together with|including its|including|as well as|in one contour with|plus"),
    (Kind.FREE, "spared by|with no evidence of|not harbouring|from which no arises|free of any|clear of any|lacking"),
    (Kind.BEAR, "from which|harbouring|involved by|affected by|bearing"),
    (Kind.PLACE, "arising from|arising in|sitting in|sited in"),
)

REASONS = (
    "seen on", "seen at", "found on", "found at", "noted on", "detected on", "detected at", "shown on", "known from",
    "query", "in suspected", "in known", "in a case of", "in the setting of", "in case of", "in someone with",
    "in patient with", "in patients with", "in this patient with", "with known", "with suspected", "with a history of",
    "as a basis for", "as a baseline", "as per", "as part", "as preparation for", "as input for", "as discussed",
    "for use in",
    "on behalf of", "after", "post", "pending", "considering", "under consideration for", "suitable for", "towards",
    "so we",
    "which will", "which is to", "that will", "that is to", "she", "he", "patient is", "who is", "who has",
    "in whom", "whose",
    "undergoing", "awaiting", "with lymphoma", "to document", "to measure", "to calculate", "to determine",
    "to quantify",
    "to support", "to decide", "to see whether", "to see if", "to follow up", "to see how", "to confirm",
    "to exclude progression",
    "to estimate", "to define", "to allow", "to prepare", "to facilitate", "needed for", "required for",
    "requested for",
    "used for", "used in", "as we are", "as this", "as she", "as he", "because we",
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
    "months year years old chemotherapy radiotherapy cirrhosis hepatitis steatosis pancreatitis jaundice hypertension "
    "diabetes diabetic dementia alzheimer's alzheimer sclerosis schizophrenia depression lymphoma leukaemia sarcoma "
    "melanoma "
    "bph copd af fibrillation ckd stroke trauma fever cough headaches nausea vomiting weight psa afp cea platelets "
    "platelet "
    "anaemia splenomegaly hepatomegaly hydronephrosis cholangitis colitis crohn's amnesia memory seizure convulsions "
    "arrhythmia palpitations claudication alcohol alcoholic obesity obese pregnant asthma allergy allergic "
    "infection covid "
    "immunosuppressed perioperative volunteer volunteers participant cohort trial study "
    "protocol register registry surgery resection nephrectomy hepatectomy prostatectomy lobectomy hemicolectomy "
    "embolisation ablation biopsy treatment therapy immunotherapy steroids dexamethasone relapse recurrence "
    "surveillance "
    "screening incidentally asymptomatic symptomatic unwell deteriorating lethargic fall falls accident ed icu ward "
    "clinic "
    "mdt meeting board conference oncologist surgeon surgeons urologist neurologist radiologist gp consultant".split()
)
"""A segment of a sentence that holds one of these tells of the patient and asks for nothing."""

TURNING = frozenset(
    "no not never neither nor none cannot without but except unless if other another opposite contralateral "
    "ipsilateral".split()
)
"""Words that turn a meaning even in a reason."""

DANGEROUS = TURNING | frozenset(
    "two three four five second third fourth other "
    "another some most few several many near nearby adjacent beside next beyond between upper lower superior inferior "
    "medial lateral apical basal cranial caudal proximal distal next rim margin border boundary edge capsule wall "
    "surface "
    "centre quarter third thirds pole lobe segment vein artery duct contralateral ipsilateral opposite if either "
    "least more less than under over above below mirrored twice double length height depth thickness screen "
    "viewer previous previously earlier former formerly".split()
)
"""Unknown words that no reader may guess around, wherever they stand."""


NEEDS_EXCLUSION = frozenset(
    f"{organ} {tissue}" for organ in ("liver", "hepatic", "kidney", "renal", "pancreatic", "pancreas")
    for tissue in ("parenchyma", "tissue")
) | {"rest of", "remainder of", "remaining", "remaining part of", "remnant", "remains of", "rest"}  # fmt: skip
"""Words that leave open what is meant, unless the sentence says what is left out: tumours are no parenchyma."""

ATTRIBUTES: dict[tuple[str, str], str] = {
    ("density", "hypodense"): "decreased attenuation|hypoenhancing|of decreased attenuation|of low attenuation|"
    "of low density|low in attenuation|lower in attenuation than the parenchyma|lower attenuation|"
    "darker than the parenchyma|hypodense to the parenchyma|hypodense relative to the parenchyma|low attenuating",
    ("density", "isodense"): "of the same attenuation as the parenchyma|isodense to the parenchyma|isoenhancing|"
    "of the same density as the parenchyma|same attenuation|same density",
    ("density", "hyperdense"): "increased attenuation|increased density|dense|hyperenhancing|of high attenuation|"
    "of increased attenuation|of high density|hyperdense to the parenchyma",
    ("signal", "hypointense"): "decreased signal|t1-dark|t2-dark|flair-dark|reduced signal intensity|low t1 signal|"
    "low t2 signal|of low signal|of decreased signal|signal-poor",
    ("signal", "isointense"): "similar signal|of similar signal|same signal|of the same signal",
    ("signal", "hyperintense"): "increased signal|t2-bright|flair-bright|t1-bright|of high signal|of increased signal|"
    "increased signal intensity|high t2 signal|high flair signal|elevated signal|bright signal|signal-rich",
    ("texture", "homogeneous"): "of uniform signal|of uniform density|uniform signal|uniform density|uniform texture|"
    "homogeneous signal|homogeneous density|homogeneously dense|of uniform attenuation|uniform attenuation",
    ("texture", "heterogeneous"): "mixed density|of mixed density|mixed signal|of mixed signal|mixed attenuation|"
    "of mixed attenuation|heterogeneous signal|heterogeneous density|heterogeneous attenuation|of mixed texture|"
    "inhomogeneous signal|inhomogeneous density",
    ("shape", "round"): "spheroid|spherical|roundish|rounded in shape|round in shape",
    ("shape", "elongated"): "tubular|band-like|elongated in shape|cigar-shaped",
    ("shape", "irregular"): "irregular in outline|irregular in shape|geographic|irregular outline|irregular contour|"
    "of irregular shape|irregular-shaped|irregularly outlined",
    ("margin", "well_defined"): "well demarcated|well-demarcated|circumscribed|discrete|sharply demarcated|"
    "well-delineated|well delineated|clearly defined|clear margins|well marginated|well-marginated|"
    "sharply circumscribed|"
    "smooth margins|smoothly marginated",
    ("margin", "ill_defined"): "poorly demarcated|infiltrative margins|ill-demarcated|infiltrative|poorly delineated|"
    "unclear margins|vague margins|indistinct border|indistinct borders|poorly marginated|with infiltrative margins",
}  # fmt: skip
"""Attribute and value -> further words."""

ADJECTIVES = {
    "hepatic": "liver", "splenic": "spleen", "pancreatic": "pancreas", "renal": "kidney", "prostatic": "prostate",
    "hippocampal": "hippocampus", "left atrial": "left_atrium", "la": "left_atrium", "aortic": "aorta",
    "gastric": "stomach", "oesophageal": "oesophagus", "duodenal": "duodenum", "adrenal": "adrenal_gland",
}  # fmt: skip
"""Adjective -> the organ whose contour, volume or segmentation it asks for."""
_ASKED_NOUNS = (
    "contour contours outline outlines segmentation segmentations mask masks volume volumes volumetry delineation "
    "contouring measurement measurements morphometry boundary boundaries annotation roi size atrophy"
)

IN_DIAMETER = frozenset((
    "in greatest dimension|in maximal diameter|in maximum diameter|in greatest diameter|in largest dimension|"
    "in long axis|"
    "long axis|long-axis diameter|greatest dimension of|greatest diameter of|maximal axial diameter|"
    "maximal axial diameter of|maximal diameter of|maximum diameter of|maximal diameter|maximum diameter|diameter|"
    "greatest dimension|of diameter|in longest diameter|longest diameter of|largest diameter of|size|long"
).split("|"))
"""Words that a diameter takes, and nothing else: they must stand beside a number."""


def _meanings() -> Iterator[tuple[str, Kind, object]]:
    for key, names in NAMES.items():
        yield from ((name, Kind.THING, atom(key)) for name in names.split("|"))
    for noun, keys in SHORT.items():
        yield noun, Kind.NOUN, keys
    for kind, phrases in _KINDS:
        yield from ((phrase, kind, None) for phrase in phrases.split("|"))
    yield from ((phrase, Kind.REASON, None) for phrase in REASONS)
    for (attribute, value), phrases in ATTRIBUTES.items():
        yield from ((phrase, Kind.ATTRIBUTE, (attribute, value)) for phrase in phrases.split("|"))
    yield from ((phrase, Kind.FILLER, None) for phrase in IN_DIAMETER)
    for phrase in NEEDS_EXCLUSION:
        organ = ADJECTIVES.get(phrase.split()[0], phrase.split()[0])
        is_tissue = phrase.endswith(("parenchyma", "tissue"))
        yield phrase, Kind.THING if is_tissue else Kind.FILLER, atom(organ) if is_tissue else None
    for adjective, key in ADJECTIVES.items():
        for noun in _ASKED_NOUNS.split():
            yield f"{adjective} {noun}", Kind.THING, atom(key)
    yield from ((word, Kind.TAKE, None) for word in ("leaving", "taking"))
    yield "out", Kind.EXCLUDED, None
    for organ, lesion in (("liver", "liver_tumour"), ("pancreas", "pancreatic_tumour")):
        spared: Program = call("minus", atom(organ), atom(lesion))
        for front in ("healthy", "normal", "uninvolved", "unaffected", "tumour-free", "lesion-free", "untumorous",
                      "unlesional", "uninvolved healthy", "spared", "disease-free", "untumoural"):  # fmt: skip
            for noun in {"liver": ("liver", "hepatic parenchyma", "liver parenchyma", "liver tissue"),
                         "pancreas": ("pancreas", "pancreatic parenchyma", "pancreatic tissue")}[organ]:  # fmt: skip
                yield f"{front} {noun}", Kind.THING, spared


def _lexicon() -> dict[str, list[Lexeme]]:
    merged = {lexeme.words: lexeme for lexemes in LEXICON.values() for lexeme in lexemes}
    for phrase, kind, value in _meanings():
        words = tuple(split(phrase))
        # A name of the ontology stays what it is.
        if words not in merged or merged[words].kind not in (Kind.THING, Kind.NOUN):
            merged[words] = Lexeme(words, kind, value)
    table: dict[str, list[Lexeme]] = {}
    for words in sorted(merged, key=len, reverse=True):
        table.setdefault(words[0], []).append(merged[words])
    return table


CLINICAL_LEXICON: dict[str, list[Lexeme]] = _lexicon()
"""The lexicon and what clinicians write beyond it; first word -> lexemes that begin with it, longest first."""
