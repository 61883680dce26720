# Runs what follows $1 and $2, the plugin, and puts the terminal back: the plugin leaves it in
# non-canonical mode. INT, QUIT and TSTP are ignored here as in the plugin, which takes them from
# the terminal itself; the signals of $1, by their numbers, are passed on to it, from the first
# line on. Without that, one of them would end this shell and leave the plugin behind.
signal='' child=''
for ssmgate_number in $1; do
    trap "signal=$ssmgate_number; [ -z \"\$child\" ] || kill -$ssmgate_number \"\$child\"" \
        "$ssmgate_number"
done
ssmgate_number=$1

# $2 names the variables that this shell sets and the plugin shall not get.
unset $2
shift 2
saved=$(stty -g 2>/dev/null)

# A shell takes the terminal away from what it puts in the background, unless it is handed over.
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
[ -z "$signal" ] || kill "-$signal" "$child"

wait "$child"
status=$?
# A trapped signal ends the wait and not the plugin.
while [ -n "$signal" ] && kill -s 0 "$child" 2>/dev/null; do
    signal=''
    wait "$child"
    status=$?
done
trap '' TTOU $ssmgate_number
[ -z "$saved" ] || stty "$saved" 2>/dev/null
exit "$status"
