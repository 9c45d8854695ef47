"""Runs NixOS test scripts in systemd-nspawn machines (docs/machine-tests.md). Python's standard library only."""
