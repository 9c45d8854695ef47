# Servers, networks and a desktop for the twin test's changes. Their options are those of the tree of nixpkgs that the
# test was written on; what another one does not have is left out.
{ lib, options, ... }:
let
  wanted = {
    # Networks.
    "networking.firewall.enable" = lib.mkForce true;
    "networking.bridges" = lib.genAttrs [ "br0" "br1" ] (_: {
      interfaces = [ ];
    });
    "networking.interfaces" = {
      br0.ipv4.addresses = [
        {
          address = "10.7.0.1";
          prefixLength = 24;
        }
      ];
      br1.useDHCP = true;
    };
    "networking.wireless.enable" = true;
    "networking.wireless.networks".home.psk = "a secret for all";
    # Servers.
    "services.nginx.enable" = true;
    # Debian's has other directories built in.
    "services.nginx.commonHttpConfig" =
      lib.concatMapStrings (name: "${name}_temp_path /var/cache/nginx/${name};\n")
        [
          "client_body"
          "fastcgi"
          "proxy"
          "scgi"
          "uwsgi"
        ];
    "services.nginx.virtualHosts"."example.org" = {
      listen = [
        {
          addr = "127.0.0.1";
          port = 8080;
        }
      ];
      locations."/".root = "/srv";
    };
    "services.caddy.enable" = true;
    "services.caddy.globalConfig" = "auto_https off";
    "services.caddy.virtualHosts"."http://localhost:8081".extraConfig = "respond hello";
    "services.openssh.enable" = true;
    "services.redis.enable" = true;
    "services.redis.extraConfig" = "locale-collate C\n";
    "services.home-assistant.enable" = true;
    "services.home-assistant.config".homeassistant.name = "home";
    "services.gitea.enable" = true;
    "services.fail2ban.enable" = true;
    "services.phpfpm.pools".www = {
      user = "nobody";
      settings = {
        pm = "ondemand";
        "pm.max_children" = 5;
      };
    };
    "services.transmission.enable" = true;
    "services.syncthing.enable" = true;
    "services.deluge.enable" = true;
    "services.deluge.declarative" = true;
    "services.deluge.authFile" = "/etc/deluge-auth";
    "services.openvpn.servers".office.config = "remote vpn.example.org";
    "services.prometheus.exporters.mikrotik" = {
      enable = true;
      configuration.devices = [ ];
      extraFlags = [ "-timeout=10s" ];
    };
    "services.prometheus.exporters.snmp" = {
      enable = true;
      configuration.default.version = 2;
      extraFlags = [ "--snmp.wrap-large-counters" ];
    };
    "virtualisation.docker.extraOptions" = "--log-level=info";
    "virtualisation.oci-containers.containers".web = {
      image = "nginx:1";
      ports = [ "127.0.0.1:8082:80" ];
    };
    "virtualisation.oci-containers.containers".db.image = "postgres:16";
    # A desktop, of which nothing runs.
    "services.picom.enable" = true;
    "services.xserver.enable" = true;
    "services.xserver.displayManager.startx.enable" = true;
    "gtk.iconCache.enable" = false;
    "hardware.opengl.enable" = lib.mkForce false;
    "fonts.enableDefaultFonts" = lib.mkForce false;
    "security.polkit.enable" = lib.mkForce true;
    "xdg.autostart.enable" = lib.mkForce false;
    "xdg.icons.enable" = lib.mkForce false;
    "xdg.menus.enable" = lib.mkForce false;
    "xdg.mime.enable" = lib.mkForce false;
  };
  named = lib.mapAttrsToList (path: lib.nameValuePair (lib.splitString "." path)) wanted;
  known = lib.filter (one: lib.hasAttrByPath one.name options) named;
in
{
  config = lib.mkMerge (map (one: lib.setAttrByPath one.name one.value) known);
}
