"""Runs NixOS test scripts in systemd-nspawn machines. Python's standard library only; docs/machine-tests.md explains it."""
