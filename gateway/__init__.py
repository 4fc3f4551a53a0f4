"""Dutyline: a telephony and radio integration gateway for government duty offices, built around Asterisk 22."""
