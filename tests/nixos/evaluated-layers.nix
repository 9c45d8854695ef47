# Options of no service that come from a source: with the rest of its layer, or not at all. Where the machine has a nixpkgs
# (tests/nixos/run).
{
  nodes.machine.imports = [ ./evaluated-source.nix ];

  testScript = builtins.readFile ./subject.py + builtins.readFile ./evaluated-layers.py;
}
