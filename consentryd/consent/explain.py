"""A decision in words: what was seen, which rule said what, which one won. The trace is the decision's own; nothing is decided here."""

from __future__ import annotations

from typing import Any

from consentryd.consent.decision import Trace
from consentryd.consent.signals.reading import INVALID_TEXT, Reading
from consentryd.model.decision import Decision, Lane
from consentryd.model.outcome import DESCRIPTION

PASSED = "passes it on"
UNASKED = "not asked"


def as_data(trace: Trace) -> dict[str, Any]:
    """The trace as JSON-ready data. Free of personal data and of the signals themselves."""
    case, place = trace.case, trace.case.jurisdiction
    return {
        "event": case.event,
        "purpose": {"name": case.purpose.name, "text": case.purpose.text, "sensitive": case.purpose.sensitive},
        "jurisdiction": {
            "name": place.name,
            "regime": place.regime,
            "exemption": place.exemption or None,
            "effective_from": place.effective_from.isoformat(),
            "law": place.law,
        },
        "regime": case.regime,
        "policy": case.version,
        "signals": [_signal(reading) for reading in case.signals.readings],
        "rules": [
            {"rule": step.rule, "saw": step.finding.saw if step.finding else None, "said": said(step.rule, trace)}
            for step in trace.steps
        ],
        "won": trace.winner,
        "anonymous_lane": trace.lane,
        "result": _result(trace.result),
    }


def said(rule: str, trace: Trace) -> str:
    """What a rule answered, in a word or two."""
    finding = next(step.finding for step in trace.steps if step.rule == rule)
    if finding is None:
        return UNASKED
    if finding.verdict is None:
        return PASSED
    return "lets it in" if finding.verdict is Lane.CONSENTED else f"refuses: {finding.verdict}"


def as_text(trace: Trace) -> str:
    """The trace as a page to read, one line a fact."""
    case, place = trace.case, trace.case.jurisdiction
    lines = [
        f"Event      {case.event}, for the purpose {case.purpose.name}: {case.purpose.text}",
        f"Place      {place.name}: {place.regime} since {place.effective_from} ({place.law})",
        f"Policy     {case.version}; regime in force for this event: {case.regime}",
        "Signals    " + ("\n           ".join(_heard(reading) for reading in case.signals.readings) or "none"),
        "Rules      suppression   is checked by the store, before this and again when the event is written",
    ]
    for step in trace.steps:
        mark = "->" if step.rule == trace.winner else "  "
        saw = f"{step.finding.saw}; " if step.finding else ""
        lines.append(f"        {mark} {step.rule:<13} {saw}{said(step.rule, trace)}")
    return "\n".join([*lines, f"Result     {_sentence(trace)}"])


def _sentence(trace: Trace) -> str:
    if not isinstance(trace.result, Decision):
        return f"refused, {trace.result}: {DESCRIPTION[trace.result]} ({trace.lane})"
    verb = "stored as consented" if trace.result.lane is Lane.CONSENTED else f"not stored as the person's: {trace.lane}"
    return f"{verb}; ref {trace.result.ref}"


def _result(result: Any) -> dict[str, Any]:
    if isinstance(result, Decision):
        return {"lane": result.lane, "purpose": result.purpose, "ref": result.ref, "visitor": result.visitor}
    return {"reason": result, "text": DESCRIPTION[result]}


def _signal(reading: Reading) -> dict[str, Any]:
    return {
        "source": reading.source,
        "grants": sorted(reading.grants),
        "denies": sorted(reading.denies),
        "opts_out": sorted(reading.opt_outs),
        "invalid": reading.invalid,
        "known_child": reading.child,
        "detail": reading.detail or None,
    }


def _heard(reading: Reading) -> str:
    if reading.invalid:
        return f"{reading.source}: refused as {reading.invalid} ({reading.detail}). {INVALID_TEXT[reading.invalid]}"
    parts = [
        f"{verb} {', '.join(sorted(names))}"
        for verb, names in (("grants", reading.grants), ("denies", reading.denies), ("opts out of", reading.opt_outs))
        if names
    ]
    parts += ["the visitor is a known child"] * reading.child + ["the GDPR applies"] * reading.opt_in
    return f"{reading.source}: {'; '.join(parts) or 'says nothing of our purposes'}" + (
        f" ({reading.detail})" if reading.detail else ""
    )
