"""Singer tap for Toloka."""
