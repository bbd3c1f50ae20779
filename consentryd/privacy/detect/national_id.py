"""National identity, tax and health numbers that carry a check digit and a form of their own.

Numbers that are only digits (BSN, PESEL, Steuer-ID, ... unparted) are told from other ids by their key, not here: one random number in
ten passes a check digit. Here stand those whose letters, grouping, dates or stronger checks make a chance match rare.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from stdnum.au import tfn
from stdnum.be import nn
from stdnum.br import cnpj, cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cl import rut
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr as steuer_id
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.in_ import aadhaar, pan
from stdnum.it import codicefiscale
from stdnum.kr import rrn
from stdnum.mx import curp
from stdnum.no import fodselsnummer
from stdnum.se import personnummer
from stdnum.us import itin, ssn

from consentryd.privacy.detect.detector import Detector, Gate, always, digits_of

KIND: Final = "national_id"

_Check = Callable[[re.Match[str]], bool]


def _by(module: Any) -> _Check:
    return lambda match: bool(module.is_valid(match[0]))


_NRIC_WEIGHTS: Final = (2, 7, 6, 5, 4, 3, 2)
_NRIC_LETTERS: Final = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
_NRIC_OFFSETS: Final = {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}


def _is_nric(match: re.Match[str]) -> bool:
    """Singapore: a weighted sum of seven digits and an offset by the series, modulo 11, gives the letter."""
    series, digits, letter = match[0][0].upper(), match[0][1:8], match[0][8].upper()
    total = _NRIC_OFFSETS[series] + sum(weight * int(digit) for weight, digit in zip(_NRIC_WEIGHTS, digits, strict=True))
    return letter == _NRIC_LETTERS[series][total % 11]


def _is_mod97_date(match: re.Match[str]) -> bool:
    return bool(nn.is_valid(digits_of(match[0])))


def _detector(name: str, gate: Gate, pattern: str, check: _Check = always, *, id_like: bool = False) -> Detector:
    bounded = rf"(?<![\w.+-])(?:{pattern})(?![\w-])(?!\.[0-9])"
    return Detector(name, gate, re.compile(bounded, re.ASCII | re.IGNORECASE), check, kind=KIND, id_like=id_like)


DETECTORS: Final = (
    _detector("us_ssn", Gate.DIGITS, r"[0-8][0-9]{2}([ -])[0-9]{2}\1[0-9]{4}", _by(ssn)),
    _detector("us_itin", Gate.DIGITS, r"9[0-9]{2}([ -])[5-9][0-9]\1[0-9]{4}", _by(itin)),
    _detector("uk_nino", Gate.SHAPE, r"(?!BG|GB|KN|NK|NT|TN|ZZ)[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z][ ]?(?:[0-9]{2}[ ]?){3}[A-D]"),
    _detector("uk_nhs", Gate.DIGITS, r"[0-9]{3}([ -])[0-9]{3}\1[0-9]{4}", _by(nhs)),
    _detector("es_dni", Gate.SHAPE, r"[0-9]{8}-?[A-HJ-NP-TV-Z]", _by(dni)),
    _detector("es_nie", Gate.SHAPE, r"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]", _by(nie)),
    _detector("it_cf", Gate.RUN, r"[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]", _by(codicefiscale)),
    _detector("fr_nir", Gate.DIGITS, r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", _by(nir)),
    _detector("de_steuer_id", Gate.DIGITS, r"[1-9][0-9][ /][0-9]{3}[ /][0-9]{3}[ /][0-9]{3}", _by(steuer_id)),
    _detector("be_nn", Gate.DIGITS, r"[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}-?[0-9]{3}\.?[0-9]{2}", _is_mod97_date, id_like=True),
    _detector("se_pnr", Gate.DIGITS, r"(?:19|20)?[0-9]{6}[-+][0-9]{4}", _by(personnummer)),
    _detector("fi_hetu", Gate.SHAPE, r"[0-3][0-9][01][0-9]{3}[-+ABCDEFUVWXY][0-9]{3}[0-9A-FHJ-NPR-Y]", _by(hetu)),
    _detector("no_fnr", Gate.DIGITS, r"[0-9]{6}[ ]?[0-9]{5}", _by(fodselsnummer), id_like=True),
    _detector("ch_ahv", Gate.DIGITS, r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", _by(ahv)),
    _detector("cz_rc", Gate.DIGITS, r"[0-9]{6}/[0-9]{4}", _by(rc)),
    _detector("br_cpf", Gate.DIGITS, r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", _by(cpf)),
    _detector("br_cnpj", Gate.DIGITS, r"[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}", _by(cnpj)),
    _detector("cl_rut", Gate.SHAPE | Gate.DIGITS, r"[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9K]", _by(rut)),
    _detector("mx_curp", Gate.RUN, r"[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]", _by(curp)),
    _detector("in_aadhaar", Gate.DIGITS, r"[2-9][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}", _by(aadhaar)),
    _detector("in_pan", Gate.SHAPE, r"[A-Z]{3}[PCHFATBLJG][A-Z][0-9]{4}[A-Z]", _by(pan)),
    _detector("cn_ric", Gate.DIGITS, r"[1-9][0-9]{5}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9X]", _by(ric)),
    _detector("kr_rrn", Gate.DIGITS, r"[0-9]{6}-[0-9]{7}", _by(rrn)),
    _detector("sg_nric", Gate.SHAPE, r"[STFGM][0-9]{7}[A-Z]", _is_nric),
    _detector("ca_sin", Gate.DIGITS, r"[1-79][0-9]{2}([ -])[0-9]{3}\1[0-9]{3}", _by(sin)),
    _detector("au_tfn", Gate.DIGITS, r"[0-9]{3} [0-9]{3} [0-9]{3}", _by(tfn)),
)
