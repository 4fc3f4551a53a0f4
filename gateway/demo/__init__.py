"""The demo city: real SIP phones on loopback, a story that plays at once, and what was observed of it."""
