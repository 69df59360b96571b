"""
Channel layers: what carries messages between senders and readers.

``base`` holds the contract; ``memory`` is one way to fulfill it. A folder that
is called after a store has what a layer keeps there, and ``shared`` what the
layers that span processes have in common. Nothing here knows of routing,
workers or servers.
"""
