#!/bin/sh
# The roles of a fleet in etcd, to start from. Whoever runs this is root of etcd (ETCDCTL_* say how: etcdctl(1)).
#
#   roles.sh FLEET fleet              the roles that people and drivers have
#   roles.sh FLEET host HOST GROUP... a host: reads what is for it, writes its own report, and nothing else
#   roles.sh FLEET admin USER GROUP   a person who may change one group, and see all
#   roles.sh FLEET owner USER         a person, or a driver, who may change everything of the fleet
#   roles.sh FLEET on                 from now on nobody does anything without a role
#
# Users have no password here: their certificates name them (CN). `etcdctl passwd USER` gives one a password instead.
set -eu
export ETCDCTL_API=3
fleet="/dynix/$1"
verb=$2
shift 2

role() { etcdctl role add "$1" >/dev/null 2>&1 || true; }
grant() { etcdctl role grant-permission "$@" >/dev/null; }
user() { etcdctl user add "$1" --no-password >/dev/null 2>&1 || true; }
has() { etcdctl user grant-role "$1" "$2" >/dev/null; }

case $verb in
fleet)
    role "$fleet"
    grant "$fleet" --prefix=true readwrite "$fleet/"
    role "$fleet/look"
    grant "$fleet/look" --prefix=true read "$fleet/"
    # What changes are written down in, whoever makes them.
    role "$fleet/log"
    grant "$fleet/log" --prefix=true readwrite "$fleet/log/"
    grant "$fleet/log" --prefix=true readwrite "$fleet/rollouts/"
    ;;
host)
    host=$1
    shift
    user "$host"
    role "$fleet/hosts/$host"
    grant "$fleet/hosts/$host" --prefix=true read "$fleet/all/"
    grant "$fleet/hosts/$host" --prefix=true read "$fleet/hosts/$host/"
    grant "$fleet/hosts/$host" readwrite "$fleet/reports/$host"
    grant "$fleet/hosts/$host" readwrite "$fleet/hosts-known/$host"
    for group; do
        grant "$fleet/hosts/$host" --prefix=true read "$fleet/groups/$group/"
    done
    has "$host" "$fleet/hosts/$host"
    ;;
admin)
    user "$1"
    role "$fleet/groups/$2"
    grant "$fleet/groups/$2" --prefix=true readwrite "$fleet/groups/$2/"
    has "$1" "$fleet/groups/$2"
    has "$1" "$fleet/look"
    has "$1" "$fleet/log"
    ;;
owner)
    user "$1"
    has "$1" "$fleet"
    ;;
on)
    user root
    role root
    has root root
    etcdctl auth enable >/dev/null
    ;;
*)
    echo "$verb is none of fleet, host, admin, owner, on" >&2
    exit 2
    ;;
esac
