"""The real thing under load, on the emulator through the real deployment, with AWS's worst days in between."""
