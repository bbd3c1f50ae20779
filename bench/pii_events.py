"""The labelled set for scrubbing: seeded events with personal data in 40 locales' formats, in many encodings, among hard negatives.

    python bench/pii_events.py [--events 5000] [--seed 7] > events.jsonl

Each line is `{"event": {...}, "labels": [[path, detector], ...]}`. Check digits come from python-stdnum and phonenumbers, whose code the
detectors under test use in part; numbers are drawn until the library calls them valid. Nothing here belongs to anybody.
"""

# ruff: noqa: C901, E501, PLR0911, PLR0912, RUF001  a generator is a list of cases, in many scripts

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import uuid
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from typing import Any
from urllib.parse import quote

import phonenumbers
from Crypto.Hash import keccak

from consentryd.privacy.detect.iban import LENGTHS

LOCALES = [
    "US",
    "GB",
    "CA",
    "AU",
    "NZ",
    "IE",
    "DE",
    "AT",
    "CH",
    "FR",
    "BE",
    "NL",
    "LU",
    "ES",
    "PT",
    "IT",
    "GR",
    "SE",
    "NO",
    "DK",
    "FI",
    "IS",
    "PL",
    "CZ",
    "SK",
    "HU",
    "RO",
    "BG",
    "HR",
    "SI",
    "EE",
    "LV",
    "LT",
    "TR",
    "IL",
    "ZA",
    "IN",
    "JP",
    "KR",
    "BR",
    "MX",
    "AR",
    "CL",
    "CO",
    "SG",
]

FIRST = [
    "anna",
    "jürgen",
    "maría",
    "zoë",
    "pierre",
    "søren",
    "łukasz",
    "olga",
    "mehmet",
    "yuki",
    "min-jun",
    "aarav",
    "chloé",
    "bjørn",
    "niamh",
    "tomás",
    "ivan",
    "kofi",
    "leïla",
    "dmitri",
]
LAST = [
    "smith",
    "müller",
    "garcía",
    "dubois",
    "rossi",
    "jensen",
    "kowalski",
    "novák",
    "ivanov",
    "yılmaz",
    "tanaka",
    "kim",
    "sharma",
    "o'neill",
    "silva",
    "lópez",
    "nguyen",
    "öberg",
    "haddad",
    "mensah",
]
DOMAINS = [
    "example.com",
    "example.org",
    "mail.example.co.uk",
    "example.de",
    "exämple.de",
    "example.fr",
    "sub.example.com.br",
    "example.museum",
    "xn--exmple-cua.de",
    "example.io",
]

NATIONAL = {
    "us_ssn": ("us.ssn", "###-##-####"),
    "us_itin": ("us.itin", "9##-7#-####"),
    "uk_nhs": ("gb.nhs", "### ### ####"),
    "es_dni": ("es.dni", "########@"),
    "es_nie": ("es.nie", "X#######@"),
    "fr_nir": ("fr.nir", "1 ## 0# ## ### ### ##"),
    "de_steuer_id": ("de.idnr", "## ### ### ###"),
    "be_nn": ("be.nn", "##.0#.1#-###.##"),
    "se_pnr": ("se.personnummer", "##0#1#-####"),
    "fi_hetu": ("fi.hetu", "1#0###-###@"),
    "no_fnr": ("no.fodselsnummer", "1#0### #####"),
    "ch_ahv": ("ch.ssn", "756.####.####.##"),
    "cz_rc": ("cz.rc", "##0#1#/####"),
    "br_cpf": ("br.cpf", "###.###.###-##"),
    "br_cnpj": ("br.cnpj", "##.###.###/####-##"),
    "cl_rut": ("cl.rut", "##.###.###-#"),
    "in_aadhaar": ("in_.aadhaar", "#### #### ####"),
    "cn_ric": ("cn.ric", "11010119##0#1#####"),
    "kr_rrn": ("kr.rrn", "##0#1#-1######"),
    "ca_sin": ("ca.sin", "###-###-###"),
    "au_tfn": ("au.tfn", "### ### ###"),
}

#: Prefix and lengths of cards, each brand about as often; the last column says whether the range is seen as digits only.
CARDS = [
    *[(prefix, (16,), True) for prefix in ("4", "41", "45", "49", "51", "52", "53", "54", "55", "2221", "2345", "2720")],
    ("4", (13, 19), True), ("34", (15,), True), ("37", (15,), True), ("6011", (16,), True), ("644", (16,), True), ("65", (16,), True),
    ("3528", (16,), True), ("3589", (16,), True), ("36", (14,), True), ("38", (14,), True), ("300", (14, 16), True), ("62", (16, 17, 18, 19), True),
    ("5018", (12, 13, 16, 19), True), ("6304", (12, 16, 18), True), ("6759", (13, 16, 18, 19), True), ("6762", (12, 16), True),
    ("2200", (16,), True), ("9792", (16,), True), ("5085", (16,), True), ("607", (16,), True), ("8101", (16,), True),
    ("57", (16,), False), ("61", (16,), False), ("69", (16,), False),
]  # fmt: skip

SG_LETTERS = "JZIHGFEDCBA"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class Draw:
    """One seeded source of everything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pick = self.random.choice

    def digits(self, count: int) -> str:
        return "".join(self.pick("0123456789") for _ in range(count))

    def form(self, form: str) -> str:
        letters = "ABCDEFGHJKLMNPQRSTVWXYZ"
        return "".join(self.pick("0123456789") if c == "#" else self.pick(letters) if c == "@" else c for c in form)

    def valid(self, form: str, valid: Callable[[str], bool]) -> str:
        return next(text for text in iter(lambda: self.form(form), None) if valid(text))

    def email(self) -> str:
        local = (
            f"{self.pick(FIRST)}{self.pick(['.', '_', '', '-'])}{self.pick(LAST)}{self.pick(['', '', '+news', self.digits(2)])}"
        )
        return f"{local}@{self.pick(DOMAINS)}"

    def phone(self, locale: str) -> phonenumbers.PhoneNumber:
        example = phonenumbers.example_number_for_type(
            locale, phonenumbers.PhoneNumberType.MOBILE
        ) or phonenumbers.example_number(locale)
        while True:
            text = str(example.national_number)
            number = phonenumbers.PhoneNumber(
                example.country_code, int(text[:-4] + self.digits(4)), italian_leading_zero=example.italian_leading_zero
            )
            if phonenumbers.is_valid_number(number):
                return number

    def card(self) -> str:
        prefix, lengths, bare = self.pick(CARDS)
        length = self.pick(lengths)
        body = prefix + self.digits(length - 1 - len(prefix))
        digits = body + next(d for d in "0123456789" if luhn(body + d))
        if length == 16 and (not bare or self.random.random() < 0.5):
            return self.pick([" ", "-"]).join(digits[i : i + 4] for i in range(0, 16, 4))
        return digits

    def lettered(self) -> tuple[str, str]:
        """A national number with letters, and its detector."""
        name = self.pick(["uk_nino", "it_cf", "in_pan", "sg_nric", "mx_curp"])
        if name == "uk_nino":
            return name, self.pick(["AB", "CE", "HX", "PR", "SW"]) + self.form(self.pick([" ## ## ## ", "######"])) + self.pick(
                "ABCD"
            )
        if name == "in_pan":
            return name, self.form("@@@") + self.pick("PCHFATBLJG") + self.form("@####@")
        if name == "sg_nric":
            digits = self.digits(7)
            total = sum(weight * int(digit) for weight, digit in zip((2, 7, 6, 5, 4, 3, 2), digits, strict=True))
            return name, f"S{digits}{SG_LETTERS[total % 11]}"
        month = f"{self.random.randrange(1, 13):02}"
        if name == "mx_curp":
            return name, self.valid(f"@A@@8#{month}1#HDF@@@0#", import_module("stdnum.mx.curp").is_valid)
        from stdnum.it.codicefiscale import calc_check_digit  # noqa: PLC0415  beside its only use

        body = self.form("@@@@@@8#") + self.pick("ABCDEHLMPRST") + self.form("1#@###")
        return name, self.pick([str.upper, str.lower])(body + calc_check_digit(body))

    def imei(self) -> str:
        body = self.digits(14)
        digits = body + next(d for d in "0123456789" if luhn(body + d))
        return self.pick([f"IMEI: {digits}", f"{digits[:2]}-{digits[2:8]}-{digits[8:14]}-{digits[14]}"])

    def coin(self) -> str:
        """A Bitcoin or Tron address with its checksum, or an Ethereum one in one letter case or in the case that is its checksum."""
        if self.random.random() < 0.3:
            address = self.random.randbytes(20).hex()
            hashed = keccak.new(data=address.encode(), digest_bits=256).hexdigest()
            cased = "".join(letter.upper() if digit >= "8" else letter for letter, digit in zip(address, hashed, strict=False))
            return "0x" + self.pick([address, cased])
        raw = self.pick([b"\x00", b"\x05", b"\x41"]) + self.random.randbytes(20)
        number = int.from_bytes(raw + sha256(sha256(raw).digest()).digest()[:4], "big")
        text = ""
        while number:
            number, rest = divmod(number, 58)
            text = BASE58[rest] + text
        return ("1" if raw[0] == 0 else "") + text

    def credential(self) -> tuple[str, str]:
        """A secret that says what it is, and its detector."""
        name = self.pick(["pem", "bearer", "basic_auth"])
        if name == "bearer":
            return name, f"Authorization: Bearer {token(self, 32)}"
        if name == "basic_auth":
            return name, "Basic " + base64.b64encode(f"{self.pick(FIRST)}:{token(self, 9)}".encode()).decode()
        kind = self.pick(["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY"])
        lines = "\n".join(token(self, 64) for _ in range(3))
        return name, f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"

    def place(self) -> tuple[str, str]:
        """A path or URL with a person in it, and its detector."""
        who = self.pick(LAST).replace("'", "")
        return self.pick(
            [
                ("user_path", f"/Users/{who}/Documents/plan.pdf"),
                ("user_path", f"/home/{who}/project/main.py"),
                ("user_path", f"C:\\Users\\{who}\\Desktop\\plan.docx"),
                ("url_user", f"https://{who}:{token(self, 8)}@files.example.com/x"),
                ("url_id", f"https://shop.example/users/{self.digits(8)}/orders"),
                ("url_fragment", f"https://shop.example/cart#{token(self, 12)}"),
            ]
        )

    def iban(self) -> str:
        country = self.pick(sorted(LENGTHS))
        body = self.digits(LENGTHS[country] - 4)
        check = 98 - int(body + "".join(str(int(c, 36)) for c in country) + "00") % 97
        number = f"{country}{check:02}{body}"
        spaced = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
        return self.pick([number, number.lower(), spaced, spaced.lower()])


def luhn(digits: str) -> bool:
    values = [int(d) for d in reversed(digits)]
    return sum(v if i % 2 == 0 else sum(divmod(2 * v, 10)) for i, v in enumerate(values)) % 10 == 0


def encodings(draw: Draw, text: str, *, at: bool = False) -> str:
    """The text in a sentence, a URL, or an encoding."""
    kind = draw.random.randrange(14)
    if kind < 5:
        return text
    if kind < 8:
        return draw.pick(["Contact: {} please", "my data is {}", "{} (new)", "see {}."]).format(text)
    if kind == 8:
        return "https://shop.example/c?q=" + quote(text, safe="")
    if kind == 9:
        return "https://shop.example/c?q=" + quote(quote(text, safe=""), safe="")
    if kind == 10:
        return base64.b64encode(json.dumps({"v": text}).encode()).decode()
    if kind == 11:
        return json.dumps({"inner": {"v": text}}, ensure_ascii=False)
    if kind == 12:
        return "".join(chr(ord(c) + 0xFEE0) if c in "0123456789@." else c for c in text)
    return text.replace("@", "&#64;") if at else text[:3] + "\u200b" + text[3:]


def positive(draw: Draw, locale: str) -> tuple[str, str, Any]:
    """(key, detector, value) of one planted datum."""
    kind = draw.random.randrange(22)
    note = draw.pick(["note", "comment", "message", "q", "label", "search_term", "value", "reason"])
    if kind < 3:
        return note, "email", encodings(draw, draw.email(), at=True)
    if kind < 5:
        form = draw.pick(
            [
                phonenumbers.PhoneNumberFormat.E164,
                phonenumbers.PhoneNumberFormat.INTERNATIONAL,
                phonenumbers.PhoneNumberFormat.RFC3966,
            ]
        )
        return note, "phone", encodings(draw, phonenumbers.format_number(draw.phone(locale), form))
    if kind == 5:
        national = phonenumbers.format_number(draw.phone(locale), phonenumbers.PhoneNumberFormat.NATIONAL)
        return draw.pick(["phone", "mobileNumber", "contact_tel", "billing-phone"]), "phone", national
    if kind < 8:
        card = draw.card()
        return (
            note,
            "card",
            int(card) if card.isdigit() and len(card) < 19 and draw.random.random() < 0.2 else encodings(draw, card),
        )
    if kind < 10:
        return note, "iban", encodings(draw, draw.iban())
    if kind < 13:
        name = draw.pick(sorted(NATIONAL))
        module, form = NATIONAL[name]
        return note, name, encodings(draw, draw.valid(form, import_module(f"stdnum.{module}").is_valid))
    if kind == 13:
        address = ".".join(str(draw.random.randrange(1, 255)) for _ in range(4))
        six = "2001:db8:" + ":".join(f"{draw.random.randrange(1, 65536):x}" for _ in range(6))
        return note, "ip", draw.pick([address, six, f"from {address}", f"host {six} said"])
    if kind == 14:
        part = draw.pick([":", "-"])
        return note, "mac", "0a" + part + part.join(f"{draw.random.randrange(256):02x}" for _ in range(5))
    if kind == 15:
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
        body = base64.urlsafe_b64encode(json.dumps({"sub": draw.digits(6)}).encode()).decode().rstrip("=")
        return note, "jwt", f"{head}.{body}.{token(draw, 43)}"
    if kind == 16:
        return (
            note,
            "provider_key",
            draw.pick(
                [
                    "AKIA" + draw.form("@" * 16),
                    "ghp_" + token(draw, 36),
                    "sk_live_" + token(draw, 24),
                    "xoxb-" + draw.digits(12) + "-" + token(draw, 24),
                ]
            ),
        )
    if kind == 17:
        key, detector, value = draw.pick(
            [("firstName", "name", draw.pick(FIRST)), ("dob", "birth_date", "1985-0" + draw.form("3-1#")), ("latitude", "coordinate", 52.520008 + draw.random.random()),
             ("street_address", "postal_address", f"{draw.pick(LAST)} street {draw.digits(2)}"), ("password", "secret", token(draw, 10)), ("gclid", "click_id", token(draw, 30))]
        )  # fmt: skip
        return key, detector, value
    if kind == 18:
        detector, value = draw.lettered()
        return note, detector, encodings(draw, value)
    if kind == 19:
        return draw.pick([(note, "imei", draw.imei()), (note, "crypto", encodings(draw, draw.coin()))])
    if kind == 20:
        return (note, *draw.pick([draw.credential, draw.place])())
    return "href", "click_id", f"https://shop.example/l?utm_source=x&fbclid={token(draw, 24)}"


def token(draw: Draw, length: int) -> str:
    return "".join(draw.pick("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") for _ in range(length))


def negative(draw: Draw) -> tuple[str, Any]:
    """(key, value) of something that looks like personal data and is not."""
    now = 1_700_000_000_000 + draw.random.randrange(90_000_000_000)
    makers: list[Callable[[], tuple[str, Any]]] = [
        lambda: ("sent_at", now),
        lambda: ("value", now // 1000),
        lambda: ("t", f"{now}"),
        lambda: ("tweet_id", draw.random.randrange(10**17, 10**19)),
        lambda: ("order_id", draw.digits(16)),
        lambda: ("orderNumber", int("4" + draw.digits(14))),
        lambda: (
            "app_version",
            f"{draw.random.randrange(20)}.{draw.random.randrange(20)}.{draw.random.randrange(20)}.{draw.random.randrange(20)}",
        ),
        lambda: ("agent", f"App/{draw.random.randrange(20)}.{draw.random.randrange(20)}.0.1 build"),
        lambda: ("image", f"logo@{draw.pick('23')}x.png"),
        lambda: ("package", f"@scope/pkg@{draw.random.randrange(9)}.2.1"),
        lambda: ("remote", "git@github.com:org/repo.git"),
        lambda: ("cart", str(uuid.UUID(int=draw.random.getrandbits(128), version=4))),
        lambda: ("commit", f"{draw.random.getrandbits(160):040x}"),
        lambda: ("doc", f"{draw.random.getrandbits(96):024x}"),
        lambda: ("ulid", "01H" + "".join(draw.pick("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(23))),
        lambda: ("ean", "40" + draw.digits(11)),
        lambda: ("isbn", f"978-3-{draw.digits(2)}-{draw.digits(6)}-{draw.digits(1)}"),
        lambda: ("when", f"2026-0{draw.form('#-1#T1#:2#:3#.###Z')}"),
        lambda: ("day", f"1{draw.digits(1)}.0{draw.random.randrange(1, 9)}.2026 1{draw.digits(1)}:3{draw.digits(1)}"),
        lambda: ("title", "User authenticated, password policy updated: INTRODUCTORY public licence"),
        lambda: ("code", f"SAVE{draw.digits(4)}"),
        lambda: ("sku", f"AB-{draw.digits(5)}-{draw.digits(3)}"),
        lambda: ("size", f"{draw.digits(4)}x{draw.digits(4)}"),
        lambda: ("range", f"{draw.digits(4)}-{draw.digits(4)}"),
        lambda: ("path", "/home/garden/lamps"),
        lambda: ("mobile", "iPhone 15"),
        lambda: ("email", "weekly newsletter"),
        lambda: ("score", round(draw.random.random(), 12)),
        lambda: ("blob", base64.b64encode(draw.random.randbytes(30)).decode()),
        lambda: ("text", "Über 1.000.000 Kunden – größer als 3,5 %"),
        lambda: ("текст", "Красные туфли 42"),
        lambda: ("tokens_used", draw.random.randrange(10**6)),
        lambda: ("css", "margin: 0 1.5em; color: #a1b2c3"),
        lambda: ("time", "12:34:56"),
        lambda: ("weight", f"+{draw.digits(3)}.{draw.digits(2)} g"),
        lambda: ("said", f"order {draw.digits(10)} shipped, ticket #{draw.digits(8)}"),
        lambda: ("bare", draw.digits(12)),
        lambda: ("bare16", draw.digits(16)),
        lambda: ("handle", "0x" + draw.form("#aB" * 13) + "f"),
        lambda: ("zone", "2026-11-21T10:00:00+0100"),
    ]
    return draw.pick(makers)()


def ordinary(draw: Draw) -> dict[str, Any]:
    """An event of about 800 bytes without personal data: a product view as SDKs send it."""
    return {
        "url": f"https://shop.example.com/products/{draw.pick(['red', 'blue'])}-shoes-{draw.digits(2)}?utm_source=news&utm_medium=mail",
        "referrer": "https://www.example.com/", "title": "Red shoes for men - Shop", "product_id": f"sku-{draw.digits(5)}",
        "name": "Red shoes", "category": "Shoes", "price": draw.random.randrange(10**4) / 100, "currency": "EUR", "quantity": 1,
        "position": draw.random.randrange(40), "variant": "red-42", "coupon": "SUMMER", "logged_in": True, "plan": "pro",
        "cart_id": str(uuid.UUID(int=draw.random.getrandbits(128), version=4)), "viewport": "1440x800", "app_version": "4.12.3",
        "experiment": {"name": "checkout_v2", "variant": "b"}, "viewed_at": f"2026-11-21T1{draw.form('#:1#:2#.###')}Z",
        "products": [{"product_id": f"sku-{draw.digits(4)}", "price": 12.5, "quantity": 2, "name": "Socks"}],
        "load_ms": draw.random.randrange(3000), "source": "listing", "tags": ["sale", "new"], "list": "Search results", "brand": "Acme shoes",
        "locale": "en-GB", "sent": 1_763_000_000_000 + draw.random.randrange(10**9),
    }  # fmt: skip


def events(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Labelled events: one to three data each, and three to six hard negatives, some nested."""
    draw = Draw(seed)
    for number in range(count):
        locale = LOCALES[number % len(LOCALES)]
        properties: dict[str, Any] = {"plan": "pro", "step": number % 7}
        labels = []
        for index in range(draw.random.randrange(1, 4)):
            key, detector, value = positive(draw, locale)
            if index == 2:
                properties.setdefault("nested", {"list": []})["list"].append({key: value})
                labels.append([f"properties.nested.list[{len(properties['nested']['list']) - 1}].{key}", detector])
            elif key not in properties:
                properties[key] = value
                labels.append([f"properties.{key}", detector])
        for _ in range(draw.random.randrange(3, 7)):
            key, value = negative(draw)
            properties.setdefault(key, value)
        yield {"event": {"event": "Form Submitted", "properties": properties}, "labels": labels}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    for labelled in events(options.events, options.seed):
        sys.stdout.write(json.dumps(labelled, ensure_ascii=False) + "\n")
