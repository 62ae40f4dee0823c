"""Settings that every test shares: the same examples at every run and no deadline; it knows nothing of any room."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50, database=None)
hypothesis.settings.load_profile("house")
