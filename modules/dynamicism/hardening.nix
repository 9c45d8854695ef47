# The rights of dynix's own units: those that src/host/systemd/hardening.rs has for the units that dynix itself makes
# (tests/suite/security_units.rs compares them). docs/security.md says what else a unit can't lose.
{
  CapabilityBoundingSet = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_NET_BIND_SERVICE CAP_SYS_PTRACE";
  Environment = "NIX_REMOTE=daemon";
  LockPersonality = "yes";
  NoNewPrivileges = "yes";
  PrivateDevices = "yes";
  ProtectClock = "yes";
  ProtectControlGroups = "yes";
  ProtectHostname = "yes";
  ProtectKernelLogs = "yes";
  ProtectKernelModules = "yes";
  ProtectKernelTunables = "yes";
  RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
  RestrictNamespaces = "yes";
  RestrictRealtime = "yes";
  RestrictSUIDSGID = "yes";
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = "@system-service";
  UMask = "0077";
}
