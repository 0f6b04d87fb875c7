from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("stable", derandomize=True, deadline=None, database=None, max_examples=200)
settings.register_profile("few", settings.get_profile("stable"), max_examples=20)
settings.register_profile("search", deadline=None, database=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "stable"))
