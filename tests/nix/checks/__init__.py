"""The checks of tests/nix/run, by what they are about."""
