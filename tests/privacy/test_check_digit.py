"""Our check digits against python-stdnum's, on any text of the form and on valid ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

import pytest
import stdnum.luhn
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.mx import curp

from bench.pii_events import NATIONAL, Draw
from consentryd.privacy.detect.detector import luhn
from consentryd.privacy.detect.national_id import NUMBERS
from tests.privacy.test_scrub import stored

ORACLES = {
    "uk_nhs": "gb.nhs", "es_dni": "es.dni", "es_nie": "es.nie", "de_steuer_id": "de.idnr", "ch_ahv": "ch.ssn", "br_cpf": "br.cpf",
    "br_cnpj": "br.cnpj", "in_aadhaar": "in_.aadhaar", "ca_sin": "ca.sin", "au_tfn": "au.tfn",
    "cl_rut": "cl.rut", "fr_nir": "fr.nir", "in_pan": "in_.pan", "be_nn": "be.nn", "se_pnr": "se.personnummer", "fi_hetu": "fi.hetu",
    "no_fnr": "no.fodselsnummer", "cz_rc": "cz.rc", "kr_rrn": "kr.rrn",
    "it_cf": "it.codicefiscale", "mx_curp": "mx.curp", "cn_ric": "cn.ric",
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
    "it_cf": ["@@@@@@##A0#@###", "@@@@@@##D7#@###", "@@@@@@L#S1#@##V", "@@@@@@##B3#@###", "@@@@@@##HL#@###"],
    "mx_curp": ["@A@@##0#1#HDF@@@0#", "@A@@##0#2#MNL@@@A#", "@A@@##1#3#HDF@@@0#", "@A@@850#1#XDF@@@0#", "MULO850#1#HDF@@@0#"],
    "cn_ric": ["11010#19##0#1####", "44190019##0#1####", "44190020##1#0####", "##010#19##0#3####", "99010119800#1####"],
}  # fmt: skip
CHECKS = {number.name: number for number in NUMBERS}


def oracle(name: str) -> Callable[[str], bool]:
    valid: Callable[[str], bool] = import_module(f"stdnum.{ORACLES[name]}").is_valid

    def is_valid(text: str) -> bool:
        try:
            return valid(text)
        except KeyError:  # of a Chinese province that has no such district
            return False

    return is_valid


@pytest.mark.parametrize("name", sorted(ORACLES))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_check_agrees_with_the_oracle_on_a_number_and_on_all_that_differ_in_one_place(name: str, data: st.DataObject) -> None:
    number = CHECKS[name]
    text = data.draw(st.from_regex(f"\\A(?a:{number.form})\\Z"))
    place = data.draw(st.sampled_from([at for at, character in enumerate(text) if character.isdigit()] or [6]))
    for digit in "0123456789":
        other = text[:place] + digit + text[place + 1 :]
        if re.fullmatch(number.form, other, re.ASCII):
            assert number.check(other) == oracle(name)(other), other


@pytest.mark.parametrize(
    "name", ["be_nn", "se_pnr", "fi_hetu", "no_fnr", "cz_rc", "kr_rrn", "cl_rut", "fr_nir", "in_pan", "mx_curp"]
)
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


@pytest.mark.parametrize(("name", "checks"), [("it_cf", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), ("cn_ric", "0123456789X")])
def test_a_check_by_a_letter_agrees_with_the_oracle_on_many_numbers_of_whom_some_are_valid(name: str, checks: str) -> None:
    draw, valid, told = Draw(43), oracle(name), 0
    for round_ in range(1500):
        text = draw.form(FORMS[name][round_ % len(FORMS[name])])
        for check in checks:
            if re.fullmatch(CHECKS[name].form, text + check, re.ASCII):
                assert CHECKS[name].check(text + check) == valid(text + check), text + check
                told += valid(text + check)
    assert told > 20


def test_letters_of_either_case_are_checked_alike() -> None:
    for name, text in (("it_cf", "RCCMNL83S18D969H"), ("mx_curp", "BOXW310820HNERXN09")):
        assert CHECKS[name].check(text)
        assert CHECKS[name].check(text.lower())


def test_words_and_states_that_mexico_does_not_give_out_are_the_oracles() -> None:
    for first in curp._name_blacklist | {"BOXW"}:
        for state in curp._valid_states | {"XX"}:
            text = f"{first}310820H{state}RXN0"
            text += curp.calc_check_digit(text + "0")
            assert CHECKS["mx_curp"].check(text) == curp.is_valid(text), text


def test_a_chinese_number_of_no_district_is_none() -> None:
    assert stored("119999198001010018") == "119999198001010018"
    assert stored("110101198001010010") == "[cn_ric]"


@given(st.from_regex(r"\A[0-9]{1,28}\Z"))
def test_the_luhn_digit_agrees_with_the_oracle(digits: str) -> None:
    assert luhn(digits) == stdnum.luhn.is_valid(digits)


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
