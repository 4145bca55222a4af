"""The small cohort of `small_cohort.py`, for the tests of this folder."""

from small_cohort import browser, cohort, results, save_tiny_model

__all__ = ["browser", "cohort", "results", "save_tiny_model"]
