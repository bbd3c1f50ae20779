"""`python -m examples.worked_example`: load the shop's events, ask, write answers, plots and the page."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from examples.worked_example.numbers import answers_of, numbers_of
from examples.worked_example.page import render
from examples.worked_example.shop import Gateway


def main() -> int:
    given = parser().parse_args()
    gateway = Gateway(given.url, given.server_key, given.read_key)
    accepted = gateway.load()
    answers = answers_of(gateway)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "answers.json").write_text(json.dumps(answers, indent=1), encoding="utf-8")
    (given.output / "page.md").write_text(render(numbers_of(answers, accepted)), encoding="utf-8")
    try:
        from examples.worked_example.plots import write_plots  # noqa: PLC0415 -- matplotlib is optional
    except ImportError:
        print('No plots: pip install "consentryd[docs]" brings matplotlib.', file=sys.stderr)
    else:
        write_plots(answers, given.output / "worked-example")
    print(f"{accepted:,} events taken; answers, page and plots are in {given.output}.")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.worked_example", description=__doc__)
    parser.add_argument(
        "--url", default="http://127.0.0.1:8088", help="the gateway (default %(default)s), with nothing stored yet"
    )
    parser.add_argument("--server-key", required=True, help="what the events are sent with")
    parser.add_argument("--read-key", required=True, help="what the questions are asked with")
    parser.add_argument("--output", type=Path, default=Path("answers"), help="folder to write to (default %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
