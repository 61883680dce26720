# Runs what follows $1, the plugin, and puts the terminal back: the plugin leaves it in
# non-canonical mode. INT, QUIT and TSTP are ignored here as in the plugin, which takes them from
# the terminal itself; TERM and HUP are passed on to it, from the first line on.
signal='' child=''
trap 'signal=TERM; [ -z "$child" ] || kill -s TERM "$child"' TERM
trap 'signal=HUP; [ -z "$child" ] || kill -s HUP "$child"' HUP

# $1 names the variables that this shell sets and the plugin shall not get.
unset $1
shift
saved=$(stty -g 2>/dev/null)

# A shell takes the terminal away from what it puts in the background, unless it is handed over.
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
[ -z "$signal" ] || kill -s "$signal" "$child"

wait "$child"
status=$?
# A trapped signal ends the wait and not the plugin.
while [ -n "$signal" ] && kill -s 0 "$child" 2>/dev/null; do
    signal=''
    wait "$child"
    status=$?
done
trap '' TERM HUP TTOU
[ -z "$saved" ] || stty "$saved" 2>/dev/null
exit "$status"
