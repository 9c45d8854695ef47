# sysctl: the kernel's settings. systemd-sysctl writes what its files say; what an override added is put back to what the
# kernel had before (docs/reliability.md).
{
  dynamicism.for.sysctl = {
    options = [ "boot.kernel.sysctl" ];
    files."60-nixos.conf" = {
      # nixos/modules/config/sysctl.nix: null is no line, false is 0.
      format = {
        name = "keyValue";
        parameters = {
          booleans = "1/0";
          nulls = "omit";
          escapeKeys = false;
          floats = "fixed";
          indent = "";
          separator = "=";
          strings = "plain";
        };
      };
      attach.etc = "/etc/sysctl.d/60-nixos.conf";
    };
    units."systemd-sysctl.service" = { };
  };
}
