"""What runs in an environment of its own, with toloka-kit."""
