"""The door to sound: recorded files and spoken prompts."""
