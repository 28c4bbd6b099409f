"""The golden numbers, for every test."""

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden():
    """Numbers worked out from the slides' formulas in 50-digit arithmetic, without automatic differentiation."""
    return json.loads(Path(__file__).with_name("golden.json").read_text())
