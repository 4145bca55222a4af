"""Turns of phrase of clinicians: what abbreviations stand for, how attributes are said, and which words begin a
reason or tell of the patient.

The structured reader (`structured.py`) writes them out before it looks words up.
"""

from __future__ import annotations

import re

_SCAN = (
    r"(?:(?:the|this|an?|these|today's|current|axial|coronal|sagittal|portal|venous|arterial|late|early|delayed|"
    r"postoperative|post-operative|preoperative|pre-operative|post-op|recent|gadolinium|gad|post-gad|fat-sat|"
    r"nephrographic|"
    r"excretory|pancreatic|native|contrast|enhanced|contrast-enhanced|native|non-contrast|unenhanced|follow-up|"
    r"baseline|planning|staging|weighted|"
    r"post-contrast|pre-contrast|t1|t2|t1c|t1w|t2w|flair|adc|dwi|ct|mr|mri)[- ])*"
    r"(?:ct|mri|mr|t1c?|t2|t1w|t2w|flair|scans?|images?|slices?|study|sequences?|series|phase|section|exam|"
    r"examination|cut|cuts|level|plane|view|reformat|reformats|axials|coronals|sagittals)\b"
    r"(?! (?:left|right))"
)
"""What a sentence calls the picture; no side of a picture is meant by it, where no side stands before."""

_START = r"(^|[.;:?!,] )"
_ASKED_AFTER = (
    r"(?![^?]*\b(?:contain|bear|harbour|harbor|have|has|hold|free|show|involve)\b)"
    r"(?=.*\?.*\b(?:outline|contour|segment|trace|mark|draw|measure|delineate|annotate|please|show)\b)"
)
"""A question of yes or no is a request only if one follows, and not where it asks what bears what."""
QUESTIONS: tuple[tuple[str, str], ...] = (
    (
        _START + r"how (?:big|large|small|long|wide|voluminous|extensive|far|thick|much space) (?:is|are|does|"
        r"do) ",
        r"\1outline ",
    ),
    (_START + r"what (?:is|are) the (?:sizes?|volumes?|extent|area) of ", r"\1outline "),
    (_START + r"(?:please |pls )?(?:would it be|is it) possible to (?:have |get )?", r"\1"),
    (
        _START + r"(?:please |pls )?(?:could|can|may|would|will)(?: (?:i|we|you|someone|somebody|"
        r"anyone))?(?: please| kindly)?"
        r"(?: (?:have|get|see))?(?: (?:a|the) (?=contour|outline|mask|segmentation|delineation|measurement))? ",
        r"\1",
    ),
    (
        _START + r"(?:is|are|does|do|has|have) (?=(?:the|this|these|his|her|any|"
        r"both) )(?!there )" + _ASKED_AFTER,
        r"\1outline ",
    ),
    (
        _START + r"(?:is|are) (?!there\b)(?=[a-z ,]+\b(?:enlarged|normal|abnormal|swollen|atrophic)\?)" + _ASKED_AFTER,
        r"\1outline ",
    ),
    (
        r"\b(?:looks? |appears? |seems? )?(?:enlarged|normal|abnormal|swollen|atrophic|shrunken|too (?:big|large|"
        r"small)|visible|extend|"
        r"extended|reach|spread|take up|take|big|large|small)\?",
        "?",
    ),
    (r"\(?\b(?:see|cf\.?|compare) (?:the )?(?:previous|prior|last|old|earlier|recent) [a-z]+\)?", " history "),
    (r"\brule out\b|\br/o\b", ", query"),
)
"""How questions ask for a contour: pattern -> the request that it stands for, in lower case. A question that asks for
yes or no ("is there a tumour?") is none."""
ABBREVIATIONS: tuple[tuple[str, str], ...] = (
    *QUESTIONS,
    (r"\bw/o\b", "without"), (r"\bw/", "with "), (r"\bexcl\.?(?=\s|$)", "excluding"),
    (r"\bincl\.?(?=\s|$)", "including"),
    (r"\bs/p\b", "status post"), (r"\bhx\b", "history of"), (r"\blt\.?(?=\s)", "left"), (r"\brt\.?(?=\s)", "right"),
    (r"\(l\)", ", left side"), (r"\(r\)", ", right side"), (r"\bl(?= (?:kidney|lung|adrenal|renal))", "left"),
    (r"\br(?= (?:kidney|lung|adrenal|renal))", "right"), (r"\bant\.?(?=\s)", "anterior"),
    (r"\bpost\.(?=\s)", "posterior"), (r"\bpls\b|\bplz\b", "please"), (r"\bdon't\b", "do not"),
    (r"\bdoesn't\b", "does not"), (r"\bisn't\b", "is not"), (r"\bi'd like\b", "i would like"), (r"\bn't\b", " not"),
    (r"\be\.g\.", "such as"), (r"\bi\.e\.,?", ", "), (r"\b(?:that is|namely|viz\.?),", ", "),
    (r"\bteh\b|\bhte\b", "the"), (r"\badn\b|\bnad\b", "and"), (r"\bwiht\b|\bwtih\b", "with"),
    (r"\bsans\b", "without"), (r"\bbosniak (?:class |type |category )?(?:i{1,3}|iv|[1-4])f?\b", ""),
    (r"[,;:(]\s*(?!(?:which|where|what|how|can|could|is|are|does|do|any|and|or|but|without|no|not|please|head|tail|"
     r"body|left|right)\b)([a-z][a-z -]{2,30})\?", r", query \1 ; "), (r"\?\s?(?=[a-z])", "; query "),
    (r"\bno (?:further |prior |previous )?(?:follow[- ]?up|contrast|priors?|imaging|symptoms|fever)"
     r"(?: needed| required| given| available)?\b", " history "),
    (r"\b(?:(?:vasogenic|perifocal|flair|perilesional|surrounding) )?o?edema (?:that is |which is )?"
     r"(?:surrounding|around|about|encircling) (?:the |this |a )?(?:brain )?(?:glioma|tumou?r|mass|lesion|gbm|"
     r"glioblastoma)\b", "peritumoural oedema"),
    (r"\b((?:hypo|iso|hyper)(?:dense|intense|attenuating|attenuated)) (?:(?:as )?compared (?:to|with)|"
         r"relative to|against|"
     r"to|with) (?:the |its |their |normal |surrounding |adjacent |renal |hepatic |pancreatic |grey |gray |white )*"
     r"(?:parenchyma|cortex|muscle|psoas|gland|tissues?|surroundings|neighbours|neighbors|wall|brain|matter|blood|"
     r"myocardium|background|fat|csf)(?: around it| around them)?\b", r"\1"),
    (r"\b50 ?% of\b", "half of"), (r"\bof (?=\d+(?:\.\d+)?[ -]?(?:mm|cm)\b)", ""),
    (r"\bwith ((?:the |any )*[a-z ]+?) added\b", r"and \1"),
    (r"\bwith ((?:its |the |any |all |surrounding )*o?edema) (?=subtracted|left out|taken out|removed|excluded|"
         r"omitted)",
     r", \1 "),
    (r"[,;(]? ?(?:(?:without|excluding|not including|minus|no) (?:the )?seminal vesicles?|(?:the )?seminal vesicles? "
     r"(?:are |is )?(?:not included|excluded|spared|left out|omitted))\b\)?", ""),
    (r"\b(?:heart|renal|kidney|liver|hepatic|respiratory|cardiac|pancreatic|adrenal|splenic|lung) (?:failure|"
         r"insufficiency|"
     r"disease|transplant(?:ation)?|injury|impairment|colic|function|surgery|biopsy)\b", " history "),
    (r"\b(?:tumou?r|mdt) board\b|\b(?:a )?second opinion\b", " history "),
    (r"\.{2,}", " ; "),
    (r"^(?:which|what) part of (.+?) (?:is left|remains|stays|is there|would be left) (?=without|after|outside|"
         r"once)", r"\1 "),
    (r"\b(remnant|remains?|remaining|left)\b(.*?)\bafter (?:the )?(?:resection|removal|excision|enucleation) of\b",
     r"\1\2without"),
    (r"[,;:] (?:most )?(?:likely|probabl[ey]|possibl[ey]|presumed(?:ly)?|suspected)\b", ", query"),
    (r"\bleav(e|ing) off\b", r"leav\1 out"), (r"\bleft off\b", "left out"),
    (r"\b(taken|left|cut|carved) out of (?:it|them|the (?:contour|volume|mask|outline|segmentation))\b", r"\1 out"),
    (r"\b(removed|excluded|subtracted|omitted) from (?:it|them|the (?:contour|volume|mask|outline|segmentation))\b",
     r"\1"),
    (r"^nothing (?:but|except|other than) ", "only "), (r"\b(left|right)[- ]hemispheric\b", r"\1-sided"),
    (r"\b(?:in|of|within) (?:the )?(left|right) (?:cerebral )?hemisphere\b", r"on the \1"),
    (r"\b(?:(?:to|on) the )?(left|right) of (?:the |patient's )*(?:midline|abdomen|body|chest)\b", r"on the \1"),
    (r",? *(?:i\.e\.,? *)?the one (?=(?:harbouring|bearing|containing|with|that (?:bears|contains|harbours))\b)", " "),
    (r"(?<!prostate )(?<!prostatic )(?<!pancreatic )(?<!adrenal )(?<!whole )(?<!central )(?<!peripheral )"
     r"\bgland\b(?=.*\b(?:pz|tz|zone)\b)", "prostate"),
    (r"\bnon[- ](?=tumo|involved|affected|lesion)", "un"), (r"\b(?:pre|post)[- ]?op\b", "perioperative"),
    (r"(?<!\bleft )(?<!\bright )\b(?:on|in|from) " + _SCAN, ""),
    (r"\s\+\s", " and "), (r"\s&\s", " and "), (r"\s[-\u2013\u2014]\s", ", "),
    (r"\b((?:all|everything|whole|entire)\b[^,;]*?)\bbut\b(?! (?:not|without|leave|exclude|omit|spare|avoid|do))",
     r"\1except"),
    (r",? ?\bbut (?=(?:please |kindly |then )*(?:leave|ignore|disregard|exclude|omit|not\b|without|remove|"
         r"subtract|spare|avoid|do not))",
     ", "),
    (r"[()\[\]\"]", ", "), (r"\.(?=\s|$)|\?(?=\s|$)|!(?=\s|$)", " ; "), (r"(?<=[a-z])/(?=[a-z])", " and "),
)  # fmt: skip
"""Pattern -> what it stands for, in lower case."""

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

SAID_OF: tuple[tuple[str, str, dict[tuple[str, str], str]], ...] = (
    (
        "signal|signal intensity|t1 signal|t2 signal|flair signal",
        "{a} {n}|{n} {a}|{n} is {a}|of {a} {n}|{a} in {n}|{a}-{n}|{n} {a}ly",
        {
            ("signal", "hyperintense"): "high|increased|raised|elevated|bright|hyperintense",
            ("signal", "hypointense"): "low|decreased|reduced|diminished|dark|hypointense",
            ("signal", "isointense"): "similar|same|equal|intermediate|isointense",
            ("texture", "homogeneous"): "uniform|homogeneous|even",
            ("texture", "heterogeneous"): "mixed|heterogeneous|patchy|variable|inhomogeneous",
        },
    ),
    (
        "attenuation|density|enhancement",
        "{a} {n}|{n} {a}|{n} is {a}|of {a} {n}|{a} in {n}|{a}-{n}",
        {
            ("density", "hyperdense"): "high|increased|raised|elevated",
            ("density", "hypodense"): "low|decreased|reduced|diminished|poor",
            ("density", "isodense"): "similar|same|equal",
            ("texture", "homogeneous"): "uniform|homogeneous|even",
            ("texture", "heterogeneous"): "mixed|heterogeneous|patchy|variable|inhomogeneous",
        },
    ),
    (
        "margins|margin|borders|border|edges|boundaries|outlines",
        "{a} {n}|{n} {a}|{n} are {a}|whose {n} are {a}|with {a} {n}|of {a} {n}",
        {
            ("margin", "well_defined"): "sharp|smooth|clear|crisp|distinct|well-defined|well defined|sharply defined",
            ("margin", "ill_defined"): "indistinct|blurred|ill-defined|ill defined|infiltrative|unclear|vague|fuzzy|"
            "poorly defined|irregularly defined",
        },
    ),
    (
        "defined|demarcated|circumscribed|delineated|marginated|delimited|outlined",
        "{a} {n}|{a}-{n}",
        {
            ("margin", "well_defined"): "well|sharply|clearly|crisply",
            ("margin", "ill_defined"): "poorly|ill|vaguely|indistinctly",
        },
    ),
    (
        "shape|contour|outline|form|configuration",
        "{a} {n}|of {a} {n}|{a} in {n}|{n} {a}|with {a} {n}|{a}-{n}d|with a {a} {n}|"
        "of a {a} {n}|has a {a} {n}|has an {a} {n}|with an {a} {n}|of an {a} {n}",
        {
            ("shape", "round"): "round|rounded|spherical|spheroid|circular|globular",
            ("shape", "elongated"): "elongated|tubular|oblong|band-like",
            ("shape", "irregular"): "irregular|geographic|lobulated irregular",
        },
    ),
    (
        "enhancing|enhanced|opacified|attenuating|dense|textured",
        "{a} {n}",
        {
            ("texture", "homogeneous"): "homogeneously|uniformly|evenly",
            ("texture", "heterogeneous"): "heterogeneously|inhomogeneously|unevenly",
        },
    ),
)
"""Nouns and adverbs of an attribute, how its adjectives stand to them, and attribute and value -> adjectives."""

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
    "to compare", "to follow", "to quantify", "suspicious for", "suspicious of", "concerning for", "consistent with",
    "in keeping with", "compatible with", "suggestive of", "typical of",
    "as recist", "as rano", "as target", "as dominant", "as index", "as gtv", "as ctv", "as boost", "as a "
    "boost", "as an oar",
    "as oar", "as oars", "as avoidance", "candidate for", "undergone", "on account", "ahead", "spared by the plan",
    "to be spared by", "to guard", "to target", "to spare",
)  # fmt: skip
"""Words that begin a reason; what follows up to the next stop says nothing of the mask, if a target came before."""

HISTORIES = frozenset(
    "pneumonia glaucoma hiv pyrexia von gout cushing's tamoxifen tuberculosis acromegaly lupus asthmatic copd "
    "dm2 dm hcv hbv "
    "nash nafld masld pbc psc ibd ms parkinson's parkinson huntington's psychotic delirium coma syncope vertigo "
    "tinnitus "
    "migraine aura tremor weakness numbness paraesthesia neuropathy incontinence retention dysuria nocturia oliguria "
    "anuria constipation diarrhoea vomiting malaise fatigue weight sweats chills rigors rash pruritus "
    "bruising epistaxis haemoptysis melaena haematemesis dyspepsia reflux heartburn hernia gallstones stones lithiasis "
    "warfarin apixaban heparin aspirin insulin metformin prednisolone steroid antibiotics chemo-naive cisplatin "
    "carboplatin oxaliplatin capecitabine docetaxel pembrolizumab nivolumab letrozole enzalutamide abiraterone "
    "finasteride tamsulosin levetiracetam valproate lamotrigine amiodarone digoxin neurosurgeon neurosurgery oncology "
    "urology cardiology hepatology gastroenterology nephrology radiology endocrinology psychiatry geriatrics "
    "paediatrics "
    "paediatric outpatient inpatient emergency theatre ward-round discharge readmission student thesis lecture exam "
    "research audit publication preop postop simulation fractions fraction gy boost vmat sbrt hdr ldr "
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
    "haemochromatosis siderosis iron adpkd polycystic horseshoe transplant transplantation donor "
    "recipient recurrent sbrt srs sirt radioembolisation radiosurgery brachytherapy cyberknife imrt vmat proton dose "
    "dosimetry constraint recist rano pi-rads li-rads fleischner staging stage restaging tace rfa mwa ablative "
    "whipple pancreatectomy cystectomy craniotomy colectomy splenectomy thrombocytopenia cll mononucleosis malaria "
    "encephalitis epileptic tle mci cognitive decline psychosis hormone bevacizumab temozolomide chemo radiation "
    "gleason gemcitabine folfirinox sorafenib tki smoking copd ex-smoker weight-loss "
    "insulinoma net neuroendocrine adenoma lipoma abscess infarct haemangioma fnh oncocytoma aml angiomyolipoma query "
    "nephrostomy pcnl lithotripsy stent ercp tips shunt varices ascites effusion embolism infiltration swelling-free "
    "prostatitis pyelonephritis cholecystitis diverticulitis appendicitis obstruction bleeding perforation "
    "neurofibromatosis hemiparesis aphasia seizure-free bradycardia gfr creatinine incidentaloma hyperplasia "
    "holep turp "
    "hifu adt arrhythmogenic pvi ablated cardioversion mitral valve regurgitation stenosis cardiomyopathy "
    "mdt meeting board conference oncologist surgeon surgeons urologist neurologist radiologist gp consultant".split()
)
"""A segment of a sentence that holds one of these tells of the patient and asks for nothing."""

_ILLNESS = re.compile(
    r".{3,}(?:itis|osis|oses|aemia|emia|pathy|pathies|megaly|ectomy|ectomies|plasty|ostomy|otomy|algia|uria|"
    r"plegia|paresis|"
    r"therapy|scopy|penia|rrhage|rrhagia|phagia|plopia|cardia|rexia|nesia|mab|nib|platin|taxel|ysis|tension|tonia)|"
    r"disease|syndrome|disorder|irradiation|radiation|ablation|transplantation|emboli[sz]ation|anticoagulation|"
    r"stenting|"
    r"acromegaly|ataxia|embolism|hypothyroidism|hyperthyroidism|sepsis|stroke"
)


def tells_history(word: str) -> bool:
    """Whether a word tells of the patient: a word of a history, or by its ending an illness or a treatment. Tumours
    ("-oma") are none: a kidney "with a lipoma" is chosen by it."""
    return word in HISTORIES or (word not in _NO_ILLNESS and _ILLNESS.fullmatch(word) is not None)


_NO_ILLNESS = frozenset({"necrosis", "fibrosis", "stenosis", "thrombosis", "anatomy"})
"""These are seen in an image, and a part of a structure may be chosen by them."""

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
    "signal density attenuation intensity texture shape margins borders borderline "
    "viewer previous previously earlier former formerly".split()
)
"""Unknown words that no reader may guess around, wherever they stand."""
