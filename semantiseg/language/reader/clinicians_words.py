"""What clinicians write beyond the lexicon: names, requests, ways to leave something out.

The structured reader (`structured.py`) knows these beside the lexicon; the strict reader, which verifies
prompts, does not. Made from the kinds of the language reference and from reporting usage (RSNA RadLex, RANO, BraTS,
PI-RADS, RENAL), never from the clinical sentences, which are a test set.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import DIRECTIONS, Program, atom, call
from semantiseg.language.reader.clinicians_phrases import ATTRIBUTES, REASONS, SAID_OF
from semantiseg.language.reader.lexicon import LEXICON, TUMOURS, Kind, Lexeme
from semantiseg.language.reader.tokens import split

NAMES: dict[str, str] = {
    "left_atrium": "la|la cavity|la chamber|left atrial lumen",
    "liver": "total liver|liver including its lesions|liver as a whole",
    "liver_tumour": "secondary deposit|secondary deposits|hepatic secondary|hepatic secondaries|liver secondary|"
    "liver secondaries|secondaries of the liver|secondaries in the liver|liver tumour burden|"
    "hepatic tumour burden|tumour burden in the liver|hepatic focal lesion|hepatic focal lesions|"
    "metastatic liver disease|metastatic disease of the liver|liver deposit|liver deposits|hepatic deposit|"
    "hepatic deposits|"
    "hepatic metastasis|hepatic metastases|"
    "colorectal liver metastases|colorectal liver metastasis|colorectal metastases|crlm|liver mets|liver met|"
    "hepatic mets|hepatic malignancy|focal liver lesion|focal liver lesions|liver cancer",
    "hepatic_vessels": "intrahepatic vascular tree|hepatic vascular system|liver vascular structures|"
    "vessels in the liver|hepatic and portal vessels|liver vascular tree|intrahepatic vasculature",
    "pancreas": "pancreas including the mass|pancreas including the tumour",
    "pancreatic_tumour": "pancreas cancer|pancreas tumor|pancreatic head tumour|ductal adenocarcinoma of the pancreas|"
    "pancreas mass|pdac|pancreatic primary|pancreatic cancer|pancreatic head mass",
    "colon_tumour": "carcinoma of the large bowel|large-bowel carcinoma|large bowel cancer|large bowel carcinoma|"
    "cancer of the large bowel|tumour of the large bowel|mass in the colon|tumour in the colon|"
    "lesion in the colon|cancer in the colon|bowel cancer|colonic cancer|cancer of the colon|"
    "carcinoma of the colon|colonic primary|colon carcinoma|large-bowel tumour|large bowel tumour|"
    "bowel tumour|colorectal cancer|"
    "crc|colorectal primary",
    "lung_tumour": "sclc|lung carcinoma|pulmonary cancer|pulmonary carcinoma|pulmonary metastasis|"
    "pulmonary metastases|lung metastasis|lung metastases|lung primary|pulmonary lesion|nsclc|lung lesion|"
    "pulmonary nodules|lung met|lung mets",
    "kidney": "renal unit|renal units|both kidneys|kidneys including masses|kidney including its lesions",
    "kidney_tumour": "kidney carcinoma|renal carcinoma|solid enhancing renal mass|solid enhancing renal lesion|"
    "renal cancer|enhancing renal mass|renal cell cancer|renal malignancy|kidney cancer",
    "kidney_cyst": "fluid-filled renal lesion|fluid-filled renal lesions|simple renal cysts|"
    "simple cysts of the kidney|cortical renal cyst|simple kidney cyst|simple kidney cysts|simple renal cyst|"
    "cortical cyst|benign cyst|renal cortical cyst",
    "prostate": "entire gland|prostate gland as a whole|whole gland|prostate as a whole",
    "peripheral_zone": "peripheral gland|peripheral prostate|pz",
    "transition_zone": "tz|central gland|transitional zone",
    "hippocampus": "hippocampal avoidance structure|hippocampal avoidance volume|hippocampal oar|"
    "hippocampal complex|hippocampal formation",
    "anterior_hippocampus": "anterior hippocampus|hippocampus anterior part|caput hippocampi|pes hippocampi|"
    "anterior hippocampal segment|hippocampus head|hippocampal heads",
    "posterior_hippocampus": "posterior hippocampus|corpus and cauda of the hippocampus|"
    "corpus and tail of the hippocampus|"
    "hippocampal corpus and cauda|body and tail of the hippocampus|hippocampal tail and body|"
    "hippocampal body-tail segment|body-tail segment|posterior hippocampal segment|"
    "hippocampal body and hippocampal tail|hippocampal body plus tail",
    "brain_tumour": "tumour with surrounding oedema|glioma including its oedema|brain mass|cerebral tumour|"
    "tumour in the brain|glioma focus|glioma foci|intracranial tumour focus|tumour plus oedema|whole tumour|wt|"
    "tumour with its oedema|tumour with surrounding oedema|tumour including oedema|"
    "total lesion including flair abnormality|glioma with its oedema|flair abnormality",
    "tumour_core": "core of the tumour|core of the glioma|glioma core|enhancing and necrotic tumour|tc|"
    "enhancing plus necrotic tumour",
    "enhancing_tumour": "et|contrast-enhancing component|enhancing disease|contrast enhancement|enhancement|"
    "enhancing component|enhancing part",
    "necrotic_core": "non-enhancing necrotic centre|non-enhancing necrotic core|necrotic tissue|tumour necrosis|"
    "necrotic portion|ncr|central necrosis",
    "brain_oedema": "vasogenic oedema|perilesional oedema|snfh|oedema around the mass|oedema around the glioma|"
    "oedema around the lesion|oedema surrounding the tumour|oedema surrounding the mass|oedema surrounding the glioma|"
    "oedema surrounding the lesion|tumour oedema|perifocal oedema|tumour-associated oedema",
    "resection_cavity": "cavity|cavities|post-operative cavity|postop cavity|post-surgical cavity|"
    "postsurgical cavity|surgical bed|"
    "resection bed|cavity after surgery|rc|operative cavity|surgical bed cavity|resection cavities",
    "gallbladder": "gb",
    "portal_and_splenic_veins": "portosplenic confluence",
    "nonenhancing_tumour": "nonenhancing tumour component|non-enhancing tumour component|nonenhancing component|"
    "non-enhancing component|nonenhancing disease",
    "inferior_vena_cava": "cava",
    "stomach": "stomach and its contents|stomach including its contents",
    "heart": "cardiac contour|cardiac volume",
    "urinary_bladder": "vesical volume",
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
    "body/tail": ("posterior_hippocampus",),
    "adenocarcinoma": ("pancreatic_tumour", "colon_tumour", "lung_tumour"),
    "vasogenic oedema": ("brain_oedema",),
    "oedematous rim": ("brain_oedema",),
    "solid tumour": TUMOURS,
    **dict.fromkeys(("cystic part", "cystic component", "cystic portion"), ("tumour_cyst",)),
    **dict.fromkeys(("rim-enhancing portion", "rim-enhancing part", "rim-enhancing component"), ("enhancing_tumour",)),
    "corpus and tail": ("posterior_hippocampus",),
    "corpus and cauda": ("posterior_hippocampus",),
    "primary": ("pancreatic_tumour", "colon_tumour", "lung_tumour"),
}
"""Short nouns -> the structures that they may be, told by what else the sentence names ("its head")."""

DESCRIBING = frozenset(
    "solid suspicious obstructing stenosing stenotic malignant neoplastic tumorous multifocal unifocal solitary simple "
    "known bleeding ulcerated advanced resectable unresectable inoperable operable metastatic occult palpable biopsied "
    "cancerous high-grade low-grade diffuse invasive intra-axial symptomatic asymptomatic incidental".split()
)
"""Words that may stand before a lesion and choose none: the label map holds it anyway."""
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
    (
        Kind.FILLER,
        "multiple|several|numerous|focus of|foci of|contralateral|affected|coursing|running|passing|"
        "extending|everything of|everything within|anything within|anything in|the lot|"
        "in toto|all of it|"
        "every part of it|every bit of it|with everything in it|with everything in them|with any lesions|"
        "that lies|that lie|"
        "which part is|which is|who is|contour requested of|outline requested of|segmentation requested of|"
        "contour needed of|"
        "looks|look|looking|appears to be|blood pool|whole-organ|organ volume|burden|gonna|reported as|"
        "that contain|which contain|please do|and nothing more|and no more|true|proper|extent in|mark all|"
        "hepatic veins and portal branches|contrast-filled|well-opacified|opacified",
    ),
    (
        Kind.FILLER,
        "head through tail|head to tail|from head to tail|in one contour|in a single contour|in one structure|"
        "as one volume|as a single contour|in the same contour|"
        "as one contour|as one mask|in one segmentation|union of|sum of|combination of|by area|by size|up to|"
        "split through its centre|cut through its centre|divided at its centre|split at its centre|cut at its centre|"
        "divided through its centre",
    ),
    (Kind.FILLER, "|".join(sorted(DESCRIBING))),
    (
        Kind.FILLER,
        "steatotic|cirrhotic|fatty|fibrotic|atrophic|dilated|swollen|shrunken|hypertrophic|diseased|enlarged",
    ),
    (
        Kind.EXCLUDED,
        "both excluded|all excluded|both left out|all left out|both subtracted|both removed|resected|enucleated|"
        "is resected|"
        "is enucleated|are resected|removal|cut away|carved out|peeled off|left off|is removed|are removed|"
        "has been removed|"
        "is subtracted|is taken out|is cut out|not to be outlined|not to be contoured|not to be segmented|"
        "should be omitted",
    ),
    (
        Kind.EXCLUDE,
        "after removal of|after virtual removal of|after enucleation of|after virtual enucleation of|"
        "after subtraction of|"
        "after virtual resection of|stop short of|stopping short of|leaving off|save|sans|not counting|with no|"
        "without both|"
        "excluding both|minus both|without either|excluding all|without all",
    ),
    (Kind.WITH, "with its|with their|with its own|with his|with her"),
    (
        Kind.AND,
        "included|is included|are included|to be included|should be included|including any|including all|"
        "including the|including all of its|including both|including its own|together with its|together with their|"
        "along with its|along with their|plus its|plus any|and its|and their|combined with its|inclusive of|"
        "along with|together with|including its|including|as well as|in one contour with|plus",
    ),
    (Kind.FREE, "spared by|with no evidence of|not harbouring|from which no arises|free of any|clear of any|lacking"),
    (Kind.BEAR, "from which|harbouring|involved by|affected by|bearing"),
    (Kind.PLACE, "arising from|arising in|sitting in|sited in"),
)

NEEDS_EXCLUSION = frozenset(
    f"{organ} {tissue}"
    for organ in ("liver", "hepatic", "kidney", "renal", "pancreatic", "pancreas", "prostate", "prostatic",
    "hippocampal")
    for tissue in ("parenchyma", "tissue", "remnant")
) | {"what would remain of", "remnant of", "uninvolved", "healthy", "normal", "unaffected",
     "future remnant", "functional", "rest of", "remainder of", "remaining", "remaining "
"part of", "remnant", "remains of", "rest"}  # fmt: skip
"""Words that leave open what is meant, unless the sentence says what is left out: tumours are no parenchyma."""

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

IN_DIAMETER = frozenset(
    (
        "in greatest dimension|in maximal diameter|in maximum diameter|in greatest diameter|in largest dimension|"
        "in long axis|"
        "long axis|long-axis diameter|greatest dimension of|greatest diameter of|maximal axial diameter|"
        "maximal axial diameter of|maximal diameter of|maximum diameter of|maximal diameter|maximum diameter|diameter|"
        "greatest dimension|of diameter|in longest diameter|longest diameter of|largest diameter of|size|long"
    ).split("|")
)
"""Words that a diameter takes, and nothing else: they must stand beside a number."""


def _meanings() -> Iterator[tuple[str, Kind, object]]:
    for key, names in NAMES.items():
        yield from ((name, Kind.THING, atom(key)) for name in names.split("|"))
    for key, item in STRUCTURES.items():
        told = (name for name in (*item.names, *item.held_out) if " of the " in name)
        yield from ((name.replace(" of the ", " of "), Kind.THING, atom(key)) for name in told)
    for noun, keys in SHORT.items():
        yield noun, Kind.NOUN, keys
    for kind, phrases in _KINDS:
        yield from ((phrase, kind, None) for phrase in phrases.split("|"))
    yield from ((phrase, Kind.REASON, None) for phrase in REASONS)
    for named, phrases in ATTRIBUTES.items():
        yield from ((phrase, Kind.ATTRIBUTE, named) for phrase in phrases.split("|"))
    for nouns, forms, adjectives in SAID_OF:
        for value, words in adjectives.items():
            for noun, form, word in product(nouns.split("|"), forms.split("|"), words.split("|")):
                yield form.format(a=word, n=noun), Kind.ATTRIBUTE, value
    yield from ((phrase, Kind.FILLER, None) for phrase in IN_DIAMETER)
    for phrase in NEEDS_EXCLUSION:
        organ = ADJECTIVES.get(phrase.split()[0], phrase.split()[0])
        is_tissue = (
            " " in phrase and phrase.endswith(("parenchyma", "tissue", "remnant")) and not phrase.startswith("future")
        )
        yield phrase, Kind.THING if is_tissue else Kind.FILLER, atom(organ) if is_tissue else None
    for adjective, key in ADJECTIVES.items():
        for noun in _ASKED_NOUNS.split():
            yield f"{adjective} {noun}", Kind.THING, atom(key)
    for direction in DIRECTIONS:
        for relation in ("with respect to", "in relation to", "relative to"):
            yield f"{direction} {relation}", Kind.FACING, direction
    for phrase, meaning in (("least of", "smallest"), ("index", "largest"), ("most prominent", "largest")):
        yield phrase, Kind.SELECT, meaning
    yield from ((word, Kind.TAKE, None) for word in ("leaving", "taking"))
    yield "out", Kind.EXCLUDED, None
    for organ, lesion in (
        ("liver", "liver_tumour"), ("pancreas", "pancreatic_tumour"), ("kidney", "kidney_tumour"),
    ):  # fmt: skip
        spared: Program = call("minus", atom(organ), atom(lesion))
        for front in ("healthy", "normal", "uninvolved", "unaffected", "tumour-free", "lesion-free", "untumorous",
                      "unlesional", "uninvolved healthy", "spared", "disease-free", "untumoural", "non-neoplastic",
                      "non-tumorous", "non-tumour", "untumour", "non-cancerous", "non-malignant", "normal "
                      "healthy"):  # fmt: skip
            for noun in {"liver": ("liver", "hepatic parenchyma", "liver parenchyma", "liver tissue"),
                         "pancreas": ("pancreas", "pancreatic parenchyma", "pancreatic tissue"),
                         "kidney": ("renal parenchyma", "renal tissue", "kidney tissue")}[organ]:  # fmt: skip
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
