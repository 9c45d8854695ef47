# Without anything under /run/dynix, every service starts on what was built.
{
  nodes.machine =
    { lib, ... }:
    {
      services = {
        distccd = {
          enable = true;
          jobTimeout = 900;
          maxJobs = 12;
        };
        gotosocial = {
          enable = true;
          settings = {
            application-name = "gotosocial-for-machine";
            host = "gotosocial-machine.local";
          };
        };
        harmonia = {
          enable = true;
          settings = lib.mkForce { workers = 4; };
        };
      };
      dynamicism.for = {
        distccd.enable = true;
        gotosocial.enable = true;
        harmonia.enable = true;
      };
    };

  testScript = builtins.readFile ../machine/scripts/fail-safe.py;
}
