# A host whose source may say something of a service and of options of no service.
{ lib, pkgs, ... }:
{
  imports = [
    ./evaluated-subject.nix
    ./subject.nix
  ];

  environment.systemPackages = [ pkgs.git ];

  # Two levels that the service does not work on: one at once, and one after a while.
  systemd.services.subject.preStart = ''
    ! grep --quiet 13 "$SUBJECT"
  '';
  systemd.services.subject.postStart = ''
    if grep --quiet 14 "$SUBJECT"; then
      (sleep 4; kill $MAINPID) &
    fi
  '';
  dynamicism.for.subject.watch = lib.mkForce 20;

  dynamicism.sources.fleet = {
    git.remotes.origin = {
      url = "/srv/fleet";
      period = 0.5;
    };
    allow."services.subject.settings" = { };
    allow."systemd.services.demo" = { };
  };
}
