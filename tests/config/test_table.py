"""The one table of settings, and the example file and reference that are made from it."""

import re
import tomllib

import pytest
from pydantic import BaseModel, Field, SecretStr

from consentryd.config.example import example
from consentryd.config.load import load_settings
from consentryd.config.settings import Settings
from consentryd.config.table import NAMED, settings_table

TABLE = settings_table()
SECRET_WORDS = {"secret", "token", "password", "passphrase", "credential"}


def test_the_example_file_means_the_defaults(tmp_path):
    path = tmp_path / "consentry.toml"
    path.write_text(example(), encoding="utf-8")
    loaded = load_settings(path, {}).model_dump()
    assert loaded.pop("storage") == {**Settings().storage.model_dump(), "data_dir": tmp_path / "data"}
    default = Settings().model_dump()
    default.pop("storage")
    assert loaded == default


def test_the_example_file_means_the_defaults_with_every_setting_taken_out_of_its_comment():
    text = re.sub(r"^# (\w+ = .*)$", r"\1", example(), flags=re.MULTILINE)
    assert Settings.model_validate(tomllib.loads(text)) == Settings()
    assert text.count(" = ") > len(TABLE) / 2


@pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.key)
def test_every_setting_has_a_description_a_default_and_a_place_in_the_example(setting):
    assert setting.description.endswith("."), setting.key
    assert setting.allowed
    assert tomllib.loads(f"x = {setting.default}")
    if setting.path[0] != "sites":
        section = f"[{'.'.join(setting.section).replace(NAMED, 'eu')}]"
        part = example().split(section, 1)[1].split("\n\n", 1)[0]
        assert f"{setting.name} = " in part


@pytest.mark.parametrize("setting", [setting for setting in TABLE if NAMED not in setting.path], ids=lambda setting: setting.key)
def test_every_setting_can_be_overridden_by_its_variable(setting):
    text = setting.default.strip('"')
    assert load_settings(None, {setting.variable: text}) == Settings()


def test_no_two_settings_share_a_variable():
    variables = [setting.variable for setting in TABLE]
    assert len(set(variables)) == len(variables)


def test_a_setting_that_is_named_like_a_secret_is_one():
    assert [row.key for row in TABLE if SECRET_WORDS & set(row.name.split("_")) and not row.secret] == []


def test_a_secret_is_in_no_row_and_no_repr():
    class Inner(BaseModel):
        token: SecretStr = Field(SecretStr("S3CRET"), description="A secret.")

    class Outer(BaseModel):
        inner: Inner = Inner()

    (row,) = settings_table(Outer)
    assert row.secret
    assert (row.default, row.allowed) == ('""', "secret text")
    assert "S3CRET" not in repr(Outer()) + str(row)
