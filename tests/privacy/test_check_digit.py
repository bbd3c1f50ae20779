"""Our check digits against python-stdnum's, on any text of the form and on valid ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.privacy.detect.national_id import NUMBERS
from tests.privacy.test_scrub import stored

ORACLES = {
    "uk_nhs": "gb.nhs", "es_dni": "es.dni", "es_nie": "es.nie", "de_steuer_id": "de.idnr", "ch_ahv": "ch.ssn", "br_cpf": "br.cpf",
    "br_cnpj": "br.cnpj", "in_aadhaar": "in_.aadhaar", "ca_sin": "ca.sin", "au_tfn": "au.tfn",
}  # fmt: skip
CHECKS = {number.name: number for number in NUMBERS}


def oracle(name: str) -> Callable[[str], bool]:
    valid: Callable[[str], bool] = import_module(f"stdnum.{ORACLES[name]}").is_valid
    return valid


@pytest.mark.parametrize("name", sorted(ORACLES))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_check_agrees_with_the_oracle_on_a_number_and_on_all_that_differ_in_one_place(name: str, data: st.DataObject) -> None:
    number = CHECKS[name]
    text = data.draw(st.from_regex(f"\\A(?a:{number.form})\\Z"))
    place = data.draw(st.sampled_from([at for at, character in enumerate(text) if character.isdigit()]))
    for digit in "0123456789":
        other = text[:place] + digit + text[place + 1 :]
        if re.fullmatch(number.form, other, re.ASCII):
            assert number.check(other) == oracle(name)(other), other


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("398 25 9791", "[us_ssn]"),
        ("990 77 4833", "[us_itin]"),
        ("912-50-3456", "[us_itin]"),
        ("912-69-3456", "912-69-3456"),
        ("912-93-3456", "912-93-3456"),
        ("666-12-3456", "666-12-3456"),
        ("219-09-9999", "219-09-9999"),
        ("398-00-9791", "398-00-9791"),
        ("398-25-0000", "398-25-0000"),
    ],
)
def test_american_numbers_follow_the_rules_of_areas_and_groups(text: str, expected: str) -> None:
    assert stored(text) == expected
