# Options of no service: what a rebuild would change is put into effect without one, and taken back. Where the machine has
# a nixpkgs (tests/nixos/run).
{
  nodes.machine.imports = [ ./evaluated-subject.nix ];

  testScript = builtins.readFile ./evaluated.py;
}
