"""`consentry privacy retention`."""

import json
from datetime import UTC, datetime, timedelta

CONTEXT = {"consent": {"purposes": {"analytics": True}}}


def test_what_is_past_its_time_in_the_log_goes_as_well_and_a_dry_run_says_what_it_did_not_look_at(here, run):
    (here / "consentry.toml").write_text("[site.retention]\nconsented_days = 5\n")
    times = [(datetime.now(UTC) - timedelta(days=days)).isoformat() for days in (1, 9)]
    events = [{"type": "track", "event": "x", "userId": "u", "timestamp": time, "context": CONTEXT} for time in times]
    (here / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert run("import", "events.jsonl").code == 0
    assert run("privacy", "retention", "--dry-run", "--json").json == {"dry_run": True, "deleted": [], "not_looked_at": 2}
    (gone,) = run("privacy", "retention", "--json").json["deleted"]
    assert (gone["lane"], gone["events"]) == ("consented", 1)
