"""Hold the recorded outputs of notebooks against a new run: the pytest plugin nbcheck.

This module is what pytest loads (an entry point ``pytest11``). It adds the options and, only if one
of them turns nbcheck on, loads the rest. ``README.md`` in this folder says how to use it.
"""

import pytest

MODES = ("off", "on", "strict")
HINT = 'If it is intended, record it again: jupyter execute --inplace "{path}"'


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the settings."""
    parser.getgroup("nbcheck", "recorded outputs of notebooks").addoption(
        "--nbcheck", choices=MODES, help="overrides the setting nbcheck"
    )
    parser.addini(
        "nbcheck", f"compare notebooks with their record: {', '.join(MODES)}", default="off"
    )
    parser.addini(
        "nbcheck_tags", "tags that strict allows besides its own", type="args", default=[]
    )
    parser.addini("nbcheck_timeout", "seconds after which a cell is interrupted", default="600")
    parser.addini("nbcheck_folder", "where what failed is kept", default="build/failed")
    parser.addini("nbcheck_hint", "last line of a failure, with {name} and {path}", default=HINT)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Turn nbval on and load the cells, if asked to."""
    mode = config.getoption("nbcheck") or config.getini("nbcheck")
    if mode not in MODES:
        raise pytest.UsageError(f"nbcheck = {mode}: not one of {', '.join(MODES)}")
    if mode == "off":
        return
    if not config.pluginmanager.hasplugin("nbval"):
        raise pytest.UsageError("nbcheck runs notebooks with nbval: pip install nbval nbclient")
    from . import cells

    config.option.nbcheck, config.option.nbval = mode, True
    config.pluginmanager.register(cells, "nbcheck-cells")
