# After a switch the new system is verified, once, behind the switch's back.
{
  nodes.machine =
    { config, lib, ... }:
    {
      services.harmonia.enable = true;
      services.harmonia.settings = lib.mkForce { workers = 4; };
      dynamicism.for.harmonia.enable = true;
      # What is evaluated is made by the test; it is not about NixOS.
      dynamicism.evaluator = {
        command = [
          "${config.nix.package.out}/bin/nix-instantiate"
          "--eval"
          "--strict"
          "--json"
        ];
        arguments = "import /etc/nixos/system.nix";
      };
      specialisation.other.configuration.environment.etc.other.text = "";
    };

  testScript = builtins.readFile ../machine/scripts/after-switch.py;
}
