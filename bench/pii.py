"""Recall and precision of each detector on the labelled set, and microseconds an event.

    python -m bench.pii [--events 5000] [--seed 7] [--misses 5]

A datum counts as found when something was redacted at its path, as right when it was redacted as what it is (or as what its key says);
a redaction at a path without a datum is a false one. Times are of the thread, the best of twelve rounds of new events, of `Scrubber.scrub`
alone: made-up product views, the shop's log in its order (`examples.shop_events`, fields as the gateway's stage makes them), and dense ones.
If `presidio-analyzer` is importable (it is no dependency), its pattern recognisers run on the same texts, without a language model.
"""

# ruff: noqa: E501, PLC0415  tables and the optional comparison read best in place

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import orjson
from stdnum import luhn

from bench import pii_events
from consentryd.config.settings import Privacy
from consentryd.gateway.stages.scrub import PAGE_PROPERTIES
from consentryd.privacy.rules import load_rules
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.url import coarsen_url
from examples.shop_events.generator import Scenario, lines


def scrubber() -> Scrubber:
    return Scrubber(load_rules(), b"k" * 32, "eu", Privacy())


def measure(events: list[dict[str, Any]], misses: int) -> None:
    scrub = scrubber()
    planted, found, right, false, chance = Counter(), Counter(), Counter(), Counter(), Counter()
    shown: dict[str, list[str]] = defaultdict(list)
    for labelled in events:
        labels = dict(map(tuple, labelled["labels"]))
        redacted = {}
        for redaction in scrub.scrub("Form Submitted", "shop", labelled["event"]).redactions:
            owner = next(
                (path for path in labels if redaction.path == path or redaction.path.startswith((path + ".", path + "["))), None
            )
            if owner is None:
                false[redaction.rule] += 1
                chance[redaction.rule] += redaction.rule == "card" and is_card_number(at(labelled["event"], redaction.path))
                shown[f"false {redaction.rule}"].append(
                    f"{redaction.path}: {json.dumps(labelled['event'], ensure_ascii=False)[:300]}"
                )
            else:
                redacted.setdefault(owner, []).append(redaction.rule)
        for path, detector in labels.items():
            planted[detector] += 1
            found[detector] += path in redacted
            right[detector] += detector in redacted.get(path, ())
            if path not in redacted:
                shown[f"missed {detector}"].append(f"{path}: {json.dumps(labelled['event'], ensure_ascii=False)[:300]}")
            elif detector not in redacted[path]:
                shown[f"as other {detector}"].append(f"{redacted[path]} {path}")
    print(f"{'detector':<16}{'planted':>8}{'recall':>8}{'named':>8}{'false':>7}{'precision':>11}")
    for detector in sorted(planted | false):
        total, hits = planted[detector], found[detector]
        precision = hits / (hits + false[detector]) if hits + false[detector] else 1.0
        print(
            f"{detector:<16}{total:>8}{hits / total if total else 1:>8.3f}{right[detector] / total if total else 1:>8.3f}{false[detector]:>7}{precision:>11.3f}"
        )
    without = found["card"] / max(1, found["card"] + false["card"] - chance["card"])
    print(
        f"\n{chance['card']} of {false['card']} false cards are random digits that an issuer may have given out (range, length, check digit); "
        f"without them the precision of cards is {without:.3f}"
    )
    for title, cases in sorted(shown.items()):
        print(f"\n{title} ({len(cases)})", *cases[:misses], sep="\n  ") if misses else None


#: What the schemes publish of their ranges, written down apart from the detector's table.
ISSUED = re.compile(r"4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|30[0-5]|3095|3[689]|6011|64[4-9]|65|35(?:2[89]|[3-8])|62|81[0-6]|817[01]|50(?:18|20|38|8[5-9])|5[68]"
                    r"|6304|633[134]|6390|67|60(?:69|7|8[0-5])|220[0-4]|9792")  # fmt: skip


def is_card_number(value: Any) -> bool:
    """Whether digits are a card number in every respect: range, length and check digit."""
    text = str(value)
    return text.isdigit() and 12 <= len(text) <= 19 and ISSUED.match(text) is not None and luhn.is_valid(text)


def at(event: dict[str, Any], path: str) -> Any:
    """The value at a path of names and indices."""
    value: Any = event
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        value = value[int(index)] if index else value[name]
    return value


def rate(rounds: list[list[dict[str, Any]]]) -> float:
    """The best round; the first is for warming up. No round sees an event of another: what repeats is what repeats in life."""
    scrub, best = scrubber(), float("inf")
    for index, events in enumerate(rounds):
        start = time.thread_time()
        for event in events:
            scrub.scrub(event.get("event", ""), "shop", event)
        spent = (time.thread_time() - start) / len(events) * 1e6
        best = min(best, spent) if index else best
    return best


def ordinary_events(draw: pii_events.Draw, count: int) -> list[dict[str, Any]]:
    page = {"event": "Product Viewed", "title": "Red shoes", "path": "/products/red-shoes"}
    return [{**page, "properties": pii_events.ordinary(draw)} for _ in range(count)]


def shop_events(count: int) -> list[dict[str, Any]]:
    """The shop's log in its order, as the fields that the gateway's stage hands to the scrubber."""
    return [_fields(json.loads(line)) for line in lines(Scenario(count, 7, date(2026, 8, 23), 90))]


def _fields(call: dict[str, Any]) -> dict[str, Any]:
    page = (call.get("context") or {}).get("page") or {}
    properties = {**(call.get("properties") or {}), **(call.get("traits") or {})}
    if call["type"] in {"page", "screen"}:
        properties = {name: value for name, value in properties.items() if name not in PAGE_PROPERTIES}
    return {
        "event_id": call["messageId"],
        "event": call.get("event") or call.get("name") or call["type"],
        "title": page.get("title"),
        "path": coarsen_url(page.get("url")).path,
        "properties": properties,
    }


def dense(draw: pii_events.Draw, event: dict[str, Any]) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    while len(extra) < 8:
        key, _, value = pii_events.positive(draw, "DE")
        extra[key] = value
    return {**event, "properties": {**event["properties"], **extra}}


def times() -> None:
    draw = pii_events.Draw(1)
    plain = [ordinary_events(draw, 300) for _ in range(12)]
    full = [[dense(draw, event) for event in events[:60]] for events in plain]
    size = sum(len(json.dumps(event["properties"], separators=(",", ":"))) for event in plain[0]) // len(plain[0])
    start = time.thread_time()
    for event in plain[0]:
        orjson.dumps(event["properties"])
    written = (time.thread_time() - start) / len(plain[0]) * 1e6
    log = shop_events(6000)
    print(f"\nordinary event ({size} bytes): {rate(plain):.1f} us, of which its JSON {written:.1f} us")
    print(f"event of the shop's log: {rate([log[at : at + 500] for at in range(0, len(log), 500)]):.1f} us")
    print(f"dense event (8 data more): {rate(full):.1f} us")


PRESIDIO = {"EMAIL_ADDRESS": "email", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "IP_ADDRESS": "ip", "US_SSN": "us_ssn", "PHONE_NUMBER": "phone", "MAC_ADDRESS": "mac",
            "US_ITIN": "us_itin", "UK_NHS": "uk_nhs", "ES_NIF": "es_dni", "ES_NIE": "es_nie", "IN_AADHAAR": "in_aadhaar", "AU_TFN": "au_tfn", "FI_PERSONAL_IDENTITY_CODE": "fi_hetu", "KR_RRN": "kr_rrn"}  # fmt: skip


def presidio(events: list[dict[str, Any]]) -> None:
    try:
        import tldextract
        from presidio_analyzer import predefined_recognizers as shipped
    except ImportError:
        print("\npresidio-analyzer is not installed; no comparison.")
        return
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its own snapshot, not the network
    names = ("EmailRecognizer", "CreditCardRecognizer", "IbanRecognizer", "IpRecognizer", "UsSsnRecognizer", "PhoneRecognizer", "MacAddressRecognizer", "UsItinRecognizer", "NhsRecognizer",
             "EsNifRecognizer", "EsNieRecognizer", "InAadhaarRecognizer", "AuTfnRecognizer", "FiPersonalIdentityCodeRecognizer", "KrRrnRecognizer")  # fmt: skip
    recognisers = [getattr(shipped, name)() for name in names if hasattr(shipped, name)]
    planted, found, false = Counter(), Counter(), Counter()
    start = time.process_time()
    for labelled in events:
        labels = dict(map(tuple, labelled["labels"]))
        for path, value in leaves("properties", labelled["event"]["properties"]):
            text, detector = str(value), labels.get(path)
            kinds = {
                PRESIDIO.get(result.entity_type)
                for recogniser in recognisers
                for result in recogniser.analyze(text, recogniser.supported_entities, None) or ()
                if result.score >= 0.4
            }
            if detector in PRESIDIO.values():
                planted[detector] += 1
                found[detector] += detector in kinds
            for kind in kinds - {detector, None}:
                false[kind] += 1
    spent = (time.process_time() - start) / len(events) * 1e6
    print(
        f"\nPresidio pattern recognisers (score >= 0.4): {spent:.0f} us an event\n{'detector':<16}{'planted':>8}{'recall':>8}{'false':>7}{'precision':>11}"
    )
    for detector in sorted(planted):
        hits = found[detector]
        print(
            f"{detector:<16}{planted[detector]:>8}{hits / planted[detector]:>8.3f}{false[detector]:>7}{hits / max(1, hits + false[detector]):>11.3f}"
        )


def leaves(path: str, value: Any) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(f"{path}[{index}]", inner)
    else:
        yield path, value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--misses", type=int, default=0)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    labelled = (
        [json.loads(line) for line in options.file.open()]
        if options.file
        else list(pii_events.events(options.events, options.seed))
    )
    measure(labelled, options.misses)
    times()
    presidio(labelled)
