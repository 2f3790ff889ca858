"""Behaviour, one file per functional block. A block takes model requests and gives an ``Outcome``; it knows hooks and the store, no wire format."""
