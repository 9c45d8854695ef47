# The exporters of Prometheus: their options are words of their commands, as nixpkgs' modules put them there
# (nixos/modules/services/monitoring/prometheus/exporters/*.nix).
{ config, lib, ... }:
let
  # By exporter: its words in the order of the command line, and what it has besides.
  exporters = {
    blackbox =
      words: with words; {
        words = [
          (address "--web.listen-address")
          (word "--config.file")
          (after "--config.file")
          extra
        ];
      };

    json =
      words: with words; {
        words = [
          (word "--config.file")
          (after "--config.file")
          # Between quotes in the module.
          (quoted (address "--web.listen-address="))
          extra
        ];
      };

    nginx =
      words: with words; {
        words = [
          (between "--nginx.scrape-uri='" "scrapeUri" "'")
          (word (if cfg.sslVerify then "--nginx.ssl-verify" else "--no-nginx.ssl-verify"))
          (address "--web.listen-address=")
          (each "--web.telemetry-path=" "telemetryPath")
          extra
        ];
      };

    node =
      words: with words; {
        words = [
          (each "--collector." "enabledCollectors")
          (each "--no-collector." "disabledCollectors")
          (address "--web.listen-address")
          extra
        ];
        dropIn = lib.optionalString (unit.serviceConfig ? ProtectClock) nodeDropIn;
      };

    postgres =
      words: with words; {
        words = [
          (address "--web.listen-address")
          (flag "--web.telemetry-path" "telemetryPath")
          extra
        ];
        options = [ "dataSourceName" ];
        files.environment = {
          value.attrs.DATA_SOURCE_NAME.option = path "dataSourceName";
          attach.variables = { inherit (unit.environment) DATA_SOURCE_NAME; };
        };
      };

    process =
      words: with words; {
        words = [
          (address "--web.listen-address")
          (word "--config.path")
          (after "--config.path")
          extra
        ];
        options = [ "settings.process_names" ];
        files."process-exporter.yaml" = {
          format = "json";
          value.attrs.process_names.option = path "settings.process_names";
        };
      };

    redis =
      words: with words; {
        words = [
          (address "-web.listen-address")
          extra
        ];
      };

    # All arguments are quoted for a shell.
    smartctl =
      words: with words; {
        words = map quoted [
          (address "--web.listen-address=")
          (given "--smartctl.path=")
          (each "--smartctl.interval=" "maxInterval")
          (each "--smartctl.device=" "devices")
          extra
        ];
      };

    snmp =
      words: with words; {
        words = [
          (given "--config.file=")
          (each "--log.format=" "logFormat")
          (each "--log.level=" "logLevel")
          (address "--web.listen-address=")
          extra
        ];
      };

    systemd =
      words: with words; {
        words = [
          (address "--web.listen-address")
          extra
        ];
      };

    wireguard =
      words: with words; {
        words = [
          (flag "-p" "port")
          (flag "-l" "listenAddress")
          (when "verbose" "-v" "true")
          (when "singleSubnetPerField" "-s" "true")
          (when "withRemoteIp" "-r" "true")
          (when "latestHandshakeDelay" "-d" "true")
          (when "prependSudo" "-a" "true")
          (quoted (flag "-n" "wireguardConfig"))
          (flag "-i" "interfaces")
          extra
        ];
      };

    zfs =
      words: with words; {
        words = [
          (address "--web.listen-address")
          (flag "--web.telemetry-path" "telemetryPath")
          (each "--pool=" "pools")
          extra
        ];
      };
  };

  # The node exporter's sandbox has what its collectors need.
  nodeDropIn =
    let
      unit = config.systemd.services.prometheus-node-exporter;
      has = list: names: lib.any (name: lib.elem name cfg.${list}) names;
      cfg = config.services.prometheus.exporters.node;
      unix = [
        "logind"
        "systemd"
      ];
      netlink = [
        "network_route"
        "wifi"
      ];
      own =
        lib.optional (has "enabledCollectors" unix) "AF_UNIX"
        ++ lib.optional (
          has "enabledCollectors" netlink || !has "disabledCollectors" [ "netdev" ]
        ) "AF_NETLINK";
      # Without one of each: somebody may have given the same.
      without =
        list: name:
        if list == [ ] then
          [ ]
        else if lib.head list == name then
          lib.tail list
        else
          [ (lib.head list) ] ++ without (lib.tail list) name;
      others = lib.foldl' without unit.serviceConfig.RestrictAddressFamilies own;
      line = family: "RestrictAddressFamilies=${family}\n";
      at = list: name: ''"${name}" in services.prometheus.exporters.node.${list}'';
      any = names: lib.concatMapStringsSep " or " (at "enabledCollectors") names;
    in
    ''
      [Service]
      RestrictAddressFamilies=
      ${lib.concatMapStrings line others}{% if ${any unix} %}
      RestrictAddressFamilies=AF_UNIX
      {% endif %}{% if ${any netlink} or not (${at "disabledCollectors" "netdev"}) %}
      RestrictAddressFamilies=AF_NETLINK
      {% endif %}
      ProtectClock={% if ${at "disabledCollectors" "timex"} %}true{% else %}false{% endif %}
    '';

  # The words of an exporter: each has the options that it is made of, and how.
  wordsOf =
    name:
    let
      path = option: "services.prometheus.exporters.${name}.${option}";
      unit = config.systemd.services."prometheus-${name}-exporter";
      # What systemd has of the command, on one line.
      text = " ${lib.replaceStrings [ "\\\n" "\n" ] [ " " " " ] unit.serviceConfig.ExecStart} ";
      found = pattern: lib.head (builtins.match pattern text);
      literals = lib.mapAttrs (_: literal: { inherit literal; });
      spelled = value: options: more: {
        inherit options;
        item.attrs = {
          inherit value;
        }
        // literals ({ split = "systemd"; } // more);
      };
      joined = values: { list = values; };
    in
    rec {
      inherit path unit text;
      cfg = config.services.prometheus.exporters.${name};
      program = found " *([^ ]+) .*";

      # A flag and the value of an option: two words, or for each element.
      flag = flag: option: spelled { option = path option; } [ option ] { inherit flag; };

      # The value of an option right after a text; each element.
      each =
        flag: option:
        spelled { option = path option; } [ option ] {
          inherit flag;
          separator = "";
        };

      # With the value quoted by `lib.escapeShellArg`.
      quoted =
        word:
        if word.options == [ ] then
          word
        else
          word
          // {
            item.attrs = word.item.attrs // literals { quote = "shell"; };
          };

      # Between texts of the module's own.
      between =
        flag: option: end:
        spelled
          (joined [
            { option = path option; }
            { literal = end; }
          ])
          [ option ]
          {
            inherit flag;
            separator = "";
            join = "";
          };

      # A flag with a value, if an option is true.
      when = option: flag: value: {
        options = [ option ];
        item.when = {
          condition.option = path option;
          "then".attrs = literals { inherit flag value; };
        };
      };

      address =
        flag:
        spelled
          (joined [
            { option = path "listenAddress"; }
            { option = path "port"; }
          ])
          [
            "listenAddress"
            "port"
          ]
          {
            inherit flag;
            separator = if lib.hasSuffix "=" flag then "" else " ";
            join = ":";
          };

      extra = each "" "extraFlags";

      # What only the build knows: the word itself, one that begins so, and one that comes after another.
      word = literal: {
        options = [ ];
        item = { inherit literal; };
      };
      given = begin: word (found ".* '?(${lib.escapeRegex begin}[^ ']*)'? .*");
      after = other: word (found ".* ${lib.escapeRegex other} +([^ ]+) .*");
    };

  shipped =
    name: exporter:
    let
      words = wordsOf name;
      said = exporter words;
      service = "prometheus-${name}-exporter.service";
    in
    {
      options = lib.unique (
        map words.path (lib.concatMap (word: word.options) said.words ++ said.options or [ ])
      );
      files = {
        flags = {
          value.list = map (word: word.item) said.words;
          static = "/etc/systemd/system/${service}";
          attach.environment = {
            variable = "EXPORTER_FLAGS";
            command = [ words.program ];
            built = words.text;
          };
        };
      }
      // said.files or { };
      pinned = lib.optional (words.cfg.openFirewall && config.dynamicism.verify != "complete") {
        path = words.path "port";
        reason = "openFirewall opens the firewall for this port, and only a rebuild moves the opening";
      };
      dropIns = lib.optionalAttrs (said.dropIn or "" != "") { ${service} = said.dropIn; };
      units.${service} = { };
    };
in
{
  dynamicism.shipped = lib.mapAttrs' (
    name: exporter: lib.nameValuePair "prometheus-${name}-exporter" (shipped name exporter)
  ) exporters;
}
