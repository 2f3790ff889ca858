"""OCPP-J on the wire: frames, schemas and dialects. Pure: no Twisted, no sockets, no database."""
