"""What Toloka has, a class per list."""

from tap_toloka.streams.pools import Pools

__all__ = ["STREAMS", "Pools"]

STREAMS = (Pools,)
"""All streams of the tap."""
