"""What the block tests share besides fixtures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from csms.testing import TestCsms

Make = Callable[..., Awaitable[TestCsms]]
"""Starts a CSMS from the text of a site file."""
