"""Numbered steps from one schema to the next, run by peewee's migration runner; each is frozen once it was released."""
