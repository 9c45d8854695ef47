# Records that are Nix expressions, evaluated by the machine's Nix.
{
  nodes.machine =
    { config, lib, ... }:
    {
      services.distccd.enable = true;
      services.harmonia.enable = true;
      services.harmonia.settings = lib.mkForce { workers = 4; };
      dynamicism.for.distccd.enable = true;
      dynamicism.for.harmonia.enable = true;
      # What the expressions see; the test is not about NixOS.
      dynamicism.evaluator = {
        command = [
          "${config.nix.package.out}/bin/nix-instantiate"
          "--eval"
          "--strict"
          "--json"
        ];
        arguments = "{ config.networking.cores = 6; lib = { }; pkgs = { }; }";
      };
    };

  testScript = builtins.readFile ../machine/scripts/expressions.py;
}
