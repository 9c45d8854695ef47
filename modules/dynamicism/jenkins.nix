# Jenkins: the words of the command in its start script, which a shell splits, and the variables of its unit.
{ config, lib, ... }:
let
  cfg = config.services.jenkins;
  unit = config.systemd.services.jenkins;
  path = name: "services.jenkins.${name}";
  word = prefix: name: {
    attrs = {
      flag.literal = prefix;
      separator.literal = "";
      split.literal = "shell";
      value.option = path name;
    };
  };
  address = [
    "listenAddress"
    "port"
    "prefix"
  ];
in
{
  dynamicism.shipped.jenkins = {
    options = map path (
      [
        "environment"
        "extraJavaOptions"
        "extraOptions"
      ]
      ++ address
    );
    files.flags = {
      value.list = [
        (word "" "extraJavaOptions")
        { literal = "-jar"; }
        { literal = "${cfg.package}/webapps/jenkins.war"; }
        (word "--httpListenAddress=" "listenAddress")
        (word "--httpPort=" "port")
        (word "--prefix=" "prefix")
        { literal = "-Djava.awt.headless=true"; }
        (word "" "extraOptions")
      ];
      static = lib.removeSuffix " " unit.serviceConfig.ExecStart;
      attach.environment = {
        variable = "JENKINS_WORDS";
        command = [ "${cfg.javaPackage}/bin/java" ];
      };
    };
    files.environment = {
      value.option = path "environment";
      attach.variables = lib.getAttrs (lib.attrNames cfg.environment) unit.environment;
    };
    pinned = map (name: {
      path = path name;
      reason = "the unit waits in its ExecStartPost= until Jenkins answers at the built address; set it with a rebuild";
    }) address;
    units."jenkins.service" = { };
  };
}
