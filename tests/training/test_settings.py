import dataclasses
import re

import pytest

from keras_dynamonet.errors import UserError
from keras_dynamonet.training.settings import (
    from_settings,
    is_optional,
    load_settings,
    setting,
    value_types,
)


@dataclasses.dataclass(frozen=True)
class Config:
    count: int = setting(1, "group", "a number")
    rate: float | None = setting(None, "group", "a share")
    sides: tuple[float, ...] = setting((1.0,), "group", "several")
    on: bool = setting(False, "group", "a switch")
    names: dict = setting(dict, "group", "a table", flag=False)


FIELDS = {field.name: field for field in dataclasses.fields(Config)}


def test_values_are_converted():
    config = from_settings(Config, {"rate": 1, "sides": [1.0, 0.5], "count": 3})
    assert config == Config(count=3, rate=1.0, sides=(1.0, 0.5))
    assert isinstance(config.rate, float)


def test_none_is_kept_where_allowed():
    assert from_settings(Config, {"rate": None}).rate is None


@pytest.mark.parametrize(
    "settings",
    [
        {"count": 1.5},
        {"count": True},
        {"count": None},
        {"on": 1},
        {"names": "a"},
        {"sides": ["a"]},
    ],
)
def test_wrong_type_is_refused(settings):
    [(name, value)] = settings.items()
    message = f"`{name}` must be of type .* Received: {name}={re.escape(repr(value))}"
    with pytest.raises(UserError, match=message):
        from_settings(Config, settings)


def test_unknown_setting_suggests_a_name():
    with pytest.raises(UserError, match="`cuont`; did you mean `count`?"):
        from_settings(Config, {"cuont": 1})


def test_unknown_setting_lists_names_where_none_is_close():
    with pytest.raises(UserError, match="`xyz`; known: count, names, on, rate, sides."):
        from_settings(Config, {"xyz": 1})


def test_types_of_fields():
    assert value_types(FIELDS["rate"]) == (float,)
    assert value_types(FIELDS["sides"]) == (tuple,)
    assert is_optional(FIELDS["rate"]) and not is_optional(FIELDS["count"])


def test_toml_and_json_are_read(tmp_path):
    (tmp_path / "a.toml").write_text("epochs = 3\n[model]\nkernel_size = 7\n")
    (tmp_path / "a.json").write_text('{"epochs": 3}')
    assert load_settings(tmp_path / "a.toml") == {
        "epochs": 3,
        "model": {"kernel_size": 7},
    }
    assert load_settings(tmp_path / "a.json") == {"epochs": 3}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "", "must end in .toml or .json"),
        ("a.toml", "epochs = ", "is no valid toml"),
        ("a.json", "{", "is no valid json"),
        ("a.json", "[1]", "must hold names and values"),
    ],
)
def test_bad_files_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"{name}.*{message}"):
        load_settings(tmp_path / name)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="none.toml: cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")
