"""YAML: files that people write or that a kill or a merge has torn"""

from __future__ import annotations

import pytest
from faults.registry import Fault, tried

from semantiseg import params
from semantiseg.artifact import published
from semantiseg.data.labels import read_mapping
from semantiseg.errors import SemantiSegError
from semantiseg.paper.claims import read_claims

LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))

READERS = {
    "params.yaml": params.load,
    "claims.yaml": read_claims,
    "mapping.yaml": lambda path: read_mapping(str(path)),
    "dvc.lock": lambda path: published.outputs(path.parent),
}


@pytest.mark.parametrize("name", READERS)
@tried(
    *(
        Fault(f"A YAML file that holds {what}", "an error that names the file", remedy, content)
        for what, remedy, content in (
            ("nothing", "restore it", b""),
            ("Latin-1", "save it as UTF-8", "Müller: liver".encode("latin-1")),
            ("a zero byte", "restore it", b"seed: \0"),
            ("10,000 brackets", "correct it", b"[" * 10_000),
            ("10,000 levels", "correct it", b"".join(b" " * n + b"a:\n" for n in range(1500))),
            ("a billion laughs", "write it without aliases", LAUGHS.encode()),
            ("a list that holds itself", "write it without aliases", b"a: &a [*a]\n"),
            ("a tag that makes a Python object", "remove the tag", b"!!python/object/apply:os.system ['true']"),
            ("a date in month 13", "correct it", b"seed: 2026-13-45\n"),
            ("Git's conflict markers", "choose a side", b"<<<<<<< HEAD\nseed: 1\n=======\nseed: 2\n>>>>>>> other\n"),
            ("half a line", "restore it", b"schema: '2.0'\nstages:\n  fetch:\n    outs:\n    - path: da"),
            ("a number", "restore it", b"17"),
        )
    )
)
def test_a_reader_of_yaml_names_the_file_and_runs_nothing(tmp_path, name, fault):
    path = tmp_path / name
    path.write_bytes(fault.inject)
    with pytest.raises(SemantiSegError) as error:
        READERS[name](path)
    assert name in str(error.value) and len(str(error.value)) < 20_000
