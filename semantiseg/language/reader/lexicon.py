"""Words of radiology reports and requests that the lexicon adds to those of the ontology.

Written before the clinical sentences (`bench/clinical.yaml`) and not changed to fit them: the share of them that the
reader understands is a result. Terms follow common reporting usage (RSNA RadLex, BraTS, RENAL, PI-RADS); where a phrase
of the lexicon proper has the same words, that one counts.

What words mean to the reader: an English lexicon of radiology requests, made without looking at the grammar's
tables.

Every entry is a phrase of lower-case words and one token: a kind and a value. `parser.py` gives the kinds their
syntax. Structures' names come from the ontology; names that it lacks are formed by rule ("renal cystic lesions",
"hepatic metastasis").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import reduce
from typing import Any

from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import Program, atom, call

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


class Kind(Enum):
    """What a token does in a sentence."""

    THING = auto()  # value: Program; a structure
    NOUN = auto()  # value: keys; "the tumour", whose organ the rest of the sentence must tell
    SIDE = auto()  # value: left, right
    DIRECTION = auto()  # value: anterior, posterior
    HALF = auto()
    FACING = auto()  # value: direction; "in front of"
    SELECT = auto()  # value: largest, smallest
    ATTRIBUTE = auto()  # value: (attribute, value); attribute "brightness" is density on CT and signal on MR
    PLACE = auto()  # "in"
    BEAR = auto()  # "containing"
    FREE = auto()  # "free of"
    BEARING_BEFORE = auto()  # "tumour-bearing"
    FREE_BEFORE = auto()  # "tumour-free"
    WITH = auto()  # "with": of attributes, of what is borne, or of what is excluded
    EXCLUDE = auto()  # "excluding"
    EXCLUDED = auto()  # "with ... left out"
    TAKE = auto()  # "take ... away from ..."
    OUT_OF = auto()
    AND = auto()
    COMMA = auto()
    REASON = auto()  # begins a reason, such as "prior to"; in clinicians' sentences only
    FILLER = auto()  # says nothing about the mask


Meaning = tuple[Kind, object]


@dataclass(frozen=True)
class Lexeme:
    """A phrase and its meaning."""

    words: tuple[str, ...]
    kind: Kind
    value: Any = None
    """What the parser reads it as: of an attribute the pair (attribute, value), else a word or nothing."""


HOMES: dict[str, str] = {key: item.home for key, item in STRUCTURES.items() if item.home is not None}
"""Structure -> the one whose mention tells which "tumour", "cyst" or "oedema" is meant."""

SPELLINGS = {
    "tumor": "tumour", "tumors": "tumours", "edema": "oedema", "peritumoral": "peritumoural", "center": "centre",
    "homogenous": "homogeneous", "color": "colour", "harboring": "harbouring", "characterized": "characterised",
}  # fmt: skip
"""American and common other spellings."""

_ORGAN_WORDS = {
    "liver": ("liver", "hepatic"), "kidney": ("kidney", "renal"), "pancreas": ("pancreas", "pancreatic"),
    "lung": ("lung", "pulmonary"), "colon": ("colon", "colonic"), "brain_tumour": ("brain", "intracranial"),
}  # fmt: skip
TUMOURS = tuple(key for key, item in STRUCTURES.items() if item.kind == "lesion" and item.names[0].endswith("tumour"))
_CARCINOMAS = tuple(key for key in TUMOURS if key != "brain_tumour")
_LESION_NOUNS: dict[str, tuple[str, ...]] = {
    **{noun: TUMOURS for noun in ("tumour", "mass", "neoplasm", "cancer", "malignancy", "solid lesion", "solid mass")},
    "carcinoma": _CARCINOMAS,
    "metastasis": ("liver_tumour",),
    "nodule": ("lung_tumour",),
    "lesion": (*TUMOURS, "kidney_cyst"),
    "cyst": ("kidney_cyst",),
    "cystic lesion": ("kidney_cyst",),
    "cystic mass": ("kidney_cyst",),
}
_UNCOUNTED_NOUNS = {"oedema": ("brain_oedema",), "swelling": ("brain_oedema",), "necrosis": ("necrotic_core",)}
_PLURAL_WORDS = {
    "mass": "masses", "metastasis": "metastases", "malignancy": "malignancies", "cavity": "cavities", "body": "bodies",
    "parenchyma": "parenchyma", "tissue": "tissue",
}  # fmt: skip


def plural(phrase: str) -> str:
    """The plural of a noun phrase whose head is its last word, or the last before "of", "with", "around" or "after"."""
    words = phrase.split()
    head = (
        next((place for place, word in enumerate(words) if word in ("of", "with", "around", "after")), len(words)) - 1
    )
    words[head] = _PLURAL_WORDS.get(words[head], words[head] if words[head].endswith("s") else words[head] + "s")
    return " ".join(words)


PLURALS = frozenset(plural(noun).split()[-1] for noun in _LESION_NOUNS) | {"mets", "deposits", "kidneys", "lungs"}
"""Words that name several."""


def thing_of(keys: Iterable[str]) -> Program:
    """The structures as one program."""
    return reduce(lambda first, second: call("union", first, second), map(atom, keys))


def _structures() -> Iterator[tuple[str, Meaning]]:
    """Formed names first, so that the ontology's own names win."""
    for organ, adjectives in _ORGAN_WORDS.items():
        for noun, keys in _LESION_NOUNS.items():
            here = [key for key in keys if HOMES[key] == organ]
            for adjective in adjectives if here else ():
                meaning = (Kind.THING, thing_of(here))
                front, _, head = noun.rpartition(" ")
                for name in {f"{adjective} {noun}", f"focal {adjective} {noun}", f"{front} {adjective} {head}".strip()}:
                    yield name, meaning
                    yield plural(name), meaning
    for key, item in STRUCTURES.items():
        for name in item.names + item.held_out:
            yield plural(name.lower()), (Kind.THING, atom(key))
    for key, item in STRUCTURES.items():
        for name in item.names + item.held_out:
            yield name.lower(), (Kind.THING, atom(key))
    for noun, keys in _LESION_NOUNS.items():
        for form in (noun, plural(noun)):
            yield form, (Kind.NOUN, keys)
    for noun, keys in _UNCOUNTED_NOUNS.items():
        yield noun, (Kind.NOUN, keys)


def _sides() -> Iterator[tuple[str, Meaning]]:
    for side in ("left", "right"):
        phrases = (
            f"{side}|{side}-sided|{side}-side|{side}-hand|{side} side|{side}-hand side|on the {side}|"
            f"on the {side} side|on the {side}-hand side|"
            f"of the {side} side|on the patient's {side}|on the patient's {side} side|at the {side}|"
            f"to the patient's {side}|"
            f"on the {side} of the patient|on the {side} side of the patient|on the {side} side of the body|"
            f"on the {side} of the body|"
            f"in the {side} half of the body|in the {side} side of the body"
        )
        yield from ((phrase, (Kind.SIDE, side)) for phrase in phrases.split("|"))
        for phrase in (
            f"to the {side} of",
            f"{side} of",
            f"on the {side} of",
            f"{side}ward of",
            f"on the {side} side of",
        ):
            yield phrase, (Kind.FACING, side)


def _directions() -> Iterator[tuple[str, Meaning]]:
    for direction, adjectives, relations in (
        ("anterior", "anterior ventral front frontal", "in front of|ahead of"),
        ("posterior", "posterior dorsal back rear hind", "behind|in back of|at the back of"),
    ):
        for adjective in adjectives.split():
            for phrase in (adjective, f"{adjective} side", f"on the {adjective} side", f"at the {adjective}"):
                yield phrase, (Kind.DIRECTION, direction)
            if adjective in ("anterior", "ventral", "posterior", "dorsal"):
                yield f"{adjective} to", (Kind.FACING, direction)
        yield from ((phrase, (Kind.FACING, direction)) for phrase in relations.split("|"))


_ATTRIBUTES: dict[tuple[str, str], str] = {
    ("density", "hypodense"): "hypodense|hypoattenuating|hypoattenuated|low-attenuation|low-attenuating|low-density|"
    "low attenuation|"
    "low density|reduced attenuation|reduced density|less dense than {}|lower in density than {}",
    ("density", "isodense"): "isodense|isoattenuating|equally dense|equally attenuating|attenuation equal to {}|"
    "density equal to {}|"
    "attenuation similar to {}|density similar to {}|as dense as {}|similar in density to {}",
    ("density", "hyperdense"): "hyperdense|hyperattenuating|hyperattenuated|high-attenuation|high-attenuating|"
    "high-density|"
    "high attenuation|high density|raised attenuation|raised density|denser than {}|higher in density than {}",
    ("signal", "hypointense"): "hypointense|low-signal|low-intensity|dark-signal|low signal|low signal intensity|"
    "reduced signal|"
    "lower in signal than {}",
    ("signal", "isointense"): "isointense|intermediate-signal|equal-signal|signal equal to {}|signal similar to {}|"
    "similar in signal to {}",
    ("signal", "hyperintense"): "hyperintense|high-signal|high-intensity|bright-signal|high signal|"
    "high signal intensity|raised signal|"
    "higher in signal than {}",
    ("brightness", "hypo"): "dark|darker than {}",
    ("brightness", "iso"): "equally bright|as bright as {}|as dark as {}",
    ("brightness", "hyper"): "bright|brighter than {}",
    ("texture", "homogeneous"): "homogeneous|uniform|uniformly textured|evenly textured|consistent|"
    "homogeneous texture|uniform texture|"
    "even texture",
    ("texture", "heterogeneous"): "heterogeneous|inhomogeneous|mottled|patchy|non-uniform|heterogeneous texture|"
    "mottled texture|"
    "patchy texture|mixed texture",
    ("shape", "round"): "round|rounded|circular|globular|ball-like|round shape|circular shape|globular shape",
    ("shape", "elongated"): "elongated|elongate|oblong|slender|stretched|elongated shape|oblong shape|slender shape",
    ("shape", "irregular"): "irregular|irregularly shaped|unevenly shaped|misshapen|irregular shape|irregular form|"
    "misshapen form",
    ("margin", "well_defined"): "well-defined|well-circumscribed|sharply marginated|clearly bordered|sharp-edged|"
    "well defined|"
    "well circumscribed|well-defined margins|sharp margins|sharp border|crisp margins|sharply defined|sharp borders",
    ("margin", "ill_defined"): "ill-defined|poorly circumscribed|poorly marginated|indistinct|fuzzy-edged|"
    "ill defined|poorly defined|"
    "ill-defined margins|blurred margins|blurred border|fuzzy margins|indistinct margins|blurred borders",
}  # fmt: skip
_COMPARED = (
    "the surroundings",
    "its surroundings",
    "their surroundings",
    "surrounding tissue",
    "the surrounding tissue",
)

_FUNCTION_WORDS: dict[Kind, str] = {
    Kind.HALF: "half|halves|one of the two halves|one of the halves|portion|part",
    Kind.PLACE: "in|within|inside|of|among|from within|confined to|enclosed by|surrounded by|belonging to",
    Kind.BEAR: "containing|contains|contain|bearing|bears|bear|harbouring|harbours|harbour|holding|holds|hosting|"
    "hosts|affected by|"
    "involved by|in which|where",
    Kind.FREE: "free of|free from|clear of|devoid of|with no|having no|has no|have no|contains no|contain no|"
    "bears no|bear no|"
    "without any|without a|without an|not containing|not bearing|not affected by|not involved by|unaffected by|"
    "uninvolved by|lacking|"
    "in which there is no|that does not contain|that does not bear",
    Kind.BEARING_BEFORE: "-bearing|-containing|-harbouring|-affected",
    Kind.FREE_BEFORE: "-free",
    Kind.WITH: "with|having|has|have|showing|shows|that show|which show|featuring|features|displaying|exhibiting|"
    "characterised by|once|after",
    Kind.EXCLUDE: "excluding|exclusive of|without|except|except for|excepting|minus|but not|but without|apart from|"
    "aside from|"
    "other than|rather than|not|not including|leaving out|leaving aside|leave out|omitting|omit|sparing|less|"
    "ignoring|ignore|"
    "disregarding|disregard|but leave out|but leave aside|but exclude|but omit|that is not|which is not|that are not|"
    "after taking away|after removing|after removal of|bar|save for|barring|not counting",
    Kind.EXCLUDED: "excluded|left out|left aside|taken out|taken away|removed|omitted|subtracted|cut out|ignored|"
    "spared|not included",
    Kind.TAKE: "exclude|leave|remove|take|subtract|drop|take away|keep",
    Kind.OUT_OF: "out of|away from|from",
    Kind.AND: "and|or|plus|as well as|together with|along with|combined with|joined with|in addition to|and also|"
    "including",
    Kind.COMMA: ",|;|:",
    Kind.FILLER: "the|a|an|this|that|which|is|are|be|being|it|its|their|there|please|only|just|all|all of|both|alike|"
    "single|one|ones|"
    "in it|in them|can|lying|lies|lie|sits|sit|sitting|located|situated|found|found to be|seen|positioned|placed|"
    "arising|"
    "appearing|appears|appear|described as|here|segment|outline|mark|delineate|highlight|find|trace|draw|contour|"
    "label|mask|"
    "segmentation|show|show me|contained|mask of|contour of|segmentation of|outline of|every pixel of|where is|"
    "where are|colour|colour in|"
    "everything in|everything inside|what is left of|what remains of|cut down to|whichever of|whichever|not all of|"
    "not all|"
    "out of all|patient's|-facing|give me|i need|measuring|spanning|about|approximately|roughly|around|across|"
    "in diameter|in width|in size|wide|diameter of|width of|region of|whole|entire|shown|visible",
}

SELECTIONS = {"largest": "largest|biggest|larger|bigger|dominant", "smallest": "smallest|tiniest|smaller"}


def _words() -> Iterator[tuple[str, Meaning]]:
    for kind, phrases in _FUNCTION_WORDS.items():
        yield from ((phrase, (kind, None)) for phrase in phrases.split("|"))
    for operation, phrases in SELECTIONS.items():
        yield from ((phrase, (Kind.SELECT, operation)) for phrase in phrases.split("|"))
    for attribute, phrases in _ATTRIBUTES.items():
        for phrase in phrases.split("|"):
            for compared in _COMPARED if "{}" in phrase else ("",):
                yield phrase.format(compared), (Kind.ATTRIBUTE, attribute)


def _report_words() -> Iterator[tuple[str, Meaning]]:
    for kind, phrases in (
        (Kind.FILLER, FILLERS), (Kind.PLACE, PLACES), (Kind.BEAR, BEARERS),
        (Kind.FREE, FREES), (Kind.EXCLUDE, EXCLUSIONS), (Kind.HALF, HALVES),
    ):  # fmt: skip
        yield from ((phrase, (kind, None)) for phrase in phrases.split("|"))
    yield from ((phrase, (Kind.SELECT, "largest")) for phrase in LARGEST.split("|"))
    yield from ((phrase, (Kind.SELECT, "smallest")) for phrase in SMALLEST.split("|"))
    for key, names in NAMES.items():
        yield from ((name, (Kind.THING, atom(key))) for name in names.split("|"))


def _lexicon() -> dict[str, list[Lexeme]]:
    """First word -> its lexemes, longest first."""
    meanings: dict[tuple[str, ...], Lexeme] = {}
    for source in (_report_words(), _words(), _sides(), _directions(), _structures()):
        for phrase, (kind, value) in source:
            # Commas and other marks are words of their own.
            words = tuple(phrase.split())
            meanings[words] = Lexeme(words, kind, value)
    table: dict[str, list[Lexeme]] = {}
    for words in sorted(meanings, key=len, reverse=True):
        table.setdefault(words[0], []).append(meanings[words])
    return table


LEXICON: dict[str, list[Lexeme]] = _lexicon()
"""First word -> lexemes that begin with it, longest first."""

HYPHENATED: frozenset[str] = frozenset(
    word for lexemes in LEXICON.values() for lexeme in lexemes for word in lexeme.words if "-" in word
)
"""Words that are known with their hyphen; others are taken apart there."""
