"""
Messages that are sent later: an app with a model and the command rundelay.

Provisional, as all of django.channels.
"""
