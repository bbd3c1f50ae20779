"""Our check digits against python-stdnum's, on any text of the form and on valid ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.pii_events import NATIONAL, Draw
from consentryd.privacy.detect.national_id import NUMBERS
from tests.privacy.test_scrub import stored

ORACLES = {
    "uk_nhs": "gb.nhs", "es_dni": "es.dni", "es_nie": "es.nie", "de_steuer_id": "de.idnr", "ch_ahv": "ch.ssn", "br_cpf": "br.cpf",
    "br_cnpj": "br.cnpj", "in_aadhaar": "in_.aadhaar", "ca_sin": "ca.sin", "au_tfn": "au.tfn",
    "cl_rut": "cl.rut", "fr_nir": "fr.nir", "in_pan": "in_.pan", "be_nn": "be.nn", "se_pnr": "se.personnummer", "fi_hetu": "fi.hetu",
    "no_fnr": "no.fodselsnummer", "cz_rc": "cz.rc", "kr_rrn": "kr.rrn",
}  # fmt: skip
#: Besides those of the bench: other centuries, dates that there are not, other signs.
FORMS = {
    "be_nn": ["##.##.##-###.##", "0#.1#.##-###.##", "##04##00###"],
    "se_pnr": ["######-####", "######+####", "19##0###-####", "20##1###+####", "000229+####", "000229-####"],
    "fi_hetu": ["######+###@", "##0###A###@", "##1###-###@", "3#02##Y###@"],
    "no_fnr": ["######9####", "4#0###6####", "##4### #####", "1#0##59####", "1#0#409####"],
    "cz_rc": ["######/####", "##5###/####", "##0#1#/####", "000229/####"], "kr_rrn": ["######-#######", "##0#1#-9######", "##1###-3######"],
    "cl_rut": ["##.###.###-#", "#.###.###-#", "##.###.###-K"],
    "fr_nir": ["1 ## 0# 2A ### ### ##", "2 ## ## 2B ### ### ##", "1##############", "1 ## 0# #A ### ### ##"],
    "in_pan": ["@@@P@####@", "@@@A@0000@", "@@@K@####@", "@@@T@####@"],
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


@pytest.mark.parametrize("name", ["be_nn", "se_pnr", "fi_hetu", "no_fnr", "cz_rc", "kr_rrn", "cl_rut", "fr_nir", "in_pan"])
def test_a_check_agrees_with_the_oracle_on_many_numbers_of_whom_some_are_valid(name: str) -> None:
    draw, valid, told = Draw(39), oracle(name), 0
    for round_ in range(900):
        text = NATIONAL[name][1] if name in NATIONAL and round_ % 2 else FORMS[name][round_ // 2 % len(FORMS[name])]
        text = draw.form(text)
        if not re.fullmatch(CHECKS[name].form, text, re.ASCII):
            continue
        for digit in "0123456789":
            other = text[:-1] + digit if text[-1].isdigit() else text
            assert CHECKS[name].check(other) == valid(other), other
            told += valid(other)
    assert told > 20


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
