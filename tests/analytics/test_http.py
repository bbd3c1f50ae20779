"""Questions over HTTP: who may ask, in which form answers come, how mistakes are named, and that leaving stops the work."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consentryd.analytics.control import Control
from consentryd.gateway import sql
from consentryd.gateway.priority import NICER
from consentryd.model.clock import DAY
from tests.house import open_house
from tests.kit import KEYS

TRENDS = {
    "kind": "trends",
    "series": [{"event": "bought", "math": "total"}, {"event": "bought", "math": "unique"}],
    "range": {"from": "today"},
}
YES = {"analytics": True}


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as opened:
        await opened.track(anonymousId="a-1", consent=YES)
        await opened.track(anonymousId="a-1", consent=YES)
        await opened.track(anonymousId="a-2", consent=YES)
        yield opened


async def test_an_acknowledged_event_is_in_the_next_answer(house):
    status, answer = await house.post("/v1/query", TRENDS, key="read")
    assert status == 200, answer
    assert [line["total"] for line in answer["series"]] == [3, 2]
    assert (answer["kind"], answer["site"], answer["timezone"]) == ("trends", "shop", "UTC")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of single threads")
async def test_questions_and_the_threads_that_they_start_step_back_for_events(house):
    def nice():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def nice_of_both():
        with ThreadPoolExecutor(1) as pool:
            return nice(), pool.submit(nice).result()

    own, querying = nice(), house.house.querying
    expected = min(own + NICER, 19)
    assert await querying.run(KEYS["read"], Control(60), lambda: False, nice_of_both) == (expected, expected)
    assert nice() == own


@pytest.mark.parametrize(("key", "status"), [("write", 403), ("server", 403), ("privacy", 403), ("nobody", 401)])
async def test_only_a_read_key_may_ask(house, key, status):
    assert (await house.post("/v1/query", TRENDS, key=key))[0] == status


@pytest.mark.parametrize(
    "question",
    [
        {"kind": "sessions", "max_hours": 1e-268},
        {"kind": "paths", "gap_minutes": 1e308},
        {"kind": "paths", "cleaning": [{"pattern": "(", "alias": "x"}]},
        {"kind": "paths", "cleaning": [{"pattern": "a", "alias": "\\9"}]},
        {**TRENDS, "where": {"type": "first_did", "window": {"from": "2026-13-40"}}},
    ],
)
async def test_what_random_questions_broke_is_a_mistake_of_the_asker(house, question):
    status, answer = await house.post("/v1/query", question, key="read")
    assert (status, answer["error"]["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "nothing"}, "kind"),
        ({"series": []}, "series"),
        ({"series": [{"math": "sum"}]}, "series.0"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"range": {"from": "soon"}}, "range.from"),
        ({"where": {"property": "a", "op": "between", "value": [1]}}, "where"),
        ({"formulas": [{"expression": "A / Z"}]}, "formulas"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_a_mistake_is_answered_422_and_names_the_field(house, change, field):
    status, answer = await house.post("/v1/query", {**TRENDS, **change}, key="read")
    assert status == 422
    assert answer["error"]["code"] == "invalid"
    assert answer["error"]["field"] == field


async def test_what_should_be_an_object_is_said_in_the_words_of_json(house):
    for asked, field in (
        ([], "query"),
        ({**TRENDS, "range": "last_week"}, "range"),
        ({"kind": "funnel", "steps": ["a", "b"]}, "steps.0"),
    ):
        answer = (await house.post("/v1/query", asked, key="read"))[1]
        assert answer["error"]["message"] == f"`{field}`: Input should be an object."


async def test_a_body_that_is_no_json_is_answered_400(house):
    status, answer = await house.post("/v1/query", b'{"kind":', key="read")
    assert (status, answer["error"]["line"], answer["error"]["column"]) == (400, 1, 9)


async def fetch(house, accept, asked=TRENDS, path="/v1/query"):
    headers = {"Authorization": "Bearer read", "Accept": accept}
    async with house.request("POST", path, data=json.dumps(asked), headers=headers) as response:
        return response.headers["Content-Type"], await response.read()


async def test_accept_chooses_csv_arrow_parquet_or_lines_of_progress(house):
    media_type, body = await fetch(house, "text/csv;q=0.9, application/pdf")
    assert media_type == "text/csv"
    assert body.decode().splitlines()[0] == '"series","name","group","start","value","complete","rest"'
    _, body = await fetch(house, "application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(body).read_all()["value"].to_pylist() == [3, 2]
    _, body = await fetch(house, "application/vnd.apache.parquet")
    assert pq.read_table(io.BytesIO(body))["value"].to_pylist() == [3, 2]
    media_type, body = await fetch(house, "application/x-ndjson")
    assert json.loads(body.splitlines()[-1])["result"]["series"][0]["total"] == 3


async def test_csv_may_be_another_table_of_the_answer(house):
    asked = {"kind": "stickiness", "range": {"from": "today"}}
    assert (await fetch(house, "text/csv", asked))[1].startswith(b'"buckets","subjects","at_least"')
    _, body = await fetch(house, "text/csv", asked, "/v1/query?table=active+by+day")
    assert body.startswith(b'"start","daily","weekly"')
    _, body = await fetch(house, "application/vnd.apache.parquet", asked, "/v1/query?table=Active%20by%20day")
    assert pq.read_table(io.BytesIO(body))["daily"].to_pylist() == [2]
    _, body = await fetch(house, "text/csv", asked, "/v1/query?table=days")
    assert json.loads(body)["error"]["message"] == "The answer has no table of this name: it has `active by day`."
    _, body = await fetch(house, "text/csv", TRENDS, "/v1/query?table=days")
    assert (json.loads(body)["error"]["field"], "it has one only" in body.decode()) == ("table", True)
    assert (await house.post("/v1/query?table=active+by+day", asked, key="read"))[0] == 400
    _, body = await fetch(house, "text/csv", {"kind": "sessions", "range": {"from": "yesterday"}}, "/v1/query?table=first+pages")
    assert not body.strip()


async def test_sql_is_answered_for_the_keys_site(house):
    status, answer = await house.post("/v1/sql", {"sql": "SELECT count(*) AS n FROM events"}, key="read")
    assert (status, answer["rows"], answer["more"]) == (200, [[3]], False)
    assert (await house.post("/v1/sql", {"sql": "SELECT * FROM '/etc/passwd'"}, key="read"))[0] == 422
    assert (await house.post("/v1/sql", {"sql": "SELECT 1"}, key="write"))[0] == 403


async def test_answers_of_sql_are_written_beside_the_event_loop(house, monkeypatch):
    threads, encode = [], sql.encode
    monkeypatch.setattr(sql, "encode", lambda *given: threads.append(threading.current_thread()) or encode(*given))
    for form in ("application/json", "text/csv"):
        headers = {"Authorization": "Bearer read", "Accept": form}
        async with house.request("POST", "/v1/sql", data=b'{"sql": "SELECT 1"}', headers=headers) as response:
            assert (response.status, response.content_type) == (200, form)
    assert threading.current_thread() not in threads
    assert len(threads) == 2


async def test_openapi_holds_a_schema_for_every_reference(house):
    document = (await house.ask("GET", "/openapi.json", key=None))[1]
    known = document["components"]["schemas"]
    named = {part.partition('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]}
    assert named <= set(known)
    assert {"Query", "Trends", "FunnelQuery", "TrendsResult", "SavedCohort"} <= set(known)


async def test_who_is_behind_a_number_takes_a_privacy_key_and_is_on_record(house):
    answer = (await house.post("/v1/query", TRENDS, key="read"))[1]
    path = f"/v1/query/{answer['query_id']}/subjects"
    assert (await house.post(path, {"series": "B"}, key="read"))[0] == 403
    assert house.house.querying.saved.accesses("shop") == []
    status, found = await house.post(path, {"series": "B"}, key="privacy")
    assert (status, len(found["subjects"]), found["more"]) == (200, 2, False)
    (entry,) = house.house.querying.saved.accesses("shop")
    assert (entry.key, entry.action) == ("key_p", "subjects")
    assert not any(subject in entry.detail for subject in found["subjects"])
    assert (await house.post("/v1/query/run_unknown/subjects", {"series": "A"}, key="privacy"))[0] == 404
    assert (await house.post(path, {"step": 0}, key="privacy"))[0] == 422
    assert len(house.house.querying.saved.accesses("shop")) == 1


@pytest.mark.parametrize(("key", "asked", "least"), [(3, None, 3), (3, 2, 3), (2, 3, 3), (0, None, 0)])
async def test_the_larger_of_key_and_question_is_the_smallest_group_shown(house, key, asked, least):
    house.keys.keys["careful"] = KEYS["read"]._replace(min_group_size=key)
    status, answer = await house.post("/v1/query", {**TRENDS, "min_group_size": asked}, key="careful")
    assert (status, answer["min_group_size"]) == (200, least)
    assert [line["total"] for line in answer["series"]] == ([3, 2] if least < 3 else [None, None])


async def test_the_settings_group_size_holds_for_keys_that_allow_smaller_ones(tmp_path):
    async with open_house(tmp_path, analytics={"min_group_size": 4}) as opened:
        opened.keys.keys["careful"] = KEYS["read"]._replace(min_group_size=2)
        assert (await opened.post("/v1/query", TRENDS, key="careful"))[1]["min_group_size"] == 4


async def test_a_key_with_a_group_size_is_given_no_single_rows(house):
    house.keys.keys["careful"] = KEYS["read"]._replace(min_group_size=3)
    for path, body in (("/v1/sql", {"sql": "SELECT 1"}), ("/v1/query", {"kind": "person", "subject": "1"})):
        status, answer = await house.post(path, body, key="careful")
        assert (status, answer["error"]["code"]) == (422, "invalid")


async def test_the_subjects_of_a_prediction_take_a_privacy_key_and_expire(house):
    question = {"kind": "prediction", "outcome": "churn", "horizon_days": 1}
    answer = (await house.post("/v1/query", question, key="read"))[1]
    assert answer["refusals"] == ["too few positives", "too few negatives"]
    path = f"/v1/query/{answer['query_id']}/subjects"
    assert (await house.post(path, {"tenth": 0}, key="read"))[0] == 403
    assert (await house.post(path, {"tenth": 0}, key="privacy")) == (200, {"subjects": [], "more": False, "scores": []})
    assert [entry.action for entry in house.house.querying.saved.accesses("shop")] == ["subjects"]
    assert (await house.post(path, {"tenth": 10}, key="privacy"))[0] == 422
    house.clock.advance(DAY)
    assert (await house.post(path, {"tenth": 0}, key="privacy"))[0] == 404
