"""The door to Asterisk: install, configuration, keeper, FastAGI, ARI, CEL, HEP."""
