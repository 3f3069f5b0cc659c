"""One JSON Schema per stream, found by the stream's name."""
