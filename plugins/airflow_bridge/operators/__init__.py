"""Operators: build the request, act through a hook, return something small."""
