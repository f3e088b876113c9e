"""Runs every test, and the tests from outside: foreign clients, WebSocket conformance."""
