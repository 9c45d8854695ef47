# What every machine has because it is a container of Debian's programs.
{
  lib,
  modulesPath,
  options,
  ...
}:
{
  imports = [ (modulesPath + "/profiles/minimal.nix") ];

  boot.isContainer = true;
  documentation.enable = false;
  fonts.fontconfig.enable = lib.mkDefault false;
  i18n.supportedLocales = [ ];
  networking = {
    firewall.enable = false;
    resolvconf.enable = lib.mkForce false;
    useDHCP = false;
    useHostResolvConf = false;
  };
  programs.command-not-found.enable = false;
  security.polkit.enable = false;
  security.sudo.enable = false;
  # They have to be compiled.
  security.wrappers = lib.mkForce { };
  services.nscd.enable = false;
  # There are no modules of PAM, and Debian's shell reads no /etc/bashrc, which would set the path of what ssh runs.
  services.openssh.extraConfig = lib.mkOrder (-1) ''
    UsePAM no
    SetEnv PATH=/run/wrappers/bin:/run/current-system/sw/bin
  '';
  # Without PAM, sshd lets nobody in whose account is locked.
  users.users.root.hashedPassword = lib.mkForce "*";
  system.nssModules = lib.mkForce [ ];
  system.stateVersion = "20.09";
  # The machine's own daemon builds, and nothing is downloaded.
  environment.variables.NIX_REMOTE = lib.mkForce "";
  nix = {
    nixPath = lib.mkForce [
      "nixpkgs=/tree"
      "nixos-config=/etc/nixos/configuration.nix"
    ];
  }
  // (
    if options.nix ? settings && options.nix.settings.type.getSubOptions [ ] ? sandbox then
      {
        settings = {
          sandbox = false;
          substituters = lib.mkForce [ ];
        };
      }
    else
      {
        useSandbox = false;
        binaryCaches = lib.mkForce [ ];
      }
  );
  xdg = {
    autostart.enable = false;
    icons.enable = false;
    menus.enable = false;
    mime.enable = false;
    sounds.enable = false;
  };
}
