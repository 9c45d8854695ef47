# A user's own service, and what is wrong with some.
{
  lib,
  pkgs,
  system,
  imported,
}:
let
  json = pkgs.writeText "own.json" ownText;
  ownText = "{\n  \"max_connection_rate\": 256,\n  \"workers\": 4\n}\n";
  withService =
    service:
    (system [
      imported
      {
        systemd.services.own = {
          serviceConfig.ExecStart = "/bin/own ${json}";
          serviceConfig.ExecReload = "/bin/kill -HUP $MAINPID";
        };
        dynamicism.for.own = {
          enable = true;
          options = [ "services.harmonia.settings" ];
          files."own.json" = { };
          units."own.service".onChange = "reload";
          narrowed = [
            {
              path = "services.harmonia.settings.workers";
              type = lib.types.ints.between 1 64;
            }
          ];
          check.command = [
            "/bin/own"
            "--check"
            "{{ files['own.json'] }}"
          ];
          health.probe.http = "http://127.0.0.1:5000/ready";
          health.grace = 1.5;
          # Neither is enabled: they count for nothing.
          after = [
            "harmonia"
            "distccd"
          ];
        };
      }
      { dynamicism.for.own = service; }
    ]).config.dynamicism.description.services.own;
  refused = service: !(builtins.tryEval (builtins.toJSON (withService service))).success;
in
{
  taken = withService { };
  text = ownText;
  refused = lib.mapAttrs (_: refused) {
    no-such-option.options = [ "services.no.such" ];
    a-set-of-options.options = [ "services.harmonia" ];
    no-such-unit.files."own.json".units = [ "other.service" ];
    not-named.files."other.json" = { };
    several-options.options = [ "services.distccd.port" ];
    with-apply.options = lib.mkForce [ "system.activationScripts" ];
    read-only.options = lib.mkForce [ "dynamicism.unchecked" ];
  };
}
