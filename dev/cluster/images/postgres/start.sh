#!/bin/sh
# Makes the database once, then becomes the server. A first start that was cut short begins anew.
set -eu

PATH="$(IFS= read -r bin </etc/postgresql-bin || true; echo "$bin"):/bin"
export PATH

data=/var/lib/postgresql/data
secrets=/etc/postgresql/secrets

if [ ! -s "$data/PG_VERSION" ]; then
    rm -rf "$data.new"
    initdb --pgdata="$data.new" --username=postgres --pwfile="$secrets/superuser-password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync
    postgres --single -D "$data.new" -c exit_on_error=on postgres <"$secrets/init.sql" >/dev/null
    mv "$data.new" "$data"
fi

exec postgres -D "$data" -c config_file=/etc/postgresql/config/postgresql.conf
