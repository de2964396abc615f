"""The routes: each turns a request into events or a query, and the outcome into an answer; what events do is decided below."""
