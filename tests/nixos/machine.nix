# What every machine has.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
{
  imports = [ ../../modules/dynamicism ];

  environment.systemPackages = [
    (config.dynamicism.applyDynamicConfiguration { })
    pkgs.curl
  ];

  # A test's machine has no switch-to-configuration by itself.
  system = lib.optionalAttrs (options.system ? switch) { switch.enable = true; };
}
