"""Signals of workers and layers."""

from django.dispatch import Signal

# Sent before a consumer runs. Provides: environ (an empty dict).
consumer_started = Signal()
# Sent after a consumer ran, also when it failed. Provides: message, and
# comes_again, whether the message will be consumed again.
consumer_finished = Signal()
# Sent when a worker is about to receive its first message.
worker_ready = Signal()
# Sent once in each process that runs workers, before worker_ready.
worker_process_ready = Signal()
# Sent when a layer found that its store may have lost messages, in a thread of
# the layer. The sender is the backend's class. Provides: channel_layer.
layer_gap = Signal()

# Sent when messages of a consumer could not be delivered. The sender is Outbox.
# Provides: channel_layer and names, the channel or group of each message.
messages_dropped = Signal()
