"""Tests of tap-toloka, and the emulator of Toloka that they run against."""
