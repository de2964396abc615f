"""How a program reaches the daemon: addresses, connections, and the calls and replies that they carry.

``calls`` makes the requests and ``results`` reads their results; ``session`` and ``zmtp`` hold a connection's state without
any I/O; ``blocking`` and ``asynchronous`` move the bytes, and are thin. ``clawlog.client`` and ``clawlog.async_client``
put reconnecting and starting the daemon on top.
"""
