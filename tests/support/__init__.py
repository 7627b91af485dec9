"""Servers and stand-ins that several rooms' tests share."""
