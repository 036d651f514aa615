"""Browsers as devices: a page that any phone can open measures a bundle there, and posts what it found."""
