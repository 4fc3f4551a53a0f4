"""The door to people: pages, API, login, live events."""
