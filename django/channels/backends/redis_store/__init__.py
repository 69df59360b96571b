"""The store of the Redis layer: its scripts, connections and shards."""
