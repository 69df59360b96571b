"""
The store of the ipc layer: one LMDB file that the processes of a machine share.

``place`` says where it is, ``files`` whether what is there can be used, and
``environment`` opens it and runs transactions;
``records`` has the format, ``transaction``, ``queues`` and ``groups`` what is
done in one step, ``processes`` who lives and who is rung, ``care`` what nobody
needs any more. ``store`` puts them together.
"""
