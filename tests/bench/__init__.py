"""Measurements, as ratios within one run: seconds on a shared machine mean little, ratios do."""
