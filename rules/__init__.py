"""Installed as ``csms_rules``: the commented starter site file (``site.toml``) and the flow-rule presets. Holds data and no code."""
