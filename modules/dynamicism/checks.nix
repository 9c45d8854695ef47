# The validators that nixpkgs' modules run on the files that they generate, as checks of new values.
#
# Takes the configuration, gives checks by service. A module runs its validator in a derivation of its own, whose text is no
# part of the configuration, so the commands stand here as they stand there. The build tries each on the static values, and
# leaves out what does not accept them.
{
  config,
  lib,
  pkgs,
}:
let
  inherit (config) services;
  file = "{{ file }}";

  # By service: whether the module itself validates, and how.
  validators = {
    alertmanager =
      let
        cfg = services.prometheus.alertmanager;
      in
      {
        enable = cfg.checkConfig;
        command = [
          "${cfg.package}/bin/amtool"
          "check-config"
          file
        ];
      };
    blocky = {
      enable = services.blocky.enableConfigCheck or false;
      command = [
        (lib.getExe services.blocky.package)
        "--config"
        file
        "validate"
      ];
    };
    # In its start script.
    dnsmasq.command = [
      "${services.dnsmasq.package}/bin/dnsmasq"
      "--test"
      "-C"
      file
    ];
    loki = {
      # They can have the file mean something else: -config.expand-env.
      enable = services.loki.extraFlags == [ ];
      command = [
        "${services.loki.package}/bin/loki"
        "-verify-config"
        "-config.file"
        file
      ];
    };
    nats = {
      enable = services.nats.validateConfig or false;
      command = [
        "${pkgs.nats-server}/bin/nats-server"
        "--config"
        file
        "-t"
      ];
    };
    ntpd-rs.command = [
      "${services.ntpd-rs.package}/bin/ntp-ctl"
      "validate"
      "-c"
      file
    ];
    opentelemetry-collector = {
      enable = services.opentelemetry-collector.validateConfigFile or false;
      command = [
        (lib.getExe services.opentelemetry-collector.package)
        "validate"
        "--config=file:${file}"
      ];
    };
    renovate = {
      enable = services.renovate.validateSettings or false;
      command = [
        "${services.renovate.package}/bin/renovate-config-validator"
        file
      ];
    };
    v2ray.command = [
      "${services.v2ray.package}/bin/v2ray"
      "test"
      "-c"
      file
    ];
    vector = {
      enable = services.vector.validateConfig or false;
      command = [
        (lib.getExe services.vector.package)
        "validate"
        "--no-environment"
        file
      ];
    };
    xray.command = [
      "${services.xray.package}/bin/xray"
      "-test"
      "-config"
      file
    ];
  };
in
lib.mapAttrs (
  _: validator:
  if validator.enable or true then
    {
      inherit (validator) command;
      onTrial = true;
    }
  else
    null
) validators
