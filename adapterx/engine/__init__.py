"""The engine: many small trainings over one frozen encoder, as one."""
