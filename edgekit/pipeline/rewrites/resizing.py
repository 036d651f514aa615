"""Resizing, by the numbers that torch computes itself."""
RULES: dict = {}
