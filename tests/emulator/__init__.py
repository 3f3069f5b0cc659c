"""What the emulator promises, seen by a plain HTTP client: the tap has no part in it."""
