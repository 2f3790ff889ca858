"""A load generator: many OCPP 2.0.1 stations in one process, each with one call outstanding. It knows the wire and nothing of the server."""
