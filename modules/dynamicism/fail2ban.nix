# fail2ban: the settings of the daemon; those of each jail, with `enabled` and before the lines of jails that are text; filters
# and actions, each in a file of its own.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.fail2ban;
  # Since there are filters apart from jails, a jail says the filter that it is given, and one of its own has a name of its own.
  hasFilters = options.services.fail2ban ? filters;
  jails = lib.filterAttrs (_: jail: lib.isAttrs jail) (cfg.jails or { });
  ownFilters = lib.optionalAttrs hasFilters (
    lib.filterAttrs (_: jail: lib.isAttrs jail.filter) jails
  );
  inlineName = name: "nixos-${name}";
  filterOf =
    name: jail:
    if !hasFilters then
      name
    else if lib.isString jail.filter then
      jail.filter
    else
      inlineName name;
  own =
    name: jail:
    lib.optionalAttrs (name != "DEFAULT") { inherit (jail) enabled; }
    // lib.optionalAttrs (jail.filter != null) { filter = filterOf name jail; };
  lines = {
    name = "ini";
    parameters = {
      booleans = "true/false";
      escapeKeys = true;
      floats = "fixed";
      nulls = "null";
      sectionNames = "escaped";
      separator = " = ";
      strings = "plain";
    };
  };
  path =
    below:
    [
      "services"
      "fail2ban"
    ]
    ++ below;
  # A filter or an action: `kind` is its directory.
  part = kind: name: below: {
    inherit kind name;
    option = path below;
  };
  parts =
    lib.mapAttrsToList (
      name: _:
      part "filter" (inlineName name) [
        "jails"
        name
        "filter"
      ]
    ) ownFilters
    ++
      lib.concatMap
        (
          kind:
          map (
            name:
            part kind name [
              "${kind}s"
              name
            ]
          ) (lib.attrNames (cfg."${kind}s" or { }))
        )
        [
          "filter"
          "action"
        ];
in
{
  dynamicism.shipped.fail2ban = {
    options = [
      "services.fail2ban.daemonSettings"
    ]
    ++ map (
      name:
      path [
        "jails"
        name
        "settings"
      ]
    ) (lib.attrNames jails)
    ++ map (one: one.option) parts;
    files = {
      "fail2ban.local" = {
        format = lines;
        value.option = "services.fail2ban.daemonSettings";
        attach.etc = "/etc/fail2ban/fail2ban.local";
      };
      "jail.local" = {
        format = lines;
        value.attrs = {
          INCLUDES.literal.before = "paths-nixos.conf";
        }
        // lib.mapAttrs (name: jail: {
          merge = [
            { literal = own name jail; }
            {
              option = lib.showOption (path [
                "jails"
                name
                "settings"
              ]);
            }
          ];
        }) jails;
        around = { };
        attach.etc = "/etc/fail2ban/jail.local";
      };
    }
    // lib.listToAttrs (
      map (
        one:
        lib.nameValuePair "${one.kind}.d-${one.name}.local" {
          format = lines;
          value.option = lib.showOption one.option;
          attach.etc = "/etc/fail2ban/${one.kind}.d/${one.name}.local";
        }
      ) parts
    );
    units."fail2ban.service" = { };
  };
}
