{
  nodes.machine = {
    services.distccd = {
      enable = true;
      jobTimeout = 900;
      maxJobs = 12;
    };
    dynamicism.for.distccd.enable = true;
  };

  testScript = builtins.readFile ../distccd/test.py;
}
