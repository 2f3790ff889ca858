"""Installed as ``csms_rules``: the commented starter site file and the flow-rule presets."""
