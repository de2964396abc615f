"""JSON-RPC: the ways in (Unix socket, ZeroMQ, spool) and the one dispatcher behind them."""
