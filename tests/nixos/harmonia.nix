{
  nodes.machine =
    { lib, ... }:
    {
      services.harmonia.enable = true;
      # Newer modules add defaults; the test is about these two.
      services.harmonia.settings = lib.mkForce {
        workers = 4;
        max_connection_rate = 256;
      };
      dynamicism.for.harmonia.enable = true;
    };

  testScript = builtins.readFile ../harmonia/test.py;
}
