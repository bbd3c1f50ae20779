import orjson

from consentryd.gateway.stages.scene import as_json


def test_a_context_too_deep_to_be_written_is_taken_for_no_other():
    deep = orjson.loads(b"[" * 1020 + b"]" * 1020)
    assert as_json({"a": deep}) != as_json({"b": deep})
