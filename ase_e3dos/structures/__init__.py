"""Structures: from what users have to the crystal that every later stage works on."""
