# Jenkins: the words of the command in its start script, and the variables of its unit.
{ config, lib, ... }:
let
  cfg = config.services.jenkins;
  unit = config.systemd.services.jenkins;
  option = name: { option = "services.jenkins.${name}"; };
  word = prefix: name: {
    attrs = {
      flag.literal = prefix;
      separator.literal = "";
      value = option name;
    };
  };
in
{
  dynamicism.shipped.jenkins = {
    options = map (name: "services.jenkins.${name}") [
      "extraJavaOptions"
      "extraOptions"
      "listenAddress"
      "port"
      "prefix"
    ];
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
    units."jenkins.service" = { };
  };
}
