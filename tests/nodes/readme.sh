#!/usr/bin/env bash
# Types what README.md prints under "More than one machine": two nodes behind a balancer, one of
# which is killed between the mail and the click.
#
#   tests/nodes/readme.sh BALANCER STORE        nginx or haproxy, redis or postgres
#
# Needs CALLGATE, the program, and the servers that it is told to use; whatever it starts it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
balancer="$1" store="$2"

scratch="$(mktemp -d)"
chmod 755 "$scratch"
database=""
end() {
  local job
  for job in $(jobs -p); do kill "$job" 2> /dev/null || true; done
  redis-cli -p 6390 shutdown nosave > /dev/null 2>&1 || true
  if [ -n "$database" ]; then as_postgres "$database/pg_ctl" -D "$scratch/db" -m immediate -w stop > /dev/null || true; fi
  rm -rf "$scratch"
}
trap end EXIT

# PostgreSQL does not run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start_postgres() {
  database="$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb "$(command -v initdb)" 2> /dev/null | tail -n 1)")"
  mkdir "$scratch/db"
  if [ "$(id -u)" -eq 0 ]; then chown postgres "$scratch/db"; fi
  as_postgres "$database/initdb" -D "$scratch/db" -A trust -U postgres > "$scratch/initdb.log"
  as_postgres "$database/pg_ctl" -D "$scratch/db" -w -l "$scratch/db/log" \
    -o "-p 6391 -k $scratch/db -c listen_addresses=127.0.0.1" start > /dev/null
}

# The commands as they are printed, but for what this run is about.
commands="$(awk '/^## /{in_it = ($0 == "## More than one machine")} in_it && /^```/{if (open) exit; open = 1; next} open' README.md)"
[ -n "$commands" ] || { echo "README.md prints no commands there" >&2; exit 1; }
replace() {
  case "$commands" in
    *"$1"*) commands="${commands/"$1"/"$2"}" ;;
    *) echo "README.md does not say any more: $1" >&2; exit 1 ;;
  esac
}
# shellcheck disable=SC2016
replace 'cargo build --release && PATH="$PWD/target/release:$PATH"' 'PATH="$(dirname "$CALLGATE"):$PATH"'
if [ "$balancer" = haproxy ]; then
  # shellcheck disable=SC2016
  replace 'nginx -p "$tmp" -c "$PWD/examples/many-nodes/nginx.conf"' 'haproxy -f examples/many-nodes/haproxy.cfg'
fi
if [ "$store" = postgres ]; then
  start_postgres
  replace 'redis://127.0.0.1:6390/0' 'postgres://postgres@127.0.0.1:6391/postgres'
fi

said="$scratch/said"
set +e
# The last line ends what the lines before have begun; if it is not reached, the trap does.
# shellcheck disable=SC2016
(trap 'kill $(jobs -p) 2> /dev/null' EXIT; eval "$commands") > "$said" 2>&1
set -e
cat "$said"
expected="Congratulations
This link has been used
Email validated"
heard="$(grep -oE 'Congratulations|This link has been used|Email validated' "$said" || true)"
if [ "$heard" != "$expected" ]; then
  echo "expected, in this order: $expected" >&2
  exit 1
fi
