"""YAML files as typed values: trees with positions, base types of fields, and what is wrong in words."""
