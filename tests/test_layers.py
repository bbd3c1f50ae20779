"""Imports go strictly downwards; siblings never import each other."""

from importlinter.cli import lint_imports


def test_the_layers_hold(capsys):
    code = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert code == 0, capsys.readouterr().out
