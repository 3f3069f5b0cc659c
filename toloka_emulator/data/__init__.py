"""Rows for all lists."""
