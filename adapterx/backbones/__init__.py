"""Backbones: loading pretrained encoders safely, and running them over packed rows."""
