# openssh: the settings, then lines that the module makes of other options and `extraConfig`, which stay as they are.
#
# sshd starts sessions, so its file is the link under /etc, and not bound. A restart ends no session (KillMode=process).
# `sshd -G` reads all of the file, and needs no host keys, which are not there yet at the first boot.
{ config, lib, ... }:
let
  cfg = config.services.openssh;
in
{
  dynamicism.shipped.openssh = {
    options = [ "services.openssh.settings" ];
    files.sshd_config = {
      format = "sshdConf";
      around = { };
      attach.etc = "/etc/ssh/sshd_config";
    };
    # With a socket, each connection has a unit of its own, which reads the file when it starts, and no session ends with
    # the socket.
    units.${if cfg.startWhenNeeded then "sshd.socket" else "sshd.service"} = { };
    check.command = [
      "${cfg.package or config.programs.ssh.package}/bin/sshd"
      "-G"
      "-f"
      "{{ file }}"
    ];
    pinned = [
      {
        path = "services.openssh.settings.UsePAM";
        reason = "the build makes the PAM service of sshd";
      }
      {
        path = "services.openssh.settings.PasswordAuthentication";
        reason = "the PAM service of sshd is made of it; set it with a rebuild";
      }
    ];
  };
}
