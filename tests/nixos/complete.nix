# With verify = "complete", what a rebuild would also change is put into effect as well, and goes back with the value. Where
# the machine has a nixpkgs (tests/nixos/run).
{
  nodes.machine.imports = [ ./complete-subject.nix ];

  testScript =
    builtins.readFile ./subject.py + builtins.readFile ./rebuild.py + builtins.readFile ./complete.py;
}
