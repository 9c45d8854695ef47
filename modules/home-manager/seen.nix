# home-manager's configuration as ../dynamicism/description.nix looks at one: its units and files in the places of NixOS's.
{
  lib,
  config,
  options,
}:
let
  inherit (config.home) homeDirectory;
  # Names of options and of entries: those under xdg.configFile are relative to it.
  xdg = lib.mapAttrs' (
    name: file:
    lib.nameValuePair name {
      inherit (file) enable source;
      target = absolute file.target;
      mode = "symlink";
    }
  ) config.xdg.configFile;
  home = lib.mapAttrs (_: file: {
    inherit (file) enable source;
    target = absolute file.target;
    mode = "symlink";
  }) config.home.file;
  absolute = path: if lib.hasPrefix "/" path then path else "${homeDirectory}/${path}";

  # As home-manager writes a unit (modules/systemd.nix): what is null or an empty list is left out.
  textOf =
    unit:
    let
      isSaid = value: value != null && value != [ ];
      sections = lib.filterAttrs (_: section: section != { }) (
        lib.mapAttrs (_: lib.filterAttrs (_: isSaid)) unit
      );
    in
    lib.generators.toINI {
      listsAsDuplicateKeys = true;
      mkKeyValue =
        key: value: "${key}=${if lib.isBool value then lib.boolToString value else toString value}";
    } sections;

  unitsOf =
    kind: suffix:
    lib.mapAttrs' (
      name: unit:
      lib.nameValuePair "${name}.${suffix}" {
        enable = true;
        text = textOf unit;
      }
    ) config.systemd.user.${kind};
in
{
  config = config // {
    dynamicism = config.dynamicism // {
      options = [ ];
      sources = { };
      shipped = { };
      evaluator = null;
      overridesFile = null;
      verify = "off";
      metrics.textfile = null;
      daemon.enable = false;
    };
    environment.etc = home // xdg;
    system = { };
    systemd = {
      # In the sight of dynix, a user's own manager is the one there is.
      services = config.systemd.user.services;
      units =
        unitsOf "services" "service"
        // unitsOf "sockets" "socket"
        // unitsOf "timers" "timer"
        // unitsOf "paths" "path";
      user.units = { };
    };
  };
  options = options // {
    environment.etc.definitionsWithLocations =
      options.xdg.configFile.definitionsWithLocations ++ options.home.file.definitionsWithLocations;
    systemd = {
      inherit (options.systemd.user) services;
      user.services = { };
    };
  };
}
