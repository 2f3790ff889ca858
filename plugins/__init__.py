"""First-party plugins, one policy a file; they know ``csms.api`` and nothing else of the house."""
