"""A browser for the pages of pictures."""

from tests.helpers.browser import browser

__all__ = ["browser"]
