"""
What the layers that span processes have in common.

A layer of this kind is a SharedChannelLayer (layer.py) around a Store
(store.py): the layer knows messages, members and who waits in this process; the
store knows bytes, queues and processes. ipc, database and redis each have one.
"""
