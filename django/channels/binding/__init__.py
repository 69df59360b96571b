"""
Models whose changes are sent to groups, and which clients may change.

Provisional, as all of django.channels.
"""
