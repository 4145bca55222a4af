"""Who is who: what names may say, what they may not, and what is stated."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.data import patients
from semantiseg.errors import DataError, ParameterError

SLICE = ((64, 64, 1), np.eye(4))
VOLUME = ((64, 64, 20), np.eye(4))


def told(names, grid=VOLUME):
    return patients.tell_apart(names, collection="Mine", grid=lambda case: grid)


def numbered(form, count):
    return [form.format(number) for number in range(1, count + 1)]


FILES_EACH = {
    "MSD": numbered("hippocampus_{:03d}", 6),
    "MSD, unpadded": numbered("liver_{}", 12),
    "FLARE22": numbered("FLARE22_Tr_{:04d}", 6),
    "FLARE22 with the channel": numbered("FLARE22_Tr_{:04d}_0000", 6),
    "BraTS 2021": numbered("BraTS2021_{:05d}", 7),
    "BraTS 2023, one time point": numbered("BraTS-GLI-{:05d}-000", 3),
    "sites": [f"site{site}_{number:03d}" for site in range(1, 7) for number in range(3)],
    "sites, patients numbered through": [f"site-{number // 3}_{number:03d}" for number in range(18)],
    "four cases": numbered("abd_{:03d}", 4),
    "BTCV": numbered("img{:04d}", 9),
    "TotalSegmentator": numbered("s{:04d}", 9),
    "names of people": ["Ann", "Bob", "Cleo"],
    "one case": ["scan_1_1"],
    "KiTS": numbered("case_{:05d}", 5),
    "BIDS, one session": numbered("sub-{:02d}_T1w", 3),
}  # fmt: skip

FIVE = range(1, 6)
GROUPED = {
    "channel number": ([f"ABD_{p:03d}_slice{s}_0000" for p in FIVE for s in (100, 110)], r"ABD_\d+"),
    "BIDS": ([f"sub-{p:02d}_ses-{s:02d}" for p in FIVE for s in (1, 2)], r"sub-\d+"),
    "BIDS, entities": ([f"sub-A{p}_ses-{s}_run-1_T1w" for p in FIVE for s in "ab"], r"sub-A\d"),
    "slices": ([f"case{p:03d}_slice{s}" for p in FIVE for s in (9, 10)], r"case\d+"),
    "slices, some with a side": ([f"case{p:03d}_left_sl{s}" for p in FIVE for s in (9, 10)], r"case\d+"),
    "pre and post": ([f"P{p:02d}_{when}" for p in FIVE for when in ("pre", "post")], r"P\d+"),
    "a later scan": ([f"P{p:02d}{when}" for p in FIVE for when in ("", "_followup2")], r"P\d+"),
    "BraTS time points": ([f"BraTS-GLI-{p:05d}-{t:03d}" for p in FIVE for t in (0, 1)], r"BraTS-GLI-\d+"),
    "TCGA": ([f"TCGA_DU_A{p}TS_{day}" for p in FIVE for day in (19970726, 19980101)], r"TCGA_DU_A\dTS"),
    "TCGA, two of one prefix": ([f"TCGA-DU-A5T{c}" for c in "SSYZABC"], r"TCGA-DU-A5T\w"),
    "dates": ([f"MR{p}_{year}0102" for p in FIVE for year in (2011, 2012)], r"MR\d"),
    "ACDC": ([f"patient{p:03d}_frame{f:02d}" for p in FIVE for f in (1, 12)], r"patient\d+"),
    "patients of sites": ([f"site{p % 2}_patient{p:02d}_{v}" for p in FIVE for v in (1, 2)], r"site\d_patient\d+"),
}  # fmt: skip

AMBIGUOUS = {
    "two numbers": [f"ABD_{p:03d}_{s}" for p in range(1, 7) for s in (100, 110)],
    "time points of another maker": [f"case_{p:02d}-{t:03d}" for p in range(1, 7) for t in (0, 1)],
    "a letter a scan": [f"case{p:03d}{s}" for p in range(1, 7) for s in "ab"],
    "first names": [f"{name}_{s}" for name in ("ann", "bob", "cleo", "dan", "eve") for s in (1, 2)],
    "few, whose beginning has a number": numbered("BRATS13_{:03d}", 4),
    "hospital without a word for it": [f"H{h}_{n:02d}" for h in (1, 2, 3, 4, 5) for n in (1, 2, 3)],
    "words, but four patients": [f"P{p}_{when}" for p in range(4) for when in ("pre", "post")],
    "BIDS, but four patients": [f"sub-{p}_ses-{s}" for p in range(4) for s in (1, 2)],
}


@pytest.mark.parametrize("names", FILES_EACH.values(), ids=FILES_EACH)
def test_where_one_number_counts_the_files_each_is_a_patient(names):
    assert told(names).count == len(names)


@pytest.mark.parametrize(("names", "patient"), GROUPED.values(), ids=GROUPED)
def test_what_names_say_beside_the_patient_is_left_out(names, patient):
    found = told(sorted(set(names))).of
    assert {name: re.match(patient, name)[0] for name in names} == found


@pytest.mark.parametrize("names", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_names_with_several_readings_stop_with_a_line_to_paste_that_works(names):
    with pytest.raises(DataError) as stop:
        told(names)
    patterns = re.findall(r"--set prepare\.patient_pattern='(.+?)'", str(stop.value))
    assert patterns
    for pattern in patterns:
        assert set(patients.tell_apart(names, collection="Mine", pattern=pattern).of) == set(names)


def test_a_table_of_slices_is_of_the_scans_they_come_from():
    names = [f"ABD_{p:03d}_{s}" for p in range(13) for s in (64, 100, 110)]
    found = told(names, grid=SLICE)
    assert found.count == 13 and found.of["ABD_003_64"] == "ABD_003"
    assert "13 patients in 39 cases" in found.sentence


def test_slices_of_fewer_than_five_patients_stop():
    with pytest.raises(DataError, match=r"patient_pattern='\^ABD_\\d\+'   \(4 patients"):
        told([f"ABD_{p:03d}_{s}" for p in range(4) for s in (100, 110)], grid=SLICE)


def test_a_guess_stops_where_shapes_or_affines_differ_within_a_patient():
    names = [f"P{p:02d}_{when}" for p in range(6) for when in ("pre", "post")]
    for other in (((64, 60, 20), np.eye(4)), ((64, 64, 20), np.diag([1, 1, 2.0, 1]))):
        with pytest.raises(DataError, match="P03_post and P03_pre of other shape or affine"):
            patients.tell_apart(names, collection="Mine", grid=lambda name, o=other: o if name == "P03_pre" else VOLUME)


def test_where_a_slice_lies_in_its_scan_is_no_difference():
    moved = np.eye(4)
    moved[2, 3] = 77
    names = [f"P{p}_slice{s}" for p in range(5) for s in (1, 2)]
    found = patients.tell_apart(names, collection="M", grid=lambda n: (SLICE[0], moved) if n[-1] == "2" else SLICE)
    assert found.count == 5


def test_what_is_stated_beats_the_names_and_a_half_statement_stops():
    names = ["scan_1_1", "scan_1_2"]
    found = patients.tell_apart(names, collection="Mine", stated={"scan_1_1": "Ann", "scan_1_2": "Bob"})
    assert found.told == "key" and found.of == {"scan_1_1": "Ann", "scan_1_2": "Bob"}
    with pytest.raises(DataError, match="got none for scan_1_2"):
        patients.tell_apart(names, collection="Mine", stated={"scan_1_1": "Ann"})


def test_a_table_says_who_is_who_and_every_case_must_stand_in_it(tmp_path):
    table = tmp_path / "who.csv"
    table.write_text("case,patient\na_1,Ann\nb_7,Ann\n")
    assert patients.tell_apart(["a_1", "b_7"], collection="M", table=str(table)).of == {"a_1": "Ann", "b_7": "Ann"}
    with pytest.raises(ParameterError, match="got none for c_1"):
        patients.tell_apart(["a_1", "c_1"], collection="M", table=str(table))
    table.write_text("case,patient\na_1,Ann\na_1,Bob\n")
    with pytest.raises(ParameterError, match="got 'Ann' and 'Bob'"):
        patients.tell_apart(["a_1"], collection="M", table=str(table))


@pytest.mark.parametrize("text", ["", "name,who\na,b\n", "case\n", "\x00"])
def test_a_table_of_other_columns_is_refused(tmp_path, text):
    table = tmp_path / "who.csv"
    table.write_text(text)
    with pytest.raises(ParameterError, match="who.csv"):
        patients.tell_apart(["a"], collection="M", table=str(table))


def test_a_patterns_first_group_is_the_patient():
    assert patients.by_pattern(["x_12_a"], r"x_(\d+)") == {"x_12_a": "12"}
    with pytest.raises(ParameterError, match="got none in y"):
        patients.by_pattern(["x_1", "y"], r"x_(\d+)")
    with pytest.raises(ParameterError, match="regular expression"):
        patients.by_pattern(["x"], "(")


name = st.lists(st.sampled_from(["P1", "P2", "case", "01", "02", "7", "a", "b", "_", "-", "slice3", "pre", "site1"]),
                min_size=1, max_size=5).map("".join)  # fmt: skip
names_of = st.lists(name, min_size=1, max_size=14, unique=True)
family = st.builds(
    lambda people, others, sign: [f"K{p}{sign}{o}" for p in people for o in others],
    st.lists(st.integers(1, 9), min_size=1, max_size=7, unique=True),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.sampled_from(["_", "-", "_slice", "s", "_pre"]),
).map(lambda names: sorted(set(names)))  # fmt: skip


def guessed(names, grid):
    try:
        return told(names, grid=grid).of
    except DataError:
        return None


@given(st.one_of(names_of, family), st.one_of(name, st.builds("K{}_{}".format, st.integers(1, 9), st.integers(1, 9))),
       st.sampled_from([SLICE, VOLUME]))  # fmt: skip
def test_adding_a_case_never_merges_two_patients(names, more, grid):
    before, after = guessed(names, grid), guessed(sorted({*names, more}), grid)
    if before and after:
        together = {after[name]: before[name] for name in names}
        assert all(together[after[name]] == before[name] for name in names)


@given(st.one_of(names_of, family), st.randoms(), st.sampled_from([SLICE, VOLUME]))
def test_the_order_of_the_names_does_not_matter(names, order, grid):
    shuffled = list(names)
    order.shuffle(shuffled)
    assert guessed(shuffled, grid) == guessed(names, grid)


@given(family)
def test_files_that_share_a_number_before_a_slice_or_visit_word_are_never_parted(names):
    found = guessed([f"{name}_slice{number}" for name in names for number in (1, 2)], VOLUME)
    assert found is None or all(found[f"{name}_slice1"] == found[f"{name}_slice2"] for name in names)
