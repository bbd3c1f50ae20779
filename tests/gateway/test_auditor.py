"""What a serving gateway tells of scrubbing: counts of redactions, of a dry run, and of its own audits."""

import asyncio
import io

import orjson
from prometheus_client import generate_latest
from prometheus_client.utils import floatToGoString

from consentryd.config.settings import PiiRule
from consentryd.gateway.auditor import Auditor
from consentryd.gateway.dry_run import DryRun
from consentryd.gateway.logs import open_logger
from consentryd.model.clock import HOUR, SECOND
from consentryd.model.error import CorruptStore
from tests.rights.estate import NOW, opened

EMAIL = "anna.smith@example.com"
KEEP = PiiRule(detector="email", action="keep", path="properties.contact")


def metrics(estate):
    lines = generate_latest(estate.house.metrics.registry).decode().splitlines()
    return {
        line for line in lines if line.startswith(("consentry_redactions_total", "consentry_audit")) and "_created" not in line
    }


def auditor(estate, out, regions=None, **options):
    stores = estate.house.stores
    return Auditor(
        estate.settings,
        stores if regions is None else {name: stores[name] for name in regions},
        estate.clock,
        estate.house.metrics,
        open_logger(estate.settings.server, out),
        rest=0,
        **options,
    )


async def until(done):
    for _ in range(1000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


async def test_redactions_are_counted_by_rule_and_action(tmp_path):
    with opened(tmp_path / "data", privacy={"rules": [PiiRule(key="internal_.*", action="drop")]}) as estate:
        await estate.send(estate.event("u-1", properties={"note": EMAIL, "internal_a": 1, "b": "4111 1111 1111 1111"}))
        await estate.send(estate.event("u-1", properties={"note": EMAIL}), region="us")
        assert metrics(estate) == {
            'consentry_redactions_total{action="type",rule="email"} 2.0',
            'consentry_redactions_total{action="type",rule="card"} 1.0',
            'consentry_redactions_total{action="drop",rule="key:internal_.*"} 1.0',
            "consentry_audit_timestamp_seconds 0.0",
        }


async def test_a_dry_run_logs_what_it_would_have_taken_out_once(tmp_path):
    with opened(tmp_path / "data", privacy={"dry_run": True}) as estate:
        await estate.send(estate.event("u-1", properties={"note": EMAIL}))
        assert estate.rows()[0]["properties"] == orjson.dumps({"note": EMAIL}).decode()
        out = io.StringIO()
        dry_run = DryRun(estate.house.scrubbers, open_logger(estate.settings.server, out))
        dry_run.tell()
        dry_run.tell()
        (line,) = out.getvalue().splitlines()
        told = orjson.loads(line)
        assert (told["region"], told["would_redact"]) == ("eu", {"email (type)": 1})
        assert 'rule="email"} 1.0' in "".join(metrics(estate))


async def test_an_audit_runs_when_it_is_due_and_shows_in_metrics_and_log(tmp_path):
    with opened(tmp_path / "data", privacy={"rules": [KEEP]}) as estate:
        await estate.send(estate.event("u-1", properties={"contact": EMAIL}))
        out = io.StringIO()
        task = asyncio.create_task(auditor(estate, out).keep())
        await until(out.getvalue)
        task.cancel()
        assert metrics(estate) >= {
            'consentry_audit_findings{detector="email"} 1.0',
            f"consentry_audit_timestamp_seconds {floatToGoString(NOW / SECOND)}",
        }
        assert orjson.loads(out.getvalue())["detectors"] == {"email": 1}
        assert EMAIL not in out.getvalue() + (tmp_path / "data" / "audit.json").read_text()
        assert (tmp_path / "data" / "audit.json").stat().st_mode & 0o077 == 0


async def test_a_restart_neither_forgets_the_last_audit_nor_begins_again_before_its_time(tmp_path):
    with opened(tmp_path / "data", privacy={"rules": [KEEP]}) as estate:
        await estate.send(estate.event("u-1", properties={"contact": EMAIL}))
        assert await auditor(estate, io.StringIO()).run()
    with opened(tmp_path / "data") as estate:
        for hours, ran in ((23, False), (2, True)):
            estate.clock.advance(hours * HOUR)
            out = io.StringIO()
            task = asyncio.create_task(auditor(estate, out).keep())
            if ran:
                await until(out.getvalue)
            else:
                await until(lambda: 'consentry_audit_findings{detector="email"} 1.0' in metrics(estate))
                await asyncio.sleep(0.05)
            task.cancel()
            assert bool(out.getvalue()) is ran


async def test_gateways_of_other_regions_do_not_take_each_others_audits_for_their_own(tmp_path):
    with opened(tmp_path / "data", privacy={"rules": [KEEP]}) as estate:
        await estate.send(estate.event("u-1", properties={"contact": EMAIL}))
        for name in ("eu", "us"):
            assert await auditor(estate, io.StringIO(), [name]).run()
    with opened(tmp_path / "data") as estate:
        assert auditor(estate, io.StringIO(), ["eu"])._last() == NOW
        assert 'consentry_audit_findings{detector="email"} 1.0' in metrics(estate)
    with opened(tmp_path / "data") as estate:
        assert auditor(estate, io.StringIO(), ["us"])._last() == NOW
        assert 'consentry_audit_findings{detector="email"} 1.0' not in metrics(estate)
        assert auditor(estate, io.StringIO())._last() == 0


async def test_with_an_interval_of_zero_nothing_is_ever_audited(tmp_path):
    with opened(tmp_path / "data", privacy={"audit_interval_hours": 0}) as estate:
        await asyncio.wait_for(auditor(estate, io.StringIO()).keep(), 5)


async def test_an_audit_that_cannot_read_is_said_and_tried_again(tmp_path):
    with opened(tmp_path / "data") as estate:
        await estate.send(estate.event("u-1"))
        estate.seal()
        for file in (tmp_path / "data" / "eu" / "lake").rglob("*.parquet"):
            file.unlink()
        out = io.StringIO()
        assert not await auditor(estate, out).run()
        assert orjson.loads(out.getvalue())["error"] == CorruptStore.__name__
