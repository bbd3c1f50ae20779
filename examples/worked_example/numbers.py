"""The numbers that the page names, taken from the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from examples.worked_example.questions import QUESTIONS, STATEMENTS
from examples.worked_example.shop import SCENARIO, Gateway

Answers = dict[str, Any]


def answers_of(gateway: Gateway) -> Answers:
    """Every question's answer, and every statement's rows."""
    asked: Answers = {name: gateway.ask(question) for name, question in QUESTIONS.items()}
    return asked | {name: gateway.sql(statement) for name, statement in STATEMENTS.items()}


def numbers_of(answers: Mapping[str, Any], accepted: int) -> dict[str, Any]:
    """What the page's template names. `accepted`: events that the gateway took."""
    return {
        "events": SCENARIO.events,
        "accepted": accepted,
        "refused": SCENARIO.events - accepted,
        **_weeks(answers["weeks"]),
        **_funnel(answers["funnel"], answers["sets"][0]),
        **_devices(answers["devices"]),
        **_retention(answers["retention"], answers["returned"]),
        **_activity(answers["lifecycle"], answers["stickiness"]),
        **_sessions(answers["sessions"]),
        **_journeys(answers["journeys"]),
        **_adoption(answers["adoption"]),
        **_experiment(answers["experiment"], answers["added"], answers["any_time"]),
        **_channels(answers["channels"]),
        **_cohorts(answers["cohorts"]),
    }


def _weeks(answer: Any) -> dict[str, Any]:
    visitors, buyers, ratio = answer["series"]
    return {
        "visitors": visitors["total"],
        "buyers": buyers["total"],
        "ratio": ratio["total"],
        "visitors_summed": sum(point["value"] for point in visitors["values"]),
        "first_week": visitors["values"][0]["value"],
        "last_week": visitors["values"][-1]["value"],
    }


def _funnel(answer: Any, sets: list[int]) -> dict[str, Any]:
    steps = answer["steps"]
    counts = [step["count"] for step in steps]
    return {
        "f": counts,
        "rate": [step["conversion_from_first"] for step in steps],
        "step_rate": [step["conversion_from_previous"] for step in steps],
        "median_s": [step["median_s"] for step in steps],
        "funnel_median_s": answer["overall"]["median_s"],
        "funnel_p90_s": answer["overall"]["p90_s"],
        "sets": sets,
        "over": [wrong / right - 1 for wrong, right in zip(sets, counts, strict=True)],
    }


def _devices(answer: Any) -> dict[str, Any]:
    return {group["group"]: [step["count"] for step in group["steps"]] for group in answer["groups"]} | {
        f"{group['group']}_rate": group["overall"]["conversion"] for group in answer["groups"]
    }


def _retention(answer: Any, returned: Any) -> dict[str, Any]:
    first = answer["cohorts"][0]
    size, again = sum(row["size"] for row in answer["cohorts"]), sum(row["values"][0] for row in returned["cohorts"])
    week_one = sum(row["values"][1] for row in answer["cohorts"])
    return {
        "size": first["size"],
        "back": first["values"],
        "share": first["shares"],
        "curve": answer["curve"],
        "members": size,
        "members_again": again,
        "week_one": week_one,
        "week_one_wrong": week_one / again,
    }


def _activity(lifecycle: Any, stickiness: Any) -> dict[str, Any]:
    last = lifecycle["buckets"][-1]
    active = [last[name] for name in ("new", "returning", "resurrecting")]
    before = lifecycle["buckets"][-2]
    return {
        "new": last["new"],
        "returning": last["returning"],
        "resurrecting": last["resurrecting"],
        "dormant": -last["dormant"],
        "quick": last["quick_ratio"],
        "active": sum(active),
        "active_before": sum(before[name] for name in ("new", "returning", "resurrecting")),
        "once": stickiness["histogram"][0]["subjects"],
        "several": stickiness["histogram"][1]["at_least"],
        "mean_weeks": stickiness["mean_buckets"],
    }


def _sessions(answer: Any) -> dict[str, Any]:
    totals = answer["totals"]
    return {
        "sessions": totals["sessions"],
        "session_people": totals["subjects"],
        "session_events": totals["events_per_session"],
        "session_mean_s": totals["mean_duration_s"],
        "session_median_s": totals["median_duration_s"],
        "bounce": totals["bounce_rate"],
    }


def _journeys(answer: Any) -> dict[str, Any]:
    home = next(node for node in answer["nodes"] if (node["step"], node["item"]) == (1, "/"))
    listing = next(edge for edge in answer["edges"] if (edge["from"], edge["to"]) == ("1_/", "2_/c/*"))
    most = next(path for path in answer["paths"] if len(path["items"]) > 1)
    chance = next(each for each in answer["transitions"] if (each["from"], each["to"]) == ("/checkout", "/thank-you"))
    return {
        "home": home["arrivals"],
        "home_left": home["dropped"],
        "listing": listing["sessions"],
        "listing_people": listing["subjects"],
        "listing_median_s": listing["median_s"],
        "journey": " → ".join(most["items"]),
        "journey_sessions": most["sessions"],
        "covered": answer["covered"],
        "thanks": chance["probability"],
    }


def _adoption(answer: Any) -> dict[str, Any]:
    return {
        "eligible": answer["eligible"],
        "adopters": answer["adopters"],
        "adoption": answer["rate"],
        "uses": answer["uses_mean"],
        "adopt_seconds": answer["days_to_adopt_median"] * 86_400,
        "searched_again": answer["retention"][1],
    }


def _experiment(answer: Any, added: Any, any_time: list[list[Any]]) -> dict[str, Any]:
    control, treated = answer["controls"][0], answer["arms"][0]
    return {
        "n_a": control["n"],
        "n_b": treated["n"],
        "orders_a": control["total"],
        "orders_b": treated["total"],
        "mean_a": control["mean"],
        "mean_b": treated["mean"],
        "effect": 100 * treated["effect"],
        "low": 100 * treated["interval"][0],
        "high": 100 * treated["interval"][1],
        "p": treated["p_value"],
        "split_p": answer["split"]["p_value"],
        "adds_a": added["controls"][0]["mean"],
        "adds_b": added["arms"][0]["mean"],
        "any_a": any_time[0][2] / any_time[0][1],
        "any_b": any_time[1][2] / any_time[1][1],
    }


def _channels(answer: Any) -> dict[str, Any]:
    by_name = {channel["channel"]: channel["conversions"] for channel in answer["channels"]}
    return {
        "orders": answer["conversions"],
        "newsletter": by_name["newsletter"],
        "instagram": by_name["instagram"],
        "google": by_name["google"],
        "nobody": by_name["(unattributed)"]["last"],
    }


def _cohorts(answer: Any) -> dict[str, Any]:
    buyers, searchers = answer["cohorts"]
    return {
        "cohort_buyers": buyers["subjects"],
        "cohort_searchers": searchers["subjects"],
        "both": answer["overlaps"][0]["subjects"],
        "jaccard": answer["overlaps"][0]["jaccard"],
    }
