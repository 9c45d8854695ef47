# What programs of Debian find by fixed paths: the loader and the libraries, the modules of Perl and Python, the helpers of
# systemd and git; of programs only those that systemd itself runs. No units, no configuration.
{ take }:
take {
  name = "debian-usr";
  debs = [ "mount" ];
  only = [
    "mount"
    "umount"
  ];
  trees = {
    "lib/x86_64-linux-gnu" = "/usr/lib/x86_64-linux-gnu";
    "lib/python3.13" = "/usr/lib/python3.13";
    "lib/python3" = "/usr/lib/python3";
    "lib/git-core" = "/usr/lib/git-core";
    "lib/systemd" = "/usr/lib/systemd";
    "lib/locale" = "/usr/lib/locale";
    "share/perl" = "/usr/share/perl";
    "share/perl5" = "/usr/share/perl5";
    "share/git-core" = "/usr/share/git-core";
    "libexec/nix" = "/usr/libexec/nix";
  };
  finish = ''
    rm -rf lib/systemd/system lib/systemd/user lib/systemd/*-generators lib/systemd/*-preset lib/systemd/*.conf.d \
      lib/systemd/network lib/systemd/profile.d
    find lib/x86_64-linux-gnu -name '*.a' -delete
    mkdir -p share/dbus-1 lib64 lib/openssh
    # One of them is setuid, which nothing in the store may be.
    install -m755 /usr/lib/openssh/ssh* lib/openssh/
    cp /usr/share/dbus-1/system.conf /usr/share/dbus-1/session.conf share/dbus-1/
    ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 lib64/
  '';
}
