{
  nodes.machine = {
    services.gotosocial = {
      enable = true;
      settings = {
        application-name = "gotosocial-for-machine";
        host = "gotosocial-machine.local";
      };
    };
    dynamicism.for.gotosocial.enable = true;
  };

  testScript = builtins.readFile ../gotosocial/test.py;
}
