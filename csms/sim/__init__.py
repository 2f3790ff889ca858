"""Simulated charging stations: ``csms.sim.command.simulate`` tells the operator one story, ``csms.sim.assembly`` builds stations for tests.

Nothing here is used by the server; a simulated station reaches it over a socket like any other.
"""
