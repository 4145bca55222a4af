from __future__ import annotations

from collections import Counter

from faults import table


def _faults():
    return [fault for _, found in table.sections() for fault, _ in found]


def test_the_page_of_faults_says_what_the_tests_try():
    assert table.DOCUMENT.read_text(encoding="utf-8") == table.text(), "run `make faults`"


def test_every_fault_stands_once_and_says_what_happens_and_what_to_do():
    faults = _faults()
    assert faults
    assert [name for name, count in Counter(fault.name for fault in faults).items() if count > 1] == []
    assert [fault.name for fault in faults if not (fault.name and fault.happens and fault.remedy)] == []
