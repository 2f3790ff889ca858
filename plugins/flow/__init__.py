"""The engine and the language of flow rules; the plugin itself is ``csms_plugins.flow_rules``."""
