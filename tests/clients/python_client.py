"""A Python client of others: for each line on standard input one event of every call, numbered by that line; at its end flush and leave."""

from __future__ import annotations

import importlib
import logging
import sys

MODULES = {"segment": "segment.analytics.client", "rudder": "rudderstack.analytics.client"}

CONTEXT = {
    "consent": {"purposes": {"analytics": True}},
    "ip": "203.0.113.7",
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0",
}


def main() -> None:
    _, vendor, host, write_key, name = sys.argv
    person = {"user_id": f"canary-user-{name}", "anonymous_id": f"canary-anon-{name}"}
    logging.basicConfig(stream=sys.stderr)
    client = importlib.import_module(MODULES[vendor]).Client(write_key, host=host, upload_interval=0.1)
    for line in sys.stdin:
        n = int(line)
        client.identify(**person, traits={"n": n, "client": name}, context=CONTEXT)
        client.track(**person, event="Order Completed", properties={"n": n, "revenue": 19.99, "currency": "EUR"}, context=CONTEXT)
        url = "https://shop.example/pricing"
        client.page(**person, category="Docs", name="Pricing", properties={"n": n, "url": url}, context=CONTEXT)
        client.screen(**person, category="App", name="Start", properties={"n": n}, context=CONTEXT)
        client.group(**person, group_id="canary-group-1", traits={"n": n}, context=CONTEXT)
        client.alias(previous_id=person["anonymous_id"], user_id=person["user_id"], context=CONTEXT)
        sys.stdout.write(f"sent {n}\n")
        sys.stdout.flush()
    client.flush()
    client.join()


if __name__ == "__main__":
    main()
