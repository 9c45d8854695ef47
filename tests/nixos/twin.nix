# Options of no service, one change after the other: what dynix makes of the system is what nixos-rebuild makes of it, and
# nothing is left afterwards. Where the machine has a nixpkgs (tests/nixos/run). DYNIX_TWIN_ONLY is a pattern for which
# changes, DYNIX_TWIN_OUT a file for the results. Two equal machines share the changes.
{
  nodes = {
    one = {
      imports = [ ./twin/base.nix ];
      virtualisation.vlans = [ ];
    };
    two = {
      imports = [ ./twin/base.nix ];
      virtualisation.vlans = [ ];
    };
  };

  testScript = builtins.readFile ./twin/changes.py + builtins.readFile ./twin/run.py;
}
