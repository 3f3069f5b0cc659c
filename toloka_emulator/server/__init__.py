"""Answers as Toloka does, over HTTP."""
