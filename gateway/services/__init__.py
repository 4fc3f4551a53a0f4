"""The stories an officer would tell, written over the ports."""
