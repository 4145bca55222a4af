"""The parameter schema: shipped profiles are valid, typos and wrong types are not."""

from __future__ import annotations

import copy

import pytest
from ruamel.yaml import YAML

from semantiseg import params
from semantiseg.errors import ParameterError


def profile(name: str) -> dict:
    return YAML(typ="safe", pure=True).load(params.profile_text(name))


@pytest.mark.parametrize("name", params.profile_names())
def test_every_shipped_profile_is_valid_and_names_itself(name):
    assert params.check(profile(name), origin=name).profile == name


def test_all_profiles_have_the_same_keys_in_the_same_order():
    def keys(values: dict) -> list:
        return [(key, keys(value)) if isinstance(value, dict) else key for key, value in values.items()]

    assert all(keys(profile(name)) == keys(profile("demo")) for name in params.profile_names())


def test_the_committed_parameters_are_the_demo(root):
    assert (root / "params.yaml").read_text() == params.profile_text("demo")


def leaves(values: dict, path: tuple = ()) -> list[tuple]:
    return [
        leaf
        for key, value in values.items()
        for leaf in (leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)])
    ]


@pytest.mark.parametrize("path", leaves(profile("demo")), ids=".".join)
def test_a_missing_a_misspelt_and_a_mistyped_key_are_each_named(path):
    for change in ("missing", "misspelt", "mistyped"):
        values = copy.deepcopy(profile("demo"))
        section = values
        for key in path[:-1]:
            section = section[key]
        value = section.pop(path[-1])
        if change == "misspelt":
            section[path[-1] + "s"] = value
        if change == "mistyped":
            section[path[-1]] = {"value": value}
        with pytest.raises(ParameterError) as caught:
            params.check(values, origin="params.yaml")
        assert ".".join(path) in str(caught.value) and "params.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train", "steps", "20"),
        ("train", "steps", 1.5),
        ("train", "learning_rate", float("inf")),
        ("prepare", "test_share", 1.0),
    ],
)
def test_values_are_neither_coerced_nor_out_of_range(section, key, value):
    values = profile("demo")
    values[section][key] = value
    with pytest.raises(ParameterError, match=f"{section}.{key}"):
        params.check(values, origin="params.yaml")


@pytest.mark.parametrize("models", [[], ["tokenn"], ["token", "token"]])
def test_the_list_of_models_is_checked(models):
    with pytest.raises(ParameterError, match="models"):
        params.check(profile("demo") | {"models": models}, origin="params.yaml")


def test_numbers_are_read_as_dvc_reads_them(tmp_path):
    (tmp_path / "params.yaml").write_text("rate: 1e-4\nword: on\n")
    assert params.read_yaml(tmp_path / "params.yaml") == {"rate": 1e-4, "word": "on"}


def test_a_file_that_is_absent_or_no_yaml_is_named(tmp_path):
    with pytest.raises(ParameterError, match="params.yaml"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1\n")
    with pytest.raises(ParameterError, match="params.yaml"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("just words")
    with pytest.raises(ParameterError, match="mapping"):
        params.load(tmp_path / "params.yaml")


def test_an_unknown_profile_is_named_with_those_there_are():
    with pytest.raises(ParameterError, match="demo.*got 'dmo'"):
        params.profile_text("dmo")
