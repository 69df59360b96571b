"""
Channel layers: what carries messages between senders and readers.

``base`` holds the contract, every other module that a setting can name one way
to fulfill it. Nothing here knows of routing, workers or servers.
"""
