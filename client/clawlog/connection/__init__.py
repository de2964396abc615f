"""How a program reaches the daemon: addresses, connections, and what is said over them.

``calls`` says what can be asked and ``results`` what is answered; ``session`` and ``zmtp`` hold a connection's state without
doing any I/O; ``blocking`` and ``asynchronous`` move the bytes, and are thin. ``clawlog.client`` and ``clawlog.async_client``
put reconnecting and starting the daemon on top.
"""
