"""Prints what came of each attack in each tier, and writes it to the file that ATTACKS_TABLE names."""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.table import Outcomes, page, text


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table, once all is over."""
    outcomes: Outcomes = defaultdict(dict)
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = dict(getattr(report, "user_properties", ()))
            if "attack" in told and report.when == "call":
                name, tier, user = told["attack"]
                outcomes[name][tier, user] = "FAILED" if report.failed else str(told.get("outcome", ""))
    if not outcomes:
        return
    terminalreporter.section("attacks")
    terminalreporter.write(text(outcomes))
    if place := os.environ.get("ATTACKS_TABLE"):
        Path(place).write_text(page(outcomes))


@pytest.fixture(autouse=True)
def _places_of_its_own() -> None:
    """A stage has places of its own."""
